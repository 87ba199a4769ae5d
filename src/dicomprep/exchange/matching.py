"""Which image a row of somebody's table speaks of: by id, name, key of an export, or SOP Instance UID and frame."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from dicomprep.database.dataset_queries import Choice, select_frames
from dicomprep.errors import ConfigError
from dicomprep.exchange.identities import pseudonyms_of
from dicomprep.exchange.tables import ReadTable, write_table

__all__ = ["IDENTITIES", "Matched", "match_frames"]

IDENTITIES = ("id", "filename", "name", "key", "sop_instance_uid", "frame_number")
"""Columns that say which image is meant."""

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Matched:
    """The images that the rows of a table speak of."""

    table: ReadTable
    by: str
    """The column that was used."""
    frame_ids: list[int | None]
    """Of each row; None where there is no such image."""

    @property
    def unmatched(self) -> list[int]:
        """The rows that speak of no image, counted from 0."""
        return [number for number, frame_id in enumerate(self.frame_ids) if frame_id is None]

    @property
    def is_in_vain(self) -> bool:
        """Whether there are rows and not one speaks of an image here."""
        return len(self.unmatched) == len(self.frame_ids) > 0

    def report(self, unmatched: Path | None) -> str:
        """What did not match, for a person; all of it in the file `unmatched`, if given."""
        missing = self.unmatched
        if unmatched is not None:
            columns = {"row": "integer"} | dict.fromkeys(self.table.names, "text")
            write_table(unmatched, columns, [(number + 2, *self.table.rows[number]) for number in missing])
        if not missing:
            return f"All {len(self.frame_ids):,} rows speak of an image that is there."
        values = self.table.column(self.by) or []
        lines = [f"{len(missing):,} of {len(self.frame_ids):,} rows speak of no image that is there:"]
        lines += [f"  row {number + 2}: {self.by} {values[number] or 'is empty'}" for number in missing[:SHOWN]]
        more = len(missing) - SHOWN
        return "\n".join(lines + ([f"  and {more:,} more; --unmatched FILE.csv has all"] if more > 0 else []))


def match_frames(connection: Connection, db: str, table: ReadTable) -> Matched:
    """Find the image of each row; ConfigError where no column says which one is meant."""
    by = next((name for name in IDENTITIES if name in table.names), None)
    if by is None or by == "frame_number":
        wanted = "`filename` or `id`, `key` (of an export), or `sop_instance_uid` and `frame_number`"
        raise ConfigError(f"{table.path}: no column says which image is meant. Give {wanted}.")
    identities = list(_identities(table, by))
    wanted_ones = set(identities)
    columns, identify = _identifying(connection, db, by)
    known: dict[object, int] = {}
    for row in select_frames(connection, ["id", *columns], Choice(held=True)):
        identity = identify(row)
        if identity in wanted_ones:
            known[identity] = row[0]
    return Matched(table, by, [known.get(identity) for identity in identities])


def _identities(table: ReadTable, by: str) -> Iterator[object]:
    values = table.column(by) or []
    numbers = table.column("frame_number") or [""] * len(values)
    for row, (value, number) in enumerate(zip(values, numbers, strict=True), start=2):
        if by == "id" and value and not value.isdecimal():
            raise ConfigError(f"{table.path}, row {row}: the id {value} is no number.")
        if by != "sop_instance_uid":
            yield value
        elif number and not number.isdecimal():
            raise ConfigError(f"{table.path}, row {row}: frame_number {number} is no number from 0.")
        else:
            yield value, int(number or 0)


def _identifying(connection: Connection, db: str, by: str) -> tuple[list[str], Callable[[Any], object]]:
    """The columns to ask for, and what identifies an image by them."""
    if by == "id":
        return [], lambda row: str(row[0])
    if by == "sop_instance_uid":
        return ["sop_instance_uid", "frame_number"], lambda row: (row[1], row[2])
    if by == "key":
        pseudonyms = pseudonyms_of(connection, db)
        return ["filename"], lambda row: pseudonyms.of_image(row[1]).decode()
    return ["filename"], lambda row: row[1]
