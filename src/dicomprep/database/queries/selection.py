"""The selected frames of a database, as columns that a million of them fill with some 150 MB.

No connection stays open, and little but arrays is held: a selection may be pickled, and processes that were forked
share it, for no reference counts lie among its values.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from dicomprep.database.queries.frames import Choice, class_names, select_frames

__all__ = ["Selection", "read_selection"]

NUMBERS = ("id", "size")
UNIQUE = ("filename", "thumbnail_path", "sop_instance_uid", "path", "digest")
"""Columns in which hardly a value occurs twice; in the others few values occur often."""

BATCH_ROWS = 10_000
"""Rows held at a time; bounds memory."""


class Column(Protocol):
    """The values of one column."""

    def __getitem__(self, row: int) -> Any: ...  # noqa: ANN401


@dataclass(frozen=True, slots=True)
class Coded:
    """Few values, of which each row has one."""

    codes: NDArray[np.int32]
    values: list[Any]

    def __getitem__(self, row: int) -> Any:  # noqa: ANN401
        return self.values[self.codes[row]]


@dataclass(frozen=True, slots=True)
class Packed:
    """Values of their own, end to end."""

    content: bytes
    ends: NDArray[np.int64]
    text: bool
    """Whether the values are text rather than bytes."""

    def __getitem__(self, row: int) -> str | bytes:
        start = self.ends[row - 1] if row else 0
        value = self.content[start : self.ends[row]]
        return value.decode() if self.text else value


@dataclass(frozen=True, slots=True)
class Selection:
    """Frames in the order of their ids."""

    classes: tuple[str, ...]
    """The labels that occur in the whole database, whichever frames are selected."""
    columns: dict[str, Any]
    length: int

    def __len__(self) -> int:
        return self.length

    def row(self, number: int, names: Sequence[str]) -> tuple[Any, ...]:
        """Some values of one frame."""
        return tuple(self.columns[name][number] for name in names)

    def coded(self, name: str) -> Coded:
        """A column of few values, with the code of each row."""
        column = self.columns[name]
        if not isinstance(column, Coded):
            raise TypeError(f"{name} is not coded")
        return column


def read_selection(connection: Connection, columns: Sequence[str], choice: Choice) -> Selection:
    """Read the frames that are wanted; ConfigError where the choice is wrong."""
    builders = [_builder(name) for name in columns]
    length = _fill(builders, select_frames(connection, columns, choice))
    built = {name: builder.build() for name, builder in zip(columns, builders, strict=True)}
    return Selection(tuple(class_names(connection)), built, length)


def _fill(builders: Sequence["_Builder"], rows: Iterable[Sequence[Any]]) -> int:
    rows, length = iter(rows), 0
    while piece := list(islice(rows, BATCH_ROWS)):
        length += len(piece)
        for builder, values in zip(builders, zip(*piece, strict=True), strict=True):
            builder.add(values)
    return length


class _Builder(Protocol):
    def add(self, values: Sequence[Any]) -> None: ...

    def build(self) -> Column: ...


def _builder(name: str) -> _Builder:
    if name in NUMBERS:
        return _NumberBuilder()
    return _PackedBuilder(text=name != "digest") if name in UNIQUE else _CodedBuilder()


class _NumberBuilder:
    def __init__(self) -> None:
        self._values = array("q")

    def add(self, values: Sequence[int]) -> None:
        self._values.extend(values)

    def build(self) -> "array[int]":
        return self._values


class _CodedBuilder:
    def __init__(self) -> None:
        self._codes, self._known = array("i"), dict[Any, int]()

    def add(self, values: Sequence[Any]) -> None:
        known = self._known
        self._codes.extend([known.setdefault(value, len(known)) for value in values])

    def build(self) -> Coded:
        return Coded(np.array(self._codes, np.int32), list(self._known))


class _PackedBuilder:
    def __init__(self, *, text: bool) -> None:
        self._text, self._content, self._ends = text, bytearray(), array("q")

    def add(self, values: Sequence[str | bytes | None]) -> None:
        for value in values:
            self._content += value.encode() if isinstance(value, str) else value or b""
            self._ends.append(len(self._content))

    def build(self) -> Packed:
        return Packed(bytes(self._content), np.array(self._ends, np.int64), self._text)
