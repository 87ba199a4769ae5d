"""CSV that a spreadsheet may open: RFC 4180, UTF-8, and no cell that would be taken for a formula."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dicomprep.exchange.cells import neutral_cell
from dicomprep.exchange.rows import Part

__all__ = ["write_csv", "write_delimited"]


def write_delimited(part: Part, path: Path) -> None:
    """Metadata of some frames."""
    write_csv(path, list(part.rows.columns), part.rows.values(part.numbers))


def write_csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table with a head; what is not known is an empty cell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:  # noqa: ANN401
    return neutral_cell(value) if isinstance(value, str) else value
