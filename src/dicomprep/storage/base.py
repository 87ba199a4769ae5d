"""The contracts of places: a source that is read, a store of images, and which names a store takes."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from dicomprep.storage.paths import SCRATCH
from dicomprep.storage.source import SourceFile, Version

__all__ = ["ImageStore", "Source", "Stat", "is_image_name"]


class Source(Protocol):
    """One input, wherever it lies. Whoever reads an input opens it by this; it goes along to other processes."""

    @property
    def root(self) -> str:
        """The place that was searched: an absolute folder, say."""
        ...

    @property
    def path(self) -> str:
        """Where the input lies below the root, with forward slashes."""
        ...

    @property
    def version(self) -> Version:
        """Which content it had when it was found."""
        ...

    @property
    def error(self) -> str | None:
        """Why it cannot even be looked at, if so."""
        ...

    def open(self) -> AbstractContextManager[SourceFile]:
        """Open it for reading, without ever blocking on it; InputError `unreadable` where that fails."""
        ...


class Stat(NamedTuple):
    """An image as its store lists it."""

    name: str
    size: int
    """Bytes."""


class ImageStore(Protocol):
    """Thumbnails by name: `study_001/image_a.png`, with forward slashes. A name that `is_image_name` refuses is none.

    Reading raises OSError: FileNotFoundError where there is no such image. Writing raises EnvironmentFault.
    """

    def read(self, name: str, *, most: int | None = None) -> bytes:
        """An image, or its first `most` bytes."""
        ...

    def publish(self, name: str, content: bytes) -> None:
        """Put an image in its place, whole or not at all; the one before is replaced."""
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Remove images; one that is gone already is no matter."""
        ...

    def list(self) -> Iterator[Stat]:
        """All images, whoever made them, in no particular order."""
        ...

    def stat(self, name: str) -> Stat:
        """One image as `list` gives it."""
        ...

    def sync(self, names: Iterable[str]) -> None:
        """Return when these images, and their names, outlive a loss of power. Raises EnvironmentFault."""
        ...

    def where(self, name: str) -> str:
        """What a person calls the place of an image: a path, an address."""
        ...


def is_image_name(name: str) -> bool:
    r"""Whether a name, from a database say, leads to an image below the folder and nowhere else.

    >>> [name for name in ("a/b.png", "../b.png", "/b.png", "a//b.png", ".dicomprep-tmp/b.png", "b.txt")
    ...  if is_image_name(name)]
    ['a/b.png']
    """
    parts = name.split("/")
    plain = all(part not in ("", ".", "..") and "\0" not in part for part in parts)
    return plain and name.endswith(".png") and parts[0] != SCRATCH
