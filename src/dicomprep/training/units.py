"""Frames together as series, studies or patients, and labels of these."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from dicomprep.database.queries.classes import in_class_order
from dicomprep.database.queries.columns import Coded, CodedBuilder
from dicomprep.database.queries.selection import Selection
from dicomprep.database.queries.units import decided_units, patient_heads
from dicomprep.database.queries.versions import find_version, frozen_units
from dicomprep.errors import ConfigError

__all__ = ["IMAGE", "UNITS", "Units", "label_units", "require_unit"]

IMAGE = "image"
UNITS = (IMAGE, "series", "study", "patient")
"""What a target may be of, the narrowest first."""


@dataclass(frozen=True, slots=True)
class Units:
    """What targets are of."""

    rows: NDArray[np.int64]
    """The rows of the selection, those of one unit side by side."""
    starts: NDArray[np.int64]
    """Where the rows of each unit begin, and the last end."""
    label: Coded
    """Of each unit."""
    known: tuple[str, ...]
    """The labels that occur in the whole database."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, number: int) -> NDArray[np.int64]:
        """The rows of one unit. Returns (n,) int64."""
        return self.rows[self.starts[number] : self.starts[number + 1]]

    def subset(self, numbers: NDArray[np.int64]) -> "Units":
        """Only some of the units, `numbers` (n,). Returns units with rows (m,) and starts (n + 1,)."""
        sizes = np.diff(self.starts)[numbers]
        starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        places = np.arange(starts[-1]) + np.repeat(self.starts[numbers] - starts[:-1], sizes)
        return Units(self.rows[places], starts, Coded(self.label.codes[numbers], self.label.values), self.known)


def require_unit(unit: str) -> None:
    """ConfigError where there is no such unit."""
    if unit not in UNITS:
        raise ConfigError(f'unit="{unit}": choose from {", ".join(UNITS)}.')


def label_units(
    connection: Connection, selection: Selection, unit: str, *, inherit: bool, version: str | None = None
) -> Units:
    """Group the frames, and give each unit its label: with `inherit` that of the nearest wider one, if it has none.

    Labels are those of today, or of a version. Returns units with rows (n,), and starts (units + 1,); `selection` has
    columns of codes (n,).

    A frame whose header names no series or study is a unit by itself.
    """
    rows, starts = _group(selection, _keys(connection, selection, unit))
    levels = UNITS[UNITS.index(unit) :] if inherit else (unit,)
    frozen = None if version is None else find_version(connection, version)
    label: list[str | None] = [None] * (len(starts) - 1)
    known: dict[str, None] = {}
    for level in levels:
        given = list(selection.coded("label").take(rows[starts[:-1]])) if level == IMAGE else []
        if level == IMAGE:
            known.update(dict.fromkeys(selection.classes))
        else:
            decided = frozen_units(connection, frozen, level) if frozen else decided_units(connection, level)
            known.update(dict.fromkeys(in_class_order(decided.values(), selection.order, padded=frozen is None)))
            given = [decided.get(key) for key in selection.coded(f"{level}_key").take(rows[starts[:-1]])]
        label = [mine if mine is not None else wider for mine, wider in zip(label, given, strict=True)]
    builder = CodedBuilder()
    builder.add(label)
    several = in_class_order(known, selection.order, padded=frozen is None)
    return Units(rows, starts, builder.build(), tuple(known) if len(levels) == 1 else several)


def _keys(connection: Connection, selection: Selection, unit: str) -> NDArray[np.int64]:
    """A number for the unit of each row."""
    if unit == IMAGE:
        return np.arange(len(selection))
    column = selection.coded(f"{unit}_key")
    heads = patient_heads(connection) if unit == "patient" else {}
    places = {key: place for place, key in enumerate(column.values)}
    numbers = np.array([places.get(heads.get(key, key), place) for key, place in places.items()], np.int64)
    codes = numbers[column.codes] if len(numbers) else np.zeros(0, np.int64)
    missing = codes == places.get(None, UNKNOWN)
    codes[missing] = len(numbers) + np.flatnonzero(missing)
    return codes


UNKNOWN = -1


def _group(selection: Selection, keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by unit, units in the order of their first frames; where each begins."""
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    rows = np.lexsort((np.arange(len(selection)), first[codes])) if len(keys) else np.zeros(0, np.int64)
    starts = np.append(np.flatnonzero(np.diff(first[codes][rows], prepend=UNKNOWN)), len(rows))
    return rows.astype(np.int64), starts.astype(np.int64)
