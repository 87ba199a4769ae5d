"""What lies below the output folder although no row names it: images of ours, half-written ones, foreign files."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dicomprep.errors import EnvironmentFault
from dicomprep.storage import OWN_PREFIX, SCRATCH, clear_scratch, readable_path

__all__ = ["Leftovers"]

PIECE = 256
"""So many images are looked up in the database at a time."""

OTHER_PICTURES = (b"\xff\xd8\xff", b"GIF8", b"RIFF")
"""How files begin that are whole pictures but no PNG, whatever they are called."""

MOST_BYTES = 2**28


@dataclass(slots=True)
class Leftovers:
    """Finds them folder by folder; with `clear`, removes those that are this program's."""

    output_dir: Path
    own: Collection[str]
    """The program's own files that are no images, as absolute paths."""
    named: Callable[[Sequence[str]], set[str]]
    """Those of some paths below the output that rows name."""
    clear: bool = False
    foreign: int = 0
    """Files that are not this program's making. They are never touched."""

    def half_written(self) -> Iterator[str]:
        """Files that a killed run left in its scratch folder."""
        for folder, _, names in os.walk(self.output_dir / SCRATCH):
            for name in names:
                yield readable_path(os.path.relpath(os.path.join(folder, name), self.output_dir))
        if self.clear:
            clear_scratch(self.output_dir)

    def orphans(self) -> Iterator[str]:
        """Images that no row names. What begins with a dot is not ours, nor what is a link."""
        folders = [""]
        while folders:
            folder = folders.pop()
            removed = False
            for names in self._images(folder, folders):
                places = [f"{folder}/{name}" if folder else name for name in names]
                known = self.named(places)
                for place in (p for p in places if p not in known and self._is_ours(p)):
                    yield place
                    removed = self._remove(place) or removed
            if removed:
                self._remove_emptied(folder)

    def _images(self, folder: str, folders: list[str]) -> Iterator[list[str]]:
        """The names of a folder's PNG files, some at a time; its folders are added to `folders`."""
        names: list[str] = []
        try:
            with os.scandir(self.output_dir / folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if not entry.name.startswith("."):
                            folders.append(f"{folder}/{entry.name}" if folder else entry.name)
                    elif self._may_be_image(entry):
                        names.append(entry.name)
                    if len(names) == PIECE:
                        yield names
                        names = []
        except OSError as error:
            raise EnvironmentFault(f"{self.output_dir / folder} cannot be listed: {error.strerror}") from error
        if names:
            yield names

    def _may_be_image(self, entry: os.DirEntry[str]) -> bool:
        """Whether a file is called like an image of ours; else it is counted, unless it is another file of ours."""
        name = entry.name
        if name.endswith(".png") and name[0] != "." and name.isprintable() and entry.is_file(follow_symlinks=False):
            return True
        self.foreign += not name.startswith(OWN_PREFIX) and entry.path not in self.own
        return False

    def _is_ours(self, place: str) -> bool:
        """Whether an unnamed PNG is of this program's making, or too broken to be anyone's."""
        from dicomprep.pixels.png import SIGNATURE, is_own_png  # loads encoders

        with suppress(OSError), (self.output_dir / place).open("rb") as file:
            content = file.read(MOST_BYTES)
            if content.startswith(OTHER_PICTURES) or (content.startswith(SIGNATURE) and not is_own_png(content)):
                self.foreign += 1
                return False
        return True

    def _remove(self, place: str) -> bool:
        if not self.clear:
            return False
        try:
            (self.output_dir / place).unlink(missing_ok=True)
        except OSError as error:
            raise EnvironmentFault(f"{self.output_dir / place} cannot be removed: {error.strerror}") from error
        return True

    def _remove_emptied(self, folder: str) -> None:
        """Remove a folder, and those that hold nothing else, if the last image in it was removed."""
        with suppress(OSError):
            while folder:
                (self.output_dir / folder).rmdir()
                folder = folder.rpartition("/")[0]
