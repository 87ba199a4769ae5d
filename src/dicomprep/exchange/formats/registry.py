"""How each format is written: what its shards are called, and what makes one."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dicomprep.exchange.formats.csv import write_delimited
from dicomprep.exchange.formats.folder import remove_files, remove_strays, write_files, write_metadata
from dicomprep.exchange.formats.parquet import write_images, write_table
from dicomprep.exchange.formats.webdataset import write_archive
from dicomprep.exchange.options import Format
from dicomprep.exchange.rows import Part, Rows

__all__ = ["CELLS", "LAYOUT", "TABLES", "Layout", "layout_of"]

LAYOUT = 2
"""Number of the layout that new exports have; their manifests state it. One of an earlier release keeps its own."""
TABLES = (Format.CSV, Format.PARQUET)
"""Formats without images: a column of theirs has the names that images have in other exports."""

CELLS = (Format.CSV, Format.FOLDER)
"""Formats whose tables cannot tell an empty label from none."""


def _nothing(_folder: Path, _shards: Sequence[Path]) -> None:
    pass


def _no_index(_rows: Rows, _classes: Sequence[str], _folder: Path, _access: int) -> None:
    pass


def _remove(_folder: Path, shard: Path) -> None:
    shard.unlink(missing_ok=True)


def _public_name(split: str) -> str:
    """What Hugging Face's libraries and other programs call a split."""
    return "validation" if split == "val" else split


@dataclass(frozen=True, slots=True)
class Layout:
    """One format."""

    pattern: str
    """The name of a shard; where it says `{split}` or `{subset}`, all frames of a shard are of one split."""
    write: Callable[[Part, Path], None]
    """Write a shard to a file that is moved to its place afterward."""
    remove: Callable[[Path, Path], None] = _remove
    """Take a shard out of an export's folder, with all that belongs to it."""
    tidy: Callable[[Path, Sequence[Path]], None] = _nothing
    """Remove what an export that broke off wrote for a shard that is not among these."""
    index: Callable[[Rows, Sequence[str], Path, int], None] = _no_index
    """Write what lists the images of all shards."""
    files: str = ""
    """Pattern of the files of a split where they are others than its shards."""
    label: str = "text"
    """What the column `label` holds in files: names of classes (text) or their numbers (integer)."""
    subset: Callable[[str], str] = _public_name
    """The name of a split in names of files, and as `load_dataset` gives it."""

    @property
    def is_by_split(self) -> bool:
        """Whether all frames of a shard are of one split."""
        return "{split}" in self.pattern or "{subset}" in self.pattern

    def shard_name(self, split: str, number: int) -> str:
        """The name of a shard, below the export's folder."""
        return self.pattern.format(split=split, subset=self.subset(split), number=number)

    def files_of(self, split: str) -> str:
        """A pattern of the files of a split; empty where other splits are in them, too."""
        if not self.files:
            return self.shard_pattern(split) if self.is_by_split else ""
        return self.files.format(split=split)

    def shard_pattern(self, split: str) -> str:
        """A pattern of the shards in which images of a split are."""
        return _NUMBER.sub("*", self.pattern).format(split=split, subset=self.subset(split))


_NUMBER = re.compile(r"\{number[^}]*\}")

LAYOUTS = {
    Format.CSV: Layout("{subset}-{number:05d}.csv", write_delimited),
    Format.PARQUET: Layout("{subset}-{number:05d}.parquet", write_table),
    Format.WEBDATASET: Layout("{split}-{number:06d}.tar", write_archive),
    Format.HUGGINGFACE: Layout("data/{subset}-{number:05d}.parquet", write_images, label="integer"),
    Format.FOLDER: Layout(
        "frames-{number:05d}.csv", write_files, remove_files, remove_strays, write_metadata, files="{split}/**"
    ),
}

_EARLIER = {
    Format.CSV: Layout("frames-{number:05d}.csv", write_delimited),
    Format.PARQUET: Layout("frames-{number:05d}.parquet", write_table),
    Format.HUGGINGFACE: Layout(
        "data/{subset}-{number:05d}.parquet", partial(write_images, as_classes=False), subset=str
    ),
}
"""Where they differ from those that new exports have."""


def layout_of(kind: Format, number: int) -> Layout:
    """The layout with this number."""
    return LAYOUTS[kind] if number == LAYOUT else _EARLIER.get(kind, LAYOUTS[kind])
