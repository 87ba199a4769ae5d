"""The findings of one part of the audit: a table, notes, and a number of leaks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from dicomprep.storage.base import ImageStore

__all__ = ["AuditContext", "Section"]

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class AuditContext:
    """The data set that is audited, and what to search for."""

    connection: Connection
    images: ImageStore
    near: bool = True
    """Whether near-duplicates are searched for."""
    k: int = 0
    """Patients below which a group is small; 0: small groups are not searched for."""


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
        return self.shown, (f"{len(self.rows) - len(self.shown):,} more not shown; --json lists all.", *self.notes)

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"rows": rows, "leaks": self.leaks, "notes": list(self.notes)}
