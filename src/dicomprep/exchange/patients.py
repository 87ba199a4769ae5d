"""Which patients the rows of a table name: by Patient ID, study, series, image or pseudonym.

Identifiers are hashed with the key of the data set and compared; none is kept, and messages name rows only.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from dicomprep.database.queries.patients import groups_by_frame, groups_by_key, groups_of_patients
from dicomprep.errors import ConfigError
from dicomprep.exchange.matching import IDENTITIES, match_frames
from dicomprep.exchange.tables import ReadTable
from dicomprep.privacy.keys import keyed_hash
from dicomprep.privacy.patient_ids import is_placeholder, plain_identity
from dicomprep.splits import GroupBy
from dicomprep.workspace import Workspace

__all__ = ["HEADINGS", "MatchedPatients", "RowUnit", "find_patient_column", "match_patients", "spellings"]


class RowUnit(StrEnum):
    """What a row of a table names."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    IMAGE = "image"
    KEY = "key"


_HEADINGS: Mapping[RowUnit, tuple[str, ...]] = {
    RowUnit.KEY: ("patient_key", "group_key"),
    RowUnit.PATIENT: ("patient_id", "patient", "subject_id", "subject", "pid", "mrn", "patient_identifier"),
    RowUnit.STUDY: ("study_instance_uid", "study_uid", "study_id", "study"),
    RowUnit.SERIES: ("series_instance_uid", "series_uid", "series_id", "series"),
    RowUnit.IMAGE: tuple(name for name in IDENTITIES if name != "frame_number"),
}
"""Names of the columns by which each is recognized, the surest first; capitals, spaces and underscores do not count."""

HEADINGS = tuple(name for names in _HEADINGS.values() for name in names)

_WHOLE = re.compile(r"([0-9]{1,18})[.,]0*")
"""A whole number, as pandas (`1.0`) and spreadsheets with decimal commas write it."""


@dataclass(frozen=True, slots=True)
class MatchedPatients:
    """The groups that each row of a table names."""

    unit: RowUnit
    heading: str
    """The column that was used."""
    groups: list[frozenset[int]]
    """Of each row; empty where no patient of this data set is named."""

    @property
    def share(self) -> float:
        """Of the rows that name somebody."""
        return sum(map(bool, self.groups)) / max(1, len(self.groups))


def match_patients(
    connection: Connection, workspace: Workspace, table: ReadTable, unit: RowUnit | None, group_by: GroupBy
) -> MatchedPatients:
    """The groups of each row, by the unit that is given, else by that of which most rows match.

    Raises ConfigError where no column names patients, studies, series or images.
    """
    units = [unit] if unit is not None else list(RowUnit)
    found = {one: heading for one in units if (heading := _heading(table, one, sole=unit is not None)) is not None}
    if not found:
        there = ", ".join(name for name in table.names if name)
        what = f"names a {unit}" if unit is not None else "identifies patients, studies, series or images"
        raise ConfigError(f"{table.path}: no column {what}. Columns found: {there}.")
    if unit is RowUnit.PATIENT and group_by is not GroupBy.PATIENT:
        remedy = "Give --by study, series or image."
        raise ConfigError(f"This data set is divided by {group_by} and does not know patients. {remedy}")
    matched = [_match(connection, workspace, table, one, heading) for one, heading in found.items()]
    return max(matched, key=lambda one: one.share)


def find_patient_column(table: ReadTable) -> str:
    """The column of Patient IDs; ConfigError where there is none."""
    heading = _heading(table, RowUnit.PATIENT, sole=len(table.names) == 1)
    if heading is None:
        raise ConfigError(f"{table.path}: no column of Patient IDs. Call it patient_id.")
    return heading


def spellings(value: str) -> list[str]:
    """How an ID may be written in the files: as in the table, and a whole number without the zeros of pandas.

    >>> spellings("17.0"), spellings("A.0")
    (['17.0', '17'], ['A.0'])
    """
    whole = _WHOLE.fullmatch(value)
    return [value, *([whole[1]] if whole is not None else [])]


def _heading(table: ReadTable, unit: RowUnit, *, sole: bool) -> str | None:
    """The column of a unit; with `sole` also one by another name, if it is the only one or the first of two."""
    heading = table.heading(*_HEADINGS[unit])
    if heading is None and sole and len(table.names) <= 2:
        return table.names[0]
    return heading


def _match(
    connection: Connection, workspace: Workspace, table: ReadTable, unit: RowUnit, heading: str
) -> MatchedPatients:
    if unit is RowUnit.IMAGE:
        frames = match_frames(connection, workspace, table).frame_ids
        known = groups_by_frame(connection, [frame for frame in frames if frame is not None])
        return MatchedPatients(unit, heading, [frozenset({known[f]} if f is not None else ()) for f in frames])
    values = table.values(heading)
    if unit is RowUnit.KEY:
        keys = [[value.lower()] for value in values]
        return MatchedPatients(unit, heading, _looked_up(keys, lambda wanted: groups_by_key(connection, "key", wanted)))
    key = workspace.key
    if unit is RowUnit.PATIENT:
        issuers = table.column("issuer of patient id") or [""] * len(values)
        keys = [_patient_keys(key, value, issuer) for value, issuer in zip(values, issuers, strict=True)]
        return MatchedPatients(unit, heading, _looked_up(keys, lambda wanted: groups_of_patients(connection, wanted)))
    keys = [[keyed_hash(key, unit, value)] if value else [] for value in values]
    column = f"{unit}_key"
    return MatchedPatients(unit, heading, _looked_up(keys, lambda wanted: groups_by_key(connection, column, wanted)))


def _patient_keys(key: bytes, value: str, issuer: str) -> list[str]:
    """What a patient may be recorded as; nothing for a placeholder."""
    if is_placeholder(value):
        return []
    issued_by = plain_identity(issuer)
    texts = [plain_identity(one) for one in spellings(value)]
    return [keyed_hash(key, GroupBy.PATIENT, f"{text}\0{issued_by}" if issued_by else text) for text in texts]


def _looked_up(
    keys: Sequence[Sequence[str]], find: Callable[[Sequence[str]], Iterable[tuple[str, int]]]
) -> list[frozenset[int]]:
    """The groups of each row by the first of its keys that is known."""
    known: defaultdict[str, set[int]] = defaultdict(set)
    for key, group_id in find(sorted({key for row in keys for key in row})):
        known[key].add(group_id)
    return [frozenset(next((known[key] for key in row if key in known), ())) for row in keys]
