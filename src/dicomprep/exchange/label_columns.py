"""What the rows of a table say: in a column of labels, a column for each class, or a row for each image and class."""

import ast
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from dicomprep.database.queries.frames import COLUMNS
from dicomprep.database.queries.units import UNCERTAIN_MARK
from dicomprep.errors import ConfigError
from dicomprep.exchange.columns import Cells
from dicomprep.exchange.dialects import normalized_heading
from dicomprep.exchange.kinds import kinds_of
from dicomprep.exchange.tables import ReadTable

__all__ = ["ANNOTATORS", "Said", "Uncertain", "read_labels", "read_one_hot"]

ANNOTATORS = (
    *("annotator", "annotator id", "rater", "rater id", "reader", "reader id", "rad id", "radiologist", "labeler"),
    *("labeled by", "labelled by", "reviewer"),
)
"""Headings of the column that says who gave a label."""

_NOTHING = ("", "nan")
"""What a cell without a label holds, in small letters: pandas writes nan where it turns everything into text."""
_BLANK, _ZERO, _ONE, _UNCERTAIN = range(4)
_FLAGS = {
    **dict.fromkeys(_NOTHING, _BLANK),
    **dict.fromkeys(("0", "0.0", "false"), _ZERO),
    **dict.fromkeys(("1", "1.0", "true"), _ONE),
    **dict.fromkeys(("-1", "-1.0"), _UNCERTAIN),
}
_TRUE = ("1", "1.0", "true", "yes")
_OTHERS = (
    *(
        "index",
        "row",
        "row number",
        "fold",
        "cv fold",
        "split",
        "subset",
        "negative",
        "unsure",
        "note",
        "created at",
        "timestamp",
        "date",
    ),
    *("x", "y", "w", "h", "width", "height", "xmin", "ymin", "xmax", "ymax", "x min", "y min", "x max", "y max"),
    *("frame", "slice", "age", "sex", "gender", "weight", "sample weight", "site", "view", "side", "adjudicated"),
    *("seed", "score", "model", "epoch"),
)
_NO_LABELS = frozenset(map(normalized_heading, (*COLUMNS, *ANNOTATORS, *_OTHERS)))
_COUNTS = re.compile(r".*(id|number|count|index|key|uid)|unnamed[0-9]*|level[0-9]+")
MAX_ONE_HOT_CLASSES = 200
LONG_TEXT = 100
"""Characters of a label from which it is taken for a report, not for a class."""


class Uncertain(StrEnum):
    """What becomes of −1."""

    KEEP = "keep"
    """A class of its own: `Edema (uncertain)`."""
    POSITIVE = "positive"
    NEGATIVE = "negative"


@dataclass(frozen=True, slots=True)
class Said:
    """What rows say."""

    table: ReadTable
    """With ids that name images, where they named a class as well."""
    values: list[str | None]
    """Labels; empty where none of the classes applies, None where nothing is said."""
    codes: NDArray[np.int32]
    """Of each row, its label."""
    headings: tuple[str, ...]
    """The columns that were read."""
    classes: tuple[str, ...] = ()
    """Of a table with a column or a row for each class, in their order."""
    is_one_hot: bool = False
    """The rows of an image belong together."""
    notes: tuple[str, ...] = ()

    def mapped(self, change: Callable[[str], str]) -> "Said":
        """The same with labels as `change` spells them."""
        return replace(self, values=[value if not value else change(value) for value in self.values])


