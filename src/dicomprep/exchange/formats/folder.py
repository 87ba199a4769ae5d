"""A folder for each split and class, as torchvision's ImageFolder and others read it, and a table of its files."""

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from dicomprep.config import SPLIT_NAMES
from dicomprep.exchange.formats.csv import write_csv
from dicomprep.exchange.rows import NEGATIVE, Numbers, Part, Rows
from dicomprep.storage.access import make_folder
from dicomprep.storage.naming import fit_for_any_system, folded_name
from dicomprep.storage.sync import new_file, replace_file

__all__ = ["UNLABELED", "class_folders", "remove_files", "remove_strays", "write_files", "write_metadata"]

UNLABELED = "unlabelled"
METADATA = "metadata.csv"
CLASSES = "classes.txt"
"""ImageFolder numbers the folders that one split has: with this list a class has its number in all of them."""
LISTED = ("file_name", "label", "key", "patient_key")
NO_CLASS = -1
"""In place of a class number, as `datasets` and `dicomprep.Dataset` have it."""


def write_files(part: Part, path: Path) -> None:
    """Put the images in their places, and write the table that names them, with their digests."""
    before = _files(part.place)
    rows, folders = [], class_folders(part.classes)
    for number, said in zip(part.numbers, part.rows.values(part.numbers), strict=True):
        label = part.rows.value("label", number)
        file = f"{part.rows.value('split', number)}/{folders[label]}/{part.rows.image_name(number)}"
        content = part.rows.image(number)
        _put(part.folder / file, content, part.access)
        before.discard(file)
        rows.append((file, hashlib.sha256(content).hexdigest(), *said))
    write_csv(path, ["file_name", "sha256", *part.rows.columns], rows)
    _remove(part.folder, before)


def remove_files(folder: Path, shard: Path) -> None:
    """Take the images away that the table names, then the table."""
    _remove(folder, _files(shard))
    shard.unlink(missing_ok=True)


def remove_strays(folder: Path, tables: Sequence[Path]) -> None:
    """Remove images that no table names: they are of an export that broke off, and may have another label by now."""
    named = set().union(*map(_files, tables))
    strays = {path.relative_to(folder).as_posix() for split in SPLIT_NAMES for path in (folder / split).glob("*/*")}
    _remove(folder, strays - named)


def write_metadata(rows: Rows, classes: Sequence[str], folder: Path, access: int) -> None:
    """For each split, `metadata.csv` as Hugging Face's `imagefolder` wants it; for all, the order of the classes.

    No column of `metadata.csv` is ever empty: from one that is, `imagefolder` would guess another type in one split
    than in another, and refuse both.
    """
    names = [name for label, name in class_folders(classes).items() if label is not None]
    replace_file(folder / CLASSES, "".join(f"{name}\n" for name in names).encode(), mode=0o666 & access)
    for split in SPLIT_NAMES:
        place, numbers = folder / split / METADATA, rows.of_split(split)
        if len(numbers):
            with new_file(place, mode=0o666 & access) as draft:
                write_csv(
                    Path(draft.name), ["file_name", "label", "key", "patient_key"], _listed(rows, classes, numbers)
                )
        else:
            place.unlink(missing_ok=True)
            with suppress(OSError):  # there is no such split, or something of somebody else's in it
                place.parent.rmdir()


def _listed(rows: Rows, classes: Sequence[str], numbers: Numbers) -> Iterable[tuple[str, int, str, str]]:
    folders, places = class_folders(classes), {name: number for number, name in enumerate(classes)}
    said = (rows.columns[name].take(rows.order[numbers]) for name in ("label", "key", "patient_key"))
    for number, label, key, patient in zip(numbers, *said, strict=True):
        yield f"{folders[label]}/{rows.image_name(number)}", places.get(label, NO_CLASS), key, patient


def class_folders(classes: Iterable[str]) -> dict[str | None, str]:
    """The folder of each class: its name where that is fit for any file system and no other's, else made so.

    Of classes that differ in capitals alone the first one keeps its name: on many a disk they would be one. Images that
    were labeled with no class, the empty one, are in `negative`.

    >>> list(class_folders(["mag view", "../a", "Nul", "Mag View"]).values())
    ['unlabelled', 'mag view', '%2E%2E%2Fa', '%4Eul', 'Mag View%df248870cea22a13']
    """
    folders: dict[str | None, str] = {None: UNLABELED}
    taken = {UNLABELED}
    for label in classes:
        folder = _class_folder(label) or NEGATIVE
        if folded_name(folder) in taken:
            folder += _short_hash(label)
        taken.add(folded_name(folder))
        folders[label] = folder
    return folders


def _class_folder(label: str) -> str:
    unfit = r"^[. ]+|[. ]+$|[^\w .,+%-]" if label.lower() != UNLABELED else r"^."
    fit = fit_for_any_system(label)
    safe = re.sub(unfit, lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), fit)
    return safe if len(safe.encode()) <= 200 else safe[:100] + _short_hash(label)


def _short_hash(label: str) -> str:
    return f"%{hashlib.sha256(label.encode()).hexdigest()[:16]}"


def _put(place: Path, content: bytes, access: int) -> None:
    with suppress(FileNotFoundError):
        if place.read_bytes() == content:
            return
    make_folder(place.parent, access)
    replace_file(place, content, mode=0o666 & access)


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
