"""Columns of millions of rows in little memory: codes of few values, texts by what differs from the last."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coded", "CodedBuilder", "Column", "ColumnBuilder", "Digests", "DigestsBuilder", "NumbersBuilder", "Rows"]
__all__ += ["Texts", "TextsBuilder"]

Rows = NDArray[np.int64] | NDArray[np.int32]
"""Numbers of rows."""

BLOCK = 16
"""Every so many texts one stands as a whole: to read one, no more than these are put together."""

MAX_SHARED_BYTES = 255
DIGEST_BYTES = 16


class Column(Protocol):
    """The values of one column."""

    def __getitem__(self, row: int) -> Any: ...  # noqa: ANN401

    def take(self, rows: Rows) -> Sequence[Any]:
        """The values of some rows."""
        ...


class ColumnBuilder(Protocol):
    """Makes a column of values that come a list at a time."""

    def add(self, values: Sequence[Any]) -> None: ...

    def build(self) -> Column: ...


@dataclass(frozen=True, slots=True)
class Coded:
    """Few values, of which each row has one."""

    codes: NDArray[Any]
    """Unsigned integers of as many bytes as it takes."""
    values: list[Any]

    def __getitem__(self, row: int) -> Any:  # noqa: ANN401
        return self.values[self.codes[row]]

    def take(self, rows: Rows) -> Sequence[Any]:
        """The values of some rows."""
        return [self.values[code] for code in self.codes[rows].tolist()]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Whole numbers."""

    numbers: "array[int]"

    def __getitem__(self, row: int) -> int:
        return self.numbers[row]

    def take(self, rows: Rows) -> Sequence[int]:
        """The values of some rows."""
        return [self.numbers[row] for row in rows.tolist()]


@dataclass(frozen=True, slots=True)
class Digests:
    """Values of one length."""

    content: bytearray
    length: int

    def __getitem__(self, row: int) -> bytes:
        return bytes(self.content[row * self.length : (row + 1) * self.length])

    def take(self, rows: Rows) -> Sequence[bytes]:
        """The values of some rows."""
        return [self[row] for row in rows.tolist()]


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts that resemble their neighbors, as UTF-8."""

    content: bytearray
    """What each does not share with the one before, end to end."""
    shared: NDArray[np.uint8]
    """How many bytes each begins with that the one before begins with, too."""
    own: NDArray[Any]
    """How many bytes of `content` each has."""
    starts: NDArray[np.int64]
    """Where each block begins in `content`."""

    def __getitem__(self, row: int) -> str:
        first = row - row % BLOCK
        start, text = int(self.starts[row // BLOCK]), b""
        places = zip(self.shared[first : row + 1].tolist(), self.own[first : row + 1].tolist(), strict=True)
        for shared, own in places:
            text = text[:shared] + self.content[start : start + own]
            start += own
        return text.decode()

    def take(self, rows: Rows) -> Sequence[str]:
        """The values of some rows."""
        return [self[row] for row in rows.tolist()]


class NumbersBuilder:
    """For whole numbers."""

    def __init__(self) -> None:
        self._values = array("q")

    def add(self, values: Sequence[int]) -> None:
        """Add the next rows."""
        self._values.extend(values)

    def build(self) -> Numbers:
        """The column."""
        return Numbers(self._values)


class CodedBuilder:
    """For few values; codes take no byte while there is one value, one up to 256 values, then two, then four."""

    def __init__(self) -> None:
        self._codes, self._known = array("B"), dict[Any, int]()
        self._alike = 0
        """Rows before the first that has another value than all before."""

    def add(self, values: Sequence[Any]) -> None:
        """Add the next rows."""
        known = self._known
        for value in dict.fromkeys(values):
            known.setdefault(value, len(known))
        if len(known) <= 1:
            self._alike += len(values)
            return
        if self._alike:
            self._codes, self._alike = array("B", bytes(self._alike)), 0
        self._codes = _wide_enough(self._codes, len(known) - 1)
        self._codes.extend(map(known.__getitem__, values))

    def build(self) -> Coded:
        """The column."""
        codes = np.frombuffer(self._codes, self._codes.typecode)
        return Coded(np.broadcast_to(np.uint8(0), self._alike) if self._alike else codes, list(self._known))


def _wide_enough(numbers: "array[int]", greatest: int) -> "array[int]":
    """The same numbers, in an array that can also hold the greatest."""
    for wider, limit in (("H", 2**8), ("I", 2**16)):
        if greatest >= limit and numbers.itemsize < array(wider).itemsize:
            numbers = array(wider, numbers)
    return numbers


class DigestsBuilder:
    """For digests."""

    def __init__(self, length: int = DIGEST_BYTES) -> None:
        self._content, self._length = bytearray(), length

    def add(self, values: Sequence[bytes]) -> None:
        """Add the next rows."""
        self._content += b"".join(values)

    def build(self) -> Digests:
        """The column."""
        return Digests(self._content, self._length)


class TextsBuilder:
    """For texts of which hardly two are the same; no value is an empty text."""

    def __init__(self) -> None:
        self._content, self._shared, self._own = bytearray(), array("B"), array("B")

    def add(self, values: Sequence[str | None]) -> None:
        """Add the next rows."""
        encoded = [(value or "").encode() for value in values]
        shared = _shared_with_last(encoded)
        shared[-len(self._shared) % BLOCK :: BLOCK] = 0
        shared[0] = 0
        own = [value[count:] for value, count in zip(encoded, shared.tolist(), strict=True)]
        self._content += b"".join(own)
        self._shared.frombytes(shared.tobytes())
        self._own = _wide_enough(self._own, max(map(len, own)))
        self._own.extend(map(len, own))

    def build(self) -> Texts:
        """The column."""
        own = np.frombuffer(self._own, self._own.typecode)
        starts = np.zeros(-(-len(own) // BLOCK), np.int64)
        if len(own):
            np.cumsum(np.add.reduceat(own, np.arange(0, len(own), BLOCK), dtype=np.int64)[:-1], out=starts[1:])
        return Texts(self._content, np.frombuffer(self._shared, np.uint8), own, starts)


def _shared_with_last(values: Sequence[bytes]) -> NDArray[np.uint8]:
    """With how many bytes each value begins that the one before begins with, too."""
    begins = np.array([value[:MAX_SHARED_BYTES] for value in values], "S")
    letters = begins.view(np.uint8).reshape(len(values), begins.itemsize)
    differs = np.ones((len(values), begins.itemsize + 1), bool)
    differs[1:, :-1] = (letters[1:] != letters[:-1]) | (letters[1:] == 0)
    return differs.argmax(axis=1).astype(np.uint8)