def read_labels(table: ReadTable, wanted: Sequence[str], *, uncertain: Uncertain, multi: bool) -> Said:
    """The labels of a table: of the columns `wanted`, else of `label`, else of all that hold 0, 1, −1 or nothing.

    Raises ConfigError where there is no such column.
    """
    headings = [_require(table, name) for name in wanted]
    if not headings and (label := table.heading("label")) is not None:
        headings = [label]
    if headings and not (wanted and all(_is_flags(table.values(name)) for name in headings)):
        return _read_values(table, headings, multi=multi)
    classes = headings or [name for name in table.names if _is_class(table, name)]
    if not classes:
        there = ", ".join(name for name in table.names if name)
        raise ConfigError(f"{table.path}: no column `label`. Columns found: {there}. Give --label COLUMN.")
    said = _read_wide(table, classes, uncertain)
    skipped = [name or "a column without a name" for name in table.names if name not in classes and not kinds_of(name)]
    more = f" Not read: {', '.join(skipped)}." if skipped else ""
    return replace(said, notes=(f"Classes: {', '.join(classes)}.{more}", *said.notes))


def _require(table: ReadTable, name: str) -> str:
    heading = name if name in table.names else table.heading(name)
    if heading is None:
        there = ", ".join(one for one in table.names if one)
        raise ConfigError(f"{table.path}: no column `{name}`. Columns found: {there}.")
    return heading


def _is_flags(cells: Cells) -> bool:
    """Whether a column holds nothing but 0, 1, −1 and blanks, and not only these."""
    if cells.codes is None:
        return False
    found = {_FLAGS.get(value.lower()) for value in cells.values}
    return None not in found and bool(found - {_BLANK})


def _is_class(table: ReadTable, name: str) -> bool:
    heading = normalized_heading(name)
    if not name or heading in _NO_LABELS or kinds_of(name) or _COUNTS.fullmatch(heading):
        return False
    return _is_flags(table.values(name))


def _read_values(table: ReadTable, headings: Sequence[str], *, multi: bool) -> Said:
    """Labels as they stand in cells; of several columns all of them together."""
    parts = [table.values(heading) for heading in headings]
    cells = parts[0] if len(parts) == 1 else Cells([",".join(filter(None, row)) for row in zip(*parts, strict=True)])
    values: list[str | None] = [_label(value, multi=multi) for value in cells.values]
    codes = np.arange(len(cells), dtype=np.int32)
    if cells.codes is not None:
        codes = np.frombuffer(cells.codes, cells.codes.typecode).astype(np.int32)
    negative = table.column("negative")
    if negative is not None:
        is_none = np.array([value is None for value in values], bool)[codes]
        is_negative = np.fromiter((cell.lower() in _TRUE for cell in negative), bool, len(codes))
        codes = np.where(is_none & is_negative, len(values), codes).astype(np.int32)
        values.append("")
    long = sum(len(value or "") for value in values) > LONG_TEXT * max(1, len(values))
    warning = f"`{headings[0]}` holds free text: it may name patients, and exports of labels contain it."
    return Said(table, values, codes, tuple(headings), notes=(warning,) if long else ())


def _label(cell: str, *, multi: bool) -> str | None:
    """The label in a cell: a list of classes as Python writes it, or as it stands; with `multi` also `a|b`."""
    if cell.lower() in _NOTHING:
        return None
    if cell.startswith("[") and cell.endswith("]"):
        try:
            classes = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return cell
        if isinstance(classes, list) and all(isinstance(one, str) for one in classes):
            return ",".join(dict.fromkeys(_require_name(one.strip()) for one in classes))
    return ",".join(dict.fromkeys(filter(None, map(str.strip, cell.split("|"))))) if multi else cell


def _require_name(name: str) -> str:
    if "," in name:
        raise ConfigError(f"The class “{name}” contains a comma, which separates classes: rename it.")
    return name


def _read_wide(table: ReadTable, classes: Sequence[str], uncertain: Uncertain) -> Said:
    """A column a class: rows with any value say which classes apply; blanks beside values are 0."""
    for name in classes:
        _require_name(name)
    flags = np.stack([_flags(table.values(name)) for name in classes], axis=1)
    rows = np.ascontiguousarray(flags).view(f"S{len(classes)}").ravel()
    _, first, codes = np.unique(rows, return_index=True, return_inverse=True)
    values = [_join(classes, flags[row].tolist(), uncertain) for row in first.tolist()]
    notes = _explain_uncertain(int(np.count_nonzero(flags == _UNCERTAIN)), uncertain)
    return Said(table, values, codes.astype(np.int32).ravel(), tuple(classes), tuple(classes), notes=notes)


