"""Corpora on disk: made once by all cores, then kept for the parts and runs that follow."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.corpus import CLASSES, Kind, write_file

__all__ = ["Corpus", "Extent", "few", "full", "keep", "make"]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is of a class."""

    files: int
    frames: int = 1
    """In each file."""

    def scaled(self, scale: float) -> "Extent":
        """`scale` times the files; of a single file, times the frames."""
        if self.files == 1:
            return Extent(1, max(2, round(self.frames * scale)))
        return Extent(max(1, round(self.files * scale)), self.frames)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A folder of files of one class."""

    folder: Path
    extent: Extent

    @property
    def frames(self) -> int:
        """Of all files."""
        return self.extent.files * self.extent.frames

    def files(self) -> list[Path]:
        """All of them, in a fixed order."""
        return sorted(self.folder.rglob("*.dcm"))

    def warm(self) -> None:
        """Read everything once, so that no side of a comparison has to wait for the disk."""
        for file in self.files():
            with file.open("rb") as opened:
                while opened.read(2**24):
                    pass


FULL = {
    "ct": Extent(5000),
    "ct_jpegls": Extent(1500),
    "ct_jpegll": Extent(2400),
    "ct_j2k": Extent(400),
    "cr": Extent(400),
    "mg": Extent(160),
    "us": Extent(20, 40),
    "mr": Extent(100, 100),
    "dbt": Extent(1, 160),
}
"""Enough of each class to keep dicomprep busy for some seconds."""

FEW = {
    "ct": Extent(1500),
    "ct_jpegls": Extent(1000),
    "ct_jpegll": Extent(1200),
    "ct_j2k": Extent(300),
    "cr": Extent(150),
    "mg": Extent(16),
    "us": Extent(2, 40),
    "mr": Extent(8, 100),
    "dbt": Extent(1, 10),
}
"""The same for slower programs: the first files of the class, of the tomosynthesis one with fewer frames."""


def full(name: str, *, cache: Path, scale: float) -> Corpus:
    """All files of a class."""
    return make(CLASSES[name], name, FULL[name].scaled(scale), cache=cache)


def few(name: str, *, cache: Path, scale: float) -> Corpus:
    """The first files of a class, as many as slower programs can take."""
    every, extent = full(name, cache=cache, scale=scale), FEW[name].scaled(scale)
    if extent.frames != every.extent.frames:
        return make(CLASSES[name], name, extent, cache=cache)

    def link(folder: Path) -> None:
        for file in every.files()[: extent.files]:
            copy = folder / file.relative_to(every.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.hardlink_to(file)

    return Corpus(keep(every.folder.with_name(f"{every.folder.name}_first{extent.files}"), link), extent)


def make(kind: Kind, name: str, extent: Extent, *, cache: Path) -> Corpus:
    """Files of a class, from the cache if they are there."""

    def write(folder: Path) -> None:
        with ProcessPoolExecutor() as pool:
            if extent.files == 1:
                write_file(kind, name, folder, number=0, frames=extent.frames, each=pool.map)
            else:
                work = partial(_write_number, kind, name, folder, extent.frames)
                list(pool.map(work, range(extent.files), chunksize=4))

    return Corpus(keep(cache / f"{name}_{extent.files}x{extent.frames}", write), extent)


def keep(folder: Path, write: Callable[[Path], None]) -> Path:
    """The folder that `write` fills, once: what a broken run left half-written is made again."""
    whole = folder.with_name(f"{folder.name}.whole")
    if not whole.exists():
        print(f"  making {folder.name}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write(folder)
        os.sync()
        whole.touch()
    return folder


def _write_number(kind: Kind, name: str, folder: Path, frames: int, number: int) -> None:
    write_file(kind, name, folder, number=number, frames=frames)
