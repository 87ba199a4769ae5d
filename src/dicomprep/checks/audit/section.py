"""What a part of the audit found, as a table, as notes, and as a number of leaks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from dicomprep.storage.base import ImageStore

__all__ = ["Ground", "Section"]

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Ground:
    """What is audited."""

    connection: Connection
    images: ImageStore
    near: bool = True
    """Whether pictures that only look the same are searched for."""
    k: int = 0
    """Groups of fewer patients are small."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report. Any leak makes the audit end with exit code 1."""

    name: str
    """Its key in the JSON."""
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    leaks: int = 0
    notes: tuple[str, ...] = ()
    """Sentences for a person: what it means, what to do."""
    pairs: tuple[tuple[int, int], ...] = field(default=(), repr=False)
    """Groups (by id) that are one patient, as far as this section can tell."""
    shown: Sequence[tuple[Cell, ...]] | None = None
    """Those of the rows that a table shows, if not all; JSON has them."""

    def as_table(self) -> tuple[Sequence[tuple[Cell, ...]], tuple[str, ...]]:
        """Rows and notes for a person, who is told where there are more rows."""
        if self.shown is None or len(self.shown) == len(self.rows):
            return self.rows, self.notes
        return self.shown, (f"{len(self.rows) - len(self.shown):,} more are not shown: --json has all.", *self.notes)

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"rows": rows, "leaks": self.leaks, "notes": list(self.notes)}