def _flags(cells: Cells) -> NDArray[np.uint8]:
    known = np.array([_FLAGS[value.lower()] for value in cells.values], np.uint8)
    codes = cells.codes or array("H")
    return known[np.frombuffer(codes, codes.typecode)]


def _join(classes: Sequence[str], flags: Sequence[int], uncertain: Uncertain) -> str | None:
    """The label of a row of flags; None where all are blank."""
    if not any(flags):
        return None
    return ",".join(filter(None, (_said(name, flag, uncertain) for name, flag in zip(classes, flags, strict=True))))


def _said(name: str, flag: int, uncertain: Uncertain) -> str:
    if flag == _UNCERTAIN and uncertain is Uncertain.KEEP:
        return name + UNCERTAIN_MARK
    return name if flag == _ONE or (flag == _UNCERTAIN and uncertain is Uncertain.POSITIVE) else ""


def _explain_uncertain(count: int, uncertain: Uncertain) -> tuple[str, ...]:
    if not count:
        return ()
    became = f"kept as CLASS{UNCERTAIN_MARK}" if uncertain is Uncertain.KEEP else f"taken as {uncertain}"
    return (f"{count:,} uncertain values (−1) were {became}; --uncertain decides.",)


@dataclass(slots=True)
class _Parted:
    """Ids such as `ID_12cadc6af_epidural`, taken apart."""

    images: list[str] = field(default_factory=list)
    classes: "array[int]" = field(default_factory=lambda: array("H"))
    names: dict[str, int] = field(default_factory=dict)


def read_one_hot(table: ReadTable, *, uncertain: Uncertain) -> Said | None:
    """A row for each image and class, whose id ends in the class and whose label is 0 or 1; None where it is not so.

    For tables whose ids are no images as they stand.
    """
    label = table.heading("label")
    if label is None or not _is_flags(table.values(label)):
        return None
    flags = table.values(label)
    for heading in (name for name in table.names if name != label and kinds_of(name)):
        parted = _part(table.values(heading))
        if parted is None:
            continue
        place = table.names.index(heading)
        columns = (*table.columns[:place], Cells(parted.images), *table.columns[place + 1 :])
        classes = tuple(_require_name(name) for name in parted.names)
        values, codes = _combine(classes, np.frombuffer(parted.classes, np.uint16), _flags(flags), uncertain)
        notes = (
            f"`{heading}` names an image and a class. Classes: {', '.join(classes)}.",
            *_explain_uncertain(int(np.count_nonzero(_flags(flags) == _UNCERTAIN)), uncertain),
        )
        parted_table = replace(table, columns=columns)
        return Said(parted_table, values, codes, (label,), classes, is_one_hot=True, notes=notes)
    return None


def _combine(
    classes: Sequence[str], codes: NDArray[np.uint16], flags: NDArray[np.uint8], uncertain: Uncertain
) -> tuple[list[str | None], NDArray[np.int32]]:
    """The label of each pair of a class and a flag."""
    values = [_join([name], [flag], uncertain) for name in classes for flag in range(4)]
    return values, (codes.astype(np.int32) * 4 + flags).astype(np.int32)


def _part(cells: Cells) -> _Parted | None:
    """Ids and classes; None where rows do not name each image with each class."""
    parted = _Parted()
    for image, name in _split_ids(cells):
        if not name or len(parted.names) > MAX_ONE_HOT_CLASSES:
            return None
        parted.images.append(image)
        parted.classes.append(parted.names.setdefault(name, len(parted.names)))
    whole = len(parted.names) > 1 and len(set(parted.images)) * len(parted.names) <= len(parted.images)
    return parted if whole else None


def _split_ids(cells: Cells) -> Iterator[tuple[str, str]]:
    for cell in cells:
        image, _, name = cell.rpartition("_")
        yield (image, name) if image else ("", "")
