"""How each format is written: what its shards are called, and what makes one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dicomprep.exchange.formats.csv import write_delimited
from dicomprep.exchange.formats.folder import remove_files, remove_strays, write_files
from dicomprep.exchange.formats.parquet import write_images, write_table
from dicomprep.exchange.formats.webdataset import write_archive
from dicomprep.exchange.options import Format
from dicomprep.exchange.rows import Part

__all__ = ["LAYOUTS", "Layout"]


def _nothing(_folder: Path, _shards: Sequence[Path]) -> None:
    pass


def _remove(_folder: Path, shard: Path) -> None:
    shard.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Layout:
    """One format."""

    pattern: str
    """The name of a shard; where it says `{split}`, all frames of a shard are of one split."""
    write: Callable[[Part, Path], None]
    """Write a shard to a file that is moved to its place afterward."""
    remove: Callable[[Path, Path], None] = _remove
    """Take a shard out of an export's folder, with all that belongs to it."""
    tidy: Callable[[Path, Sequence[Path]], None] = _nothing
    """Remove what an export that broke off wrote for a shard that is not among these."""


LAYOUTS = {
    Format.CSV: Layout("frames-{number:05d}.csv", write_delimited),
    Format.PARQUET: Layout("frames-{number:05d}.parquet", write_table),
    Format.WEBDATASET: Layout("{split}-{number:06d}.tar", write_archive),
    Format.HUGGINGFACE: Layout("data/{split}-{number:05d}.parquet", write_images),
    Format.FOLDER: Layout("frames-{number:05d}.csv", write_files, remove_files, remove_strays),
}
