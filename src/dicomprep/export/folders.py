"""A folder for each split and class, as torchvision's ImageFolder and others read it, and a table of its files."""

import csv
import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dicomprep.database.dataset_queries import SPLITS
from dicomprep.export.delimited import write_csv
from dicomprep.export.rows import Part

__all__ = ["UNLABELLED", "class_folder", "remove_files", "remove_strays", "write_files"]

UNLABELLED = "unlabelled"


def write_files(part: Part, path: Path) -> None:
    """Put the images in their places, and write the table that names them, with their digests."""
    before = _files(part.place)
    rows = []
    for number in part.numbers:
        label = part.rows.value("label", number)
        file = f"{part.rows.value('split', number)}/{class_folder(label)}/{part.rows.key(number)}.png"
        content = part.rows.image(number)
        _put(part.folder / file, content)
        before.discard(file)
        rows.append((file, hashlib.sha256(content).hexdigest(), *part.rows.values(number)))
    write_csv(path, ["file_name", "sha256", *part.rows.columns], rows)
    _remove(part.folder, before)


def remove_files(folder: Path, shard: Path) -> None:
    """Take the images away that the table names, then the table."""
    _remove(folder, _files(shard))
    shard.unlink(missing_ok=True)


def remove_strays(folder: Path, tables: Sequence[Path]) -> None:
    """Remove images that no table names: they are of an export that broke off, and may have another label by now."""
    named = set().union(*map(_files, tables))
    strays = {path.relative_to(folder).as_posix() for split in SPLITS for path in (folder / split).glob("*/*")}
    _remove(folder, strays - named)


def class_folder(label: str | None) -> str:
    """The folder of a class: its name where that is fit for any file system, else made so.

    >>> class_folder("mag view")
    'mag view'
    >>> class_folder("../a")
    '%2E%2E%2Fa'
    """
    if label is None:
        return UNLABELLED
    unfit = r"^[. ]+|[. ]+$|[^\w .,+-]" if label.lower() != UNLABELLED else r"^."
    safe = re.sub(unfit, lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), label)
    return safe if len(safe.encode()) <= 200 else f"{safe[:100]}%{hashlib.sha256(label.encode()).hexdigest()[:16]}"


def _put(place: Path, content: bytes) -> None:
    with suppress(FileNotFoundError):
        if place.read_bytes() == content:
            return
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = place.with_suffix(".tmp")
    scratch.write_bytes(content)
    scratch.replace(place)


def _files(table: Path) -> set[str]:
    """The files that a table names."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            return {row["file_name"] for row in csv.DictReader(file)}
    except FileNotFoundError:
        return set()


def _remove(folder: Path, files: set[str]) -> None:
    for file in files:
        (folder / file).unlink(missing_ok=True)
        with suppress(OSError):  # where others are still in it
            (folder / file).parent.rmdir()
