"""Tables of others, CSV or Parquet, read and written by what their names end in."""

import csv
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from dicomprep.errors import ConfigError, place_fault
from dicomprep.exchange.cells import neutral_cell
from dicomprep.exchange.columns import Cells, CellsBuilder, as_text
from dicomprep.exchange.dialects import normalized_heading, read_delimited
from dicomprep.exchange.formats.csv import write_csv
from dicomprep.exchange.formats.parquet import write_parquet
from dicomprep.extras import load_extra
from dicomprep.storage.sync import drafted, require_place

__all__ = ["ReadTable", "read_table", "require_table_place", "write_table"]

ENDINGS = (".csv", ".parquet")
TEXT_ENDINGS = (".csv", ".tsv", ".tab", ".txt")
"""Of what is read as CSV; the separator is found in the content."""


BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table that somebody gave."""

    path: Path
    names: tuple[str, ...]
    """Of its columns, as they are written, without space around them; a name may be empty."""
    columns: tuple[Cells, ...]
    """Texts without space around them; empty where there is no value."""
    lines: "array[int]"
    """Where each row begins in the file, from 1; of Parquet its number, the head counted as the first."""
    note: str = ""
    """How the table was read, where it is not plain UTF-8 with commas."""

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells of all rows."""
        return list(zip(*self.columns, strict=True))

    def row(self, number: int) -> tuple[str, ...]:
        """The cells of one row, counted from 0."""
        return tuple(column[number] for column in self.columns)

    def head(self, count: int) -> "ReadTable":
        """The same table, but only its first rows."""
        columns = tuple(Cells(column[:count]) for column in self.columns)
        return ReadTable(self.path, self.names, columns, self.lines[:count], self.note)

    def heading(self, *names: str) -> str | None:
        """The first of these columns that is there, as the table writes its name; capitals, spaces, `_` do not count.

        Raises ConfigError where two columns have that name.
        """
        known = [normalized_heading(name) for name in self.names]
        for name in map(normalized_heading, names):
            if known.count(name) > 1:
                written = ", ".join(n for n, k in zip(self.names, known, strict=True) if k == name)
                raise ConfigError(f"{self.path}: two columns have the same name: {written}.")
            if name in known:
                return self.names[known.index(name)]
        return None

    def column(self, name: str) -> Cells | None:
        """The values of one column, whose name is found as by `heading`; None where there is none of this name."""
        heading = self.heading(name)
        return None if heading is None else self.values(heading)

    def values(self, heading: str) -> Cells:
        """The values of the column with exactly this heading."""
        return self.columns[self.names.index(heading)]

    def cell(self, row: int, heading: str) -> str:
        """How messages name a place: file, line and column."""
        return f"{self.path}, row {self.lines[row]}, {heading}"


def read_table(path: Path, telling: Collection[str] = ()) -> ReadTable:
    """Read a table with a head; ConfigError where it is none, or its rows have other lengths than its head.

    `telling` are names of columns by which the separator is recognized.
    """
    if path.suffix.lower() not in TEXT_ENDINGS:
        _ending(path)
    try:
        with path.open("rb") as file:
            heads, columns, lines, note = _read(path, file, frozenset(map(normalized_heading, telling)))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as a table: {error}") from error
    while heads and not heads[-1] and columns[-1].is_empty:
        heads, columns = heads[:-1], columns[:-1]
    named = [head for head in heads if head]
    if len(set(named)) < len(named) or not named:
        twice = sorted({head for head in named if named.count(head) > 1})
        what = f" Repeated: {', '.join(twice)}." if twice else ""
        raise ConfigError(f"{path}: the first line must contain the column names, each once.{what}")
    return ReadTable(path, tuple(heads), tuple(column.build() for column in columns), lines, note)


def write_table(path: Path, columns: dict[str, str], rows: Iterable[Sequence[Any]]) -> int:
    """Write rows as they come; `columns` has the kind (integer, real, text) of each by name. How many there were.

    The table is there as a whole or, where its rows break off, as it was before.
    """
    written = 0

    def counted() -> Iterator[Sequence[Any]]:
        nonlocal written
        for row in rows:
            written += 1
            yield row

    ending = _ending(path)
    require_place(path)
    _make_folder(path.parent)
    with drafted(path) as draft:
        if ending == ".parquet":
            write_parquet(draft, list(columns), list(columns.values()), counted())
        else:
            write_csv(draft, list(columns), counted())
    return written


def require_table_place(path: Path | None, *, apart_from: Path) -> None:
    """Raise ConfigError if no table can be written to this path, if any is given: before any work."""
    if path is not None:
        _ending(path)
        require_place(path, apart_from=apart_from)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise place_fault(folder, error) from error


def _ending(path: Path) -> str:
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{path}: give a file name ending in {' or '.join(ENDINGS)}.")
    return path.suffix.lower()


_Read = tuple[list[str], list[CellsBuilder], "array[int]", str]
"""Headings, columns, where rows begin, and how they were read."""


def _read(path: Path, file: BinaryIO, telling: frozenset[str]) -> _Read:
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    names, records, dialect = read_delimited(file, telling)
    heads = [as_text(name).strip("\ufeff") for name in names]
    width = max((place for place, head in enumerate(heads, 1) if head), default=0)
    columns, lines = [CellsBuilder(_unneutralized) for _ in heads], array("L")
    while batch := list(islice(records, BATCH_ROWS)):
        lines.extend(line for line, _ in batch)
        rows = [row if len(row) == len(heads) else _fitted(path, line, row, width, heads) for line, row in batch]
        for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
            column.add(cells)
    return heads, columns, lines, dialect.note


def _fitted(path: Path, line: int, row: list[str], width: int, heads: Sequence[str]) -> list[str]:
    """A row of another length than the head, but for empty cells that separators at its end make."""
    if len(row) < width or any(map(str.strip, row[len(heads) :])):
        raise ConfigError(f"{path}, row {line}: {len(row)} cells, but the header has {width}.")
    return (row + [""] * len(heads))[: len(heads)]


def _read_parquet(path: Path) -> _Read:
    table = load_extra("pyarrow.parquet", extra="parquet", purpose="Parquet").ParquetFile(path)
    heads = [as_text(name) for name in table.schema_arrow.names]
    columns, count = [CellsBuilder(as_text) for _ in heads], 0
    for batch in table.iter_batches(batch_size=BATCH_ROWS):
        count += batch.num_rows
        for column, cells in zip(columns, batch.columns, strict=True):
            column.add([str(cell) if isinstance(cell, list) else cell for cell in cells.to_pylist()])
    return heads, columns, array("L", range(2, count + 2)), ""


def _unneutralized(cell: str) -> str:
    """A cell as text, without the apostrophe that `neutral_cell` gave it."""
    text = as_text(cell)
    return text[1:] if text.startswith("'") and neutral_cell(text[1:]) == text else text
