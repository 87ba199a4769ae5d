"""Tables of others, CSV or Parquet, read and written by what their names end in."""

import csv
import math
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomprep.errors import ConfigError, place_fault
from dicomprep.exchange.cells import neutral_cell
from dicomprep.exchange.dialects import normalized_heading, read_delimited
from dicomprep.exchange.formats.csv import write_csv
from dicomprep.exchange.formats.parquet import write_parquet
from dicomprep.extras import load_extra
from dicomprep.storage.sync import drafted, require_place

__all__ = ["ReadTable", "read_table", "require_table_place", "write_table"]

ENDINGS = (".csv", ".parquet")
TEXT_ENDINGS = (".csv", ".tsv", ".tab", ".txt")
"""Of what is read as CSV; the separator is found in the content."""


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table that somebody gave."""

    path: Path
    names: tuple[str, ...]
    """Of its columns, as they are written, without space around them; a name may be empty."""
    rows: list[tuple[str, ...]]
    """Texts without space around them; empty where there is no value."""
    lines: list[int]
    """Where each row begins in the file, from 1; of Parquet its number, the head counted as the first."""
    note: str = ""
    """How the table was read, where it is not plain UTF-8 with commas."""

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

    def column(self, name: str) -> list[str] | None:
        """The values of one column, whose name is found as by `heading`; None where there is none of this name."""
        heading = self.heading(name)
        return None if heading is None else self.values(heading)

    def values(self, heading: str) -> list[str]:
        """The values of the column with exactly this heading."""
        place = self.names.index(heading)
        return [row[place] for row in self.rows]

    def cell(self, row: int, heading: str) -> str:
        """How messages name a place: file, line and column."""
        return f"{self.path}, row {self.lines[row]}, {heading}"


def read_table(path: Path, telling: Collection[str] = ()) -> ReadTable:
    """Read a table with a head; ConfigError where it is none, or its rows have other lengths than its head.

    `telling` are names of columns by which the separator is recognized.
    """
    try:
        names, numbered, note = _read(path, frozenset(map(normalized_heading, telling)))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as a table: {error}") from error
    heads = tuple(_text(name).strip("\ufeff") for name in names)
    while heads and not heads[-1] and not any(_text(cell) for _, row in numbered for cell in row[len(heads) - 1 :]):
        heads = heads[:-1]
    named = [head for head in heads if head]
    if len(set(named)) < len(named) or not named:
        twice = sorted({head for head in named if named.count(head) > 1})
        what = f" Repeated: {', '.join(twice)}." if twice else ""
        raise ConfigError(f"{path}: the first line must contain the column names, each once.{what}")
    rows = [tuple(map(_text, _fitted(path, line, row, len(heads)))) for line, row in numbered]
    return ReadTable(path, heads, rows, [line for line, _ in numbered], note)


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


def _read(path: Path, telling: frozenset[str]) -> tuple[Sequence[str], list[tuple[int, Sequence[Any]]], str]:
    """Headings, numbered rows, and how they were read."""
    if path.suffix.lower() not in (*TEXT_ENDINGS, ".parquet"):
        _ending(path)
    if path.suffix.lower() == ".parquet":
        names, rows = _read_parquet(path)
        return names, list(enumerate(rows, start=2)), ""
    names, records, dialect = read_delimited(path.read_bytes(), telling)
    return names, [(line, [_unneutralized(cell) for cell in row]) for line, row in records], dialect.note


def _fitted(path: Path, line: int, row: Sequence[Any], width: int) -> Sequence[Any]:
    """A row without the empty cells that separators at its end make."""
    if len(row) > width and not any(_text(cell) for cell in row[width:]):
        return row[:width]
    if len(row) != width:
        raise ConfigError(f"{path}, row {line}: {len(row)} cells, but the header has {width}.")
    return row


def _read_parquet(path: Path) -> tuple[list[str], list[tuple[Any, ...]]]:
    table = load_extra("pyarrow.parquet", extra="parquet", purpose="Parquet").read_table(path)
    return table.column_names, list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _unneutralized(cell: str) -> str:
    """A cell without the apostrophe that `neutral_cell` gave it."""
    text = cell.strip()
    return text[1:] if text.startswith("'") and neutral_cell(text[1:]) == text else text


def _text(value: Any) -> str:  # noqa: ANN401
    """A cell as text: NFC, stripped; empty for the missing values of pandas."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return unicodedata.normalize("NFC", str(value)).strip()
