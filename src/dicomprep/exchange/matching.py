"""Which image each row of a table matches: by id, name, key of an export, or SOP Instance UID and frame."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from dicomprep.errors import ConfigError, count_of
from dicomprep.exchange.finding import Sought, find_images
from dicomprep.exchange.tables import ReadTable, write_table
from dicomprep.workspace import Workspace

__all__ = ["IDENTITIES", "MatchResult", "match_frames"]

_COLUMNS = {
    "key": ("key",),
    "filename": (
        *("filename", "file", "filepath", "path", "thumbnail path", "thumbnail", "image path", "image id", "image"),
        *("source", "source path", "name"),
    ),
    "sop_instance_uid": ("sop instance uid", "sop uid", "instance uid"),
    "id": ("id",),
}
"""Names of the columns by which an image is found, the surest kind first: a number may be that of a row."""

IDENTITIES = (*(name for names in _COLUMNS.values() for name in names), "frame_number")
"""Columns that say which image is meant; capitals, spaces and underscores do not count."""

MAX_SHOWN_ROWS = 20
"""Rows that a message lists."""
_WHOLE = re.compile(r"([0-9]{1,18})(?:[.,]0*)?")
"""A whole number, also as pandas (`1.0`) and spreadsheets with decimal commas write it."""


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The image that each row of a table matches."""

    table: ReadTable
    by: str
    """The column that was used."""
    frame_ids: list[int | None]
    """Of each row; None where no image, or several, match."""
    counts: list[int]
    """How many images match each row."""

    @property
    def unmatched(self) -> list[int]:
        """The rows that match no image, or several, counted from 0."""
        return [number for number, frame_id in enumerate(self.frame_ids) if frame_id is None]

    @property
    def has_no_match(self) -> bool:
        """Whether there are rows and none of them matches an image."""
        return len(self.unmatched) == len(self.frame_ids) > 0

    def report(self, unmatched: Path | None) -> str:
        """What did not match, for a person; all of it in the file `unmatched`, if given."""
        missing = self.unmatched
        if unmatched is not None:
            names = [name or f"column {place}" for place, name in enumerate(self.table.names, start=1)]
            columns = {"row": "integer"} | dict.fromkeys(names, "text")
            write_table(
                unmatched, columns, [(self.table.lines[number], *self.table.rows[number]) for number in missing]
            )
        if not self.frame_ids:
            return "The table has no rows."
        if not missing:
            return f"{count_of(len(self.frame_ids), 'row')} matched."
        values = self.table.values(self.by)
        of_all = f"of {count_of(len(self.frame_ids), 'row')}"
        verb = "matches" if len(missing) == 1 else "match"
        lines = [f"{len(missing):,} {of_all} {verb} no image in this database:"]
        for number in missing[:MAX_SHOWN_ROWS]:
            several = f" matches {self.counts[number]:,} images" if self.counts[number] else ""
            lines.append(f"  row {self.table.lines[number]}: {self.by} {values[number] or 'is empty'}{several}")
        more = len(missing) - MAX_SHOWN_ROWS
        return "\n".join(lines + ([f"  and {more:,} more; --unmatched FILE.csv lists all"] if more > 0 else []))


def match_frames(connection: Connection, workspace: Workspace, table: ReadTable) -> MatchResult:
    """Find the image of each row; ConfigError where no column identifies it.

    Of several such columns the first that matches anything is used; `id` only where it is alone.
    """
    headings = [(kind, heading) for kind, names in _COLUMNS.items() if (heading := table.heading(*names)) is not None]
    if not headings:
        wanted = "`filename` or `id`, `key` (of an export), or `sop_instance_uid` and `frame_number`"
        there = ", ".join(name for name in table.names if name)
        raise ConfigError(f"{table.path}: no column identifies the images. Give {wanted}. Columns found: {there}.")
    tried = [_match(connection, workspace, table, *one) for one in headings if one[0] != "id" or len(headings) == 1]
    return next((matched for matched in tried if not matched.has_no_match), tried[0])


def _match(connection: Connection, workspace: Workspace, table: ReadTable, kind: str, heading: str) -> MatchResult:
    cells = list(_cells(table, kind, heading))
    found = find_images(connection, workspace, kind, (cell for cell in cells if cell[0]))
    images: list[Sequence[int]] = [sorted(found.get(cell, ())) for cell in cells]
    return MatchResult(table, heading, [i[0] if len(i) == 1 else None for i in images], [len(i) for i in images])


def _cells(table: ReadTable, kind: str, heading: str) -> Iterator[Sought]:
    values = table.values(heading)
    numbers = table.column("frame_number") or [""] * len(values)
    for row, (value, number) in enumerate(zip(values, numbers, strict=True)):
        text, frame = value, _WHOLE.fullmatch(number)
        if kind == "id" and value:
            whole = _WHOLE.fullmatch(value)
            if whole is None:
                raise ConfigError(f"{table.path}, row {table.lines[row]}: the id {value} is not a number.")
            text = str(int(whole[1]))
        if number and frame is None and kind != "id":
            place = f"{table.path}, row {table.lines[row]}"
            raise ConfigError(f"{place}: frame_number {number} is not a whole number from 0.")
        yield text, int(frame[1]) if frame is not None else None
