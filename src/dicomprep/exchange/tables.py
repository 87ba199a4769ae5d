"""Tables of others, CSV or Parquet, read and written by what their names end in."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomprep.cells import neutral_cell
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.export.columnar import write_parquet
from dicomprep.export.delimited import write_csv
from dicomprep.extras import load_extra

__all__ = ["ReadTable", "read_table", "write_table"]

ENDINGS = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table that somebody gave."""

    path: Path
    names: tuple[str, ...]
    """Of its columns, in small letters."""
    rows: list[tuple[str, ...]]
    """Texts without space around them; empty where nothing is said."""

    def column(self, name: str) -> list[str] | None:
        """The values of one column; None where there is none of this name."""
        if name not in self.names:
            return None
        place = self.names.index(name)
        return [row[place] for row in self.rows]


def read_table(path: Path) -> ReadTable:
    """Read a table with a head; ConfigError where it is none, or its rows have other lengths than its head."""
    try:
        names, rows = _read_parquet(path) if _ending(path) == ".parquet" else _read_csv(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as a table: {error}") from error
    heads = tuple(name.strip().lower() for name in names)
    if len(set(heads)) < len(heads) or not heads:
        raise ConfigError(f"{path}: its first line must have the names of columns, none twice.")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(heads):
            raise ConfigError(f"{path}, row {number}: {len(row)} cells, where the head has {len(heads)}.")
    return ReadTable(path, heads, [tuple(map(_text, row)) for row in rows])


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

    ending, draft = _ending(path), path.with_name(f"{path.name}.draft")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if ending == ".parquet":
                write_parquet(draft, list(columns), list(columns.values()), counted())
            else:
                write_csv(draft, list(columns), counted())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {error.strerror or error}") from error
    return written


def _ending(path: Path) -> str:
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{path}: give a name that ends in {' or '.join(ENDINGS)}.")
    return path.suffix.lower()


def _read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        names, *rows = list(csv.reader(file)) or [[]]
    return names, [row for row in rows if row]


def _read_parquet(path: Path) -> tuple[list[str], list[tuple[Any, ...]]]:
    table = load_extra("pyarrow.parquet", extra="parquet", purpose="Parquet").read_table(path)
    return table.column_names, list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _text(value: Any) -> str:  # noqa: ANN401
    text = "" if value is None else str(value).strip()
    return text[1:] if text.startswith("'") and neutral_cell(text[1:]) == text else text
