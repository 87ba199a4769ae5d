"""Thumbnails of object stores that this machine has read already, in a folder of the user's, bounded in size.

An image is kept under its digest and checked against it when it is read again, so it is never another picture.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from dicomprep.storage.access import OWNER, make_folder
from dicomprep.storage.base import ImageStore
from dicomprep.storage.place import is_url
from dicomprep.storage.source import digest_bytes

__all__ = ["FOLDER_VARIABLE", "MAX_IMAGE_BYTES", "SIZE_VARIABLE", "ImageCache", "read_image"]

FOLDER_VARIABLE, SIZE_VARIABLE = "DICOMPREP_CACHE", "DICOMPREP_CACHE_GB"
"""Where it is, nowhere if empty; and how large it may grow."""

DEFAULT_GB = 20.0
SWEPT_SHARE = 0.9
"""What is left of its bound when room is made."""

MAX_IMAGE_BYTES = 2**27
"""More than the largest thumbnail has."""

WRITTEN_BETWEEN_SWEEPS = 2**26
"""Bytes that a process adds before it looks again how large the folder is; bounds by how much it may be too large."""


class ImageCache:
    """A folder of images by digest. Several threads and processes may use it; what fails there is only slower."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._unswept = WRITTEN_BETWEEN_SWEEPS
        """Bytes added since room was made: a new process looks after its first image."""

    def read(self, digest: bytes, fetch: Callable[[], bytes]) -> bytes:
        """The image with this digest, from here or, the first time, as it is fetched."""
        place = self._place(digest)
        with suppress(OSError):
            content = place.read_bytes()
            if digest_bytes(content) == digest:
                return content
        content = fetch()
        if digest_bytes(content) == digest:
            with suppress(OSError):
                self._keep(place, content)
        return content

    def _place(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._folder / name[:2] / f"{name[2:]}.png"  # whatever its format

    def _keep(self, place: Path, content: bytes) -> None:
        make_folder(place.parent, OWNER)
        number, draft = tempfile.mkstemp(dir=place.parent)  # its owner's alone
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
            os.replace(draft, place)
        except OSError:
            Path(draft).unlink(missing_ok=True)
            raise
        self._unswept += len(content)
        if self._unswept >= min(WRITTEN_BETWEEN_SWEEPS, self._most // 10):
            self._unswept = 0
            self._make_room()

    def _make_room(self) -> None:
        """Where it is too large remove some of it by lot.

        What loaders read comes round once an epoch: of a data set that is larger than the cache the oldest images are
        those that are needed next, and by lot a part of it stays.
        """
        sizes = {folder: sum(_sizes(folder)) for folder in self._folder.iterdir() if len(folder.name) == 2}
        total, folders = sum(sizes.values()), random.sample(list(sizes), len(sizes))
        if total <= self._most:
            return
        while folders and total > self._most * SWEPT_SHARE:
            shutil.rmtree(folders[-1], ignore_errors=True)
            total -= sizes[folders.pop()]


def read_image(images: ImageStore, name: str, digest: bytes) -> bytes:
    """An image of which the digest is recorded; of one that is far too large the first bytes.

    What lies in an object store is fetched once: afterward it is this machine's copy. Raises what the store raises.
    """

    def fetch() -> bytes:
        return images.read(name, most=MAX_IMAGE_BYTES)

    cache = _cache(os.environ.get(FOLDER_VARIABLE), os.environ.get(SIZE_VARIABLE)) if is_url(images.address) else None
    return fetch() if cache is None else cache.read(digest, fetch)


@lru_cache(maxsize=4)
def _cache(folder: str | None, gigabytes: str | None) -> ImageCache | None:
    """The one that the environment names; None where it asks for none."""
    if folder == "":
        return None
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        most = float(gigabytes or DEFAULT_GB)
    except ValueError:
        most = DEFAULT_GB
    return ImageCache(Path(folder) if folder else home / "dicomprep", int(most * 1e9)) if most > 0 else None


def _sizes(folder: Path) -> Iterator[int]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                yield entry.stat(follow_symlinks=False).st_size
