"""The contracts of places: a source that is read, a store of images, and which names a store takes."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from dicomprep.errors import EnvironmentFault
from dicomprep.pixels.encoding import ENDINGS
from dicomprep.storage.paths import SCRATCH
from dicomprep.storage.source import SourceFile, Version

__all__ = ["Entry", "ImageStore", "Source", "Stat", "is_image_name", "require_image_name"]


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
    def named_after(self) -> tuple[str, str]:
        """The name of its outermost folder, and its path below that, after which its images are called."""
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


class Entry(NamedTuple):
    """What lies in a folder of images."""

    path: str
    """Below the store's address."""
    is_folder: bool
    is_image: bool
    """It is called like an image and is no link, pipe or folder."""
    size: int


class ImageStore(Protocol):
    """Thumbnails by name: `study_001/image_a.png`, with forward slashes. A name that `is_image_name` refuses is none.

    Reading raises OSError: FileNotFoundError where there is no such image. Writing raises EnvironmentFault. It goes
    along to other processes.
    """

    @property
    def address(self) -> str:
        """Where it is: an absolute folder, or `s3://bucket/prefix`."""
        ...

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

    def holds(self, name: str) -> bool:
        """Whether there is such an image."""
        ...

    def are_one(self, one: str, other: str) -> bool:
        """Whether two names lead to one image, as on disks that tell no capitals."""
        ...

    def where(self, name: str) -> str:
        """What a person calls the place of an image: a path, an address."""
        ...

    def folders(self) -> Iterator[str]:
        """All folders in which images may lie, "" for the one around them all."""
        ...

    def entries(self, folder: str) -> Iterator[Entry]:
        """What lies in one folder, nothing where there is none; where there are no folders, all below that name."""
        ...

    def remove_emptied(self, folder: str) -> None:
        """Remove a folder that holds nothing any more, and those around it that then do not either."""
        ...

    def require_in_place(self) -> None:
        """EnvironmentFault where what is written to is no longer what lies at the address."""
        ...

    def half_written(self) -> Iterator[str]:
        """What killed runs left, by readable paths below the address."""
        ...

    def clear_scratch(self) -> None:
        """Remove that; only while no other run writes here."""
        ...

    def fence(self) -> None:
        """From here on, what goes along to other processes can write only until the scratch is cleared.

        The next run does that first: workers that a killed one left behind can then give no image to it. An object
        store has no such fence. Raises EnvironmentFault where nothing can be written.
        """
        ...

    def close(self) -> None:
        """Give back what is held open; it can be used again."""
        ...


def is_image_name(name: str) -> bool:
    r"""Whether a name, from a database say, leads to an image below the folder and nowhere else.

    >>> [name for name in ("a/b.png", "../b.png", "/b.png", "a//b.png", ".dicomprep-tmp/b.png", "b.txt")
    ...  if is_image_name(name)]
    ['a/b.png']
    """
    parts = name.split("/")
    plain = all(part not in ("", ".", "..") and "\0" not in part for part in parts)
    return plain and name.endswith(ENDINGS) and parts[0] != SCRATCH


def require_image_name(name: str, address: str) -> str:
    """The name; EnvironmentFault where it leads to no image below the address."""
    if not is_image_name(name):
        shown = name.encode("unicode_escape").decode()
        message = f"The database names an image “{shown}”, which is none below {address}."
        raise EnvironmentFault(f"{message} Something other than dicomprep has changed it: restore a copy.")
    return name
