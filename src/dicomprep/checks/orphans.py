"""Files in the output folder that are not in the database: orphaned images, incomplete ones, foreign files."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from dicomprep.errors import disk_fault
from dicomprep.pixels.encoding import ImageFormat, format_of
from dicomprep.storage.base import Entry, ImageStore
from dicomprep.storage.paths import OWN_PREFIX

__all__ = ["Leftovers"]

BATCH_IMAGES = 256
"""Images looked up in the database at a time."""

MARK_BYTES = 64
"""The beginning of a file, enough to tell who made it; in a WebP file that stands at the end."""


@dataclass(slots=True)
class Leftovers:
    """Finds them folder by folder; with `clear`, removes those that are this program's."""

    images: ImageStore
    own: Collection[str]
    """The program's own files that are no images, as absolute paths."""
    named: Callable[[Sequence[str]], set[str]]
    """Those of some paths below the output that rows name."""
    clear: bool = False
    foreign: int = 0
    """Files that are not this program's making, or do not say so. They are never touched."""

    def half_written(self) -> Iterator[str]:
        """What a killed run left half-written."""
        yield from self.images.half_written()
        if self.clear:
            self.images.clear_scratch()

    def orphans(self) -> Iterator[str]:
        """Images that no row names. What begins with a dot is not ours, nor what is a link."""
        try:
            for folder in self.images.folders():
                if not _is_hidden(folder):
                    yield from self._orphans_in(folder)
        except OSError as error:
            raise disk_fault(f"{self.images.address} cannot be listed", error) from error

    def _orphans_in(self, folder: str) -> Iterator[str]:
        removed = False
        for places in _pieces(filter(self._may_be_image, self.images.entries(folder))):
            known = self.named(places)
            for place in (p for p in places if p not in known and self._is_ours(p)):
                yield place
                if self.clear:
                    self.images.remove([place])
                    removed = True
        if removed:
            self.images.remove_emptied(folder)

    def _may_be_image(self, entry: Entry) -> bool:
        """Whether a file is called like an image of ours; else it is counted, unless it is another file of ours."""
        folder, _, name = entry.path.rpartition("/")
        if _is_hidden(folder):  # of an object store, whose folders are not searched one by one
            return False
        if entry.is_image and name[0] != "." and name.isprintable():
            return True
        self.foreign += (
            not entry.is_folder and not name.startswith(OWN_PREFIX) and self.images.where(entry.path) not in self.own
        )
        return False

    def _is_ours(self, place: str) -> bool:
        """Whether an image that no row names says that this program made it."""
        from dicomprep.pixels.image_file import is_own_image  # loads encoders

        most = None if format_of(place) is ImageFormat.WEBP else MARK_BYTES
        with suppress(OSError):
            if is_own_image(self.images.read(place, most=most)):
                return True
        self.foreign += 1
        return False


def _is_hidden(folder: str) -> bool:
    return "/." in f"/{folder}"


def _pieces(entries: Iterator[Entry]) -> Iterator[list[str]]:
    while piece := [entry.path for entry in islice(entries, BATCH_IMAGES)]:
        yield piece
