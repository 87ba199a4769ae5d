"""Columns of a table that somebody gave: a million cells in a few bytes each where they repeat."""

import math
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

__all__ = ["Cells", "CellsBuilder", "as_text"]

MAX_CODED_VALUES = 2**16
"""Different cells of a column up to which they are kept once each; more are hardly ever the same."""


class Cells(Sequence[str]):
    """The cells of one column, as texts."""

    def __init__(self, values: Sequence[str], codes: "array[int] | None" = None) -> None:
        self.values = values
        """Of every row; with `codes` each value once."""
        self.codes = codes

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...

    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        return self.values[row] if self.codes is None else self.values[self.codes[row]]

    def __len__(self) -> int:
        return len(self.values if self.codes is None else self.codes)

    def __iter__(self) -> Iterator[str]:
        return iter(self.values) if self.codes is None else map(self.values.__getitem__, self.codes)

    def mapped(self, change: Callable[[str], str]) -> "Cells":
        """The cells as `change` makes them: it is asked once for each value that repeats."""
        return Cells([change(value) for value in self.values], self.codes)


class CellsBuilder:
    """Makes a column of cells that come a list at a time; `clean` makes texts of them."""

    def __init__(self, clean: Callable[[Any], str]) -> None:
        self._clean, self._known = clean, dict[Any, int]()
        self._values = list[str]()
        self._codes: array[int] | None = array("H")

    def add(self, cells: Sequence[Any]) -> None:
        """Add the next rows."""
        if self._codes is not None:
            for cell in dict.fromkeys(cells):
                if cell not in self._known:
                    self._known[cell] = len(self._values)
                    self._values.append(self._clean(cell))
            if len(self._values) <= MAX_CODED_VALUES:
                self._codes.extend(map(self._known.__getitem__, cells))
                return
            self._values = [self._values[code] for code in self._codes]
            self._codes = None
            self._known.clear()
        self._values.extend(map(self._clean, cells))

    @property
    def is_empty(self) -> bool:
        """Whether no cell has a text."""
        return not any(self._values)

    def build(self) -> Cells:
        """The column."""
        return Cells(self._values, self._codes)


def as_text(value: Any) -> str:  # noqa: ANN401
    """A cell as text: NFC, stripped; empty for the missing values of pandas."""
    if isinstance(value, str):
        return value.strip() if value.isascii() else unicodedata.normalize("NFC", value).strip()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return unicodedata.normalize("NFC", str(value)).strip()
