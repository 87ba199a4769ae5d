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
"""Enough of each class to keep slow programs busy for some seconds."""

COPIES = {"ct": 8, "ct_jpegls": 3, "ct_jpegll": 4, "ct_j2k": 2, "cr": 16, "mg": 50, "us": 50, "mr": 50}
"""Under so many names dicomprep is given each of them (hard links), so that starting up does not count much."""

ONE_FILE = {"dbt": Extent(1, 480)}
"""What dicomprep is given of classes that are one file."""


def few(name: str, *, cache: Path, scale: float) -> Corpus:
    """The files of a class, as many as slower programs can take."""
    return make(CLASSES[name], name, FEW[name].scaled(scale), cache=cache)


def full(name: str, *, cache: Path, scale: float) -> Corpus:
    """The same files under more names; or one longer file."""
    if name in ONE_FILE:
        return make(CLASSES[name], name, ONE_FILE[name].scaled(scale), cache=cache)
    once, copies = few(name, cache=cache, scale=scale), COPIES[name]

    def link(folder: Path) -> None:
        for number in range(copies):
            for file in once.files():
                copy = folder / f"{number}" / file.relative_to(once.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.hardlink_to(file)

    extent = Extent(once.extent.files * copies, once.extent.frames)
    return Corpus(keep(once.folder.with_name(f"{once.folder.name}_times{copies}"), link), extent)


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
