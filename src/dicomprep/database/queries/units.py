"""Reads of series, studies and patients: what they are called, and how they are labeled."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, false, func, or_, select, union

from dicomprep.database.bulk import scan
from dicomprep.database.consensus import Consensus, find_consensus
from dicomprep.database.page_schema import current_labels
from dicomprep.database.schema import aliases, files, frames, groups
from dicomprep.database.unit_schema import unit_labels

__all__ = [
    "UNCERTAIN_MARK",
    "Unit",
    "UnitLabel",
    "UnitName",
    "count_images",
    "count_labeled_units",
    "count_units",
    "current_unit_labels",
    "decided_units",
    "patient_heads",
    "unit_columns",
    "unit_events",
    "unit_events_of",
    "unit_key",
    "unit_names",
]

UNCERTAIN_MARK = " (uncertain)"
"""Stands behind the name of a class of which a label says that it may be there: −1 in tables."""

_PATIENT = func.coalesce(groups.c.joined_id, groups.c.id)
"""The group that stands for all those that are one patient."""


class Unit(NamedTuple):
    """A series, study or patient."""

    level: str
    key: str


class UnitName(NamedTuple):
    """What a unit is called: a keyed hash, or a folder."""

    name: str
    key: str
    patient: int


class UnitLabel(NamedTuple):
    """What an annotator says of a unit."""

    level: str
    key: str
    label: str
    annotator: str
    adjudicated: bool
    created_at: str
    event: int
    unsure: int
    note: str | None


def unit_key(level: str) -> ColumnElement[Any]:
    """The key of a frame's series, study or patient."""
    return {"series": files.c.series_key, "study": files.c.study_key, "patient": groups.c.key}[level]


def unit_names(connection: Connection, kind: str) -> Iterator[UnitName]:
    """All units of files that gave images, by what a kind of cell calls them."""
    names = {
        "series": (files.c.series_key, files.c.series_key),
        "study": (files.c.study_key, files.c.study_key),
        "accession": (files.c.accession_key, files.c.study_key),
        "study_number": (files.c.study_number_key, files.c.study_key),
        "folder": (files.c.study_id, files.c.study_key),
    }
    if kind == "patient":
        query: Any = union(
            select(groups.c.key, groups.c.key.label("unit"), _PATIENT).where(groups.c.kind == "patient"),
            select(aliases.c.key, groups.c.key, _PATIENT)
            .join(groups, groups.c.id == aliases.c.group_id)
            .where(aliases.c.kind.in_(("issuer", "key")), groups.c.kind == "patient"),
        )
        yield from (UnitName(*row) for row in connection.execute(query))
        return
    name, key = names[kind]
    query = _of_images(name, key.label("unit"), _PATIENT).where(name.is_not(None), key.is_not(None)).distinct()
    for rows in scan(connection, query):
        yield from (UnitName(*row) for row in rows)


def count_images(connection: Connection) -> int:
    """How many images there are, without those of duplicates."""
    joined = frames.join(files, files.c.id == frames.c.file_id)
    statement = select(func.count()).select_from(joined).where(files.c.duplicate_of.is_(None))
    return int(connection.execute(statement).scalar_one())


def count_units(connection: Connection, level: str) -> int:
    """How many series, studies or patients have images."""
    if level == "patient":
        return int(connection.execute(_of_images(func.count(_PATIENT.distinct()))).scalar_one())
    return int(connection.execute(_of_images(func.count(unit_key(level).distinct()))).scalar_one())


def current_unit_labels(connection: Connection, level: str | None = None) -> Iterator[UnitLabel]:
    """What each annotator's newest event says of each unit, in the order of these events."""
    newest = select(func.max(unit_labels.c.id)).group_by(
        unit_labels.c.level, unit_labels.c.unit_key, unit_labels.c.annotator
    )
    statement = _events().where(unit_labels.c.id.in_(newest), unit_labels.c.label.is_not(None))
    if level is not None:
        statement = statement.where(unit_labels.c.level == level)
    for rows in scan(connection, statement):
        yield from (UnitLabel(*row) for row in rows)


def count_labeled_units(connection: Connection, level: str) -> int:
    """How many units of a level (or frames) have a label of anybody."""
    if level == "frame":
        return int(connection.execute(select(func.count(current_labels.c.frame_id.distinct()))).scalar_one())
    return len({label.key for label in current_unit_labels(connection, level)})


def decided_units(connection: Connection, level: str) -> dict[str, str]:
    """The label of each unit that has one, by its key: what the data set's rule makes of its readers' labels.

    Groups that are one patient have one label together, each under its own key.
    """
    rule, votes = find_consensus(connection), dict[str, list[UnitLabel]]()
    heads = patient_heads(connection) if level == "patient" else {}
    for vote in current_unit_labels(connection, level):
        votes.setdefault(heads.get(vote.key, vote.key), []).append(vote)
    decided = {key: label for key, those in votes.items() if (label := _decide(those, rule)) is not None}
    return decided | {key: decided[head] for key, head in heads.items() if head in decided}


def _decide(votes: Sequence[UnitLabel], rule: Consensus) -> str | None:
    """What counts of what annotators said, each once, the newest last."""
    if rule is Consensus.NEWEST:
        return votes[-1].label
    final = [vote.label for vote in votes if vote.adjudicated and rule is Consensus.ADJUDICATED]
    (label, count), *_ = Counter(vote.label for vote in votes).most_common(1)
    return final[-1] if final else label if 2 * count > len(votes) else None


def patient_heads(connection: Connection) -> dict[str, str]:
    """The key of each group that is one patient with others, and that of the group that stands for all."""
    head = groups.alias("head")
    joined = groups.join(head, head.c.id == groups.c.joined_id)
    rows = connection.execute(select(groups.c.key, head.c.key).select_from(joined))
    return {row[0]: row[1] for row in rows}


def unit_events(connection: Connection, level: str) -> Iterator[UnitLabel]:
    """Every event of the log of one level."""
    for rows in scan(connection, _events().where(unit_labels.c.level == level)):
        yield from (UnitLabel(*row) for row in rows)


def unit_events_of(connection: Connection, frame_id: int) -> list[UnitLabel]:
    """Every event of the series, the study and the patient of an image, the first first."""
    keys = select(files.c.series_key, files.c.study_key, groups.c.key)
    joined = frames.join(files, files.c.id == frames.c.file_id).join(groups, groups.c.id == files.c.group_id)
    row = connection.execute(keys.select_from(joined).where(frames.c.id == frame_id)).first()
    units = zip(("series", "study", "patient"), row or (), strict=False)
    mine = [(unit_labels.c.level == level) & (unit_labels.c.unit_key == key) for level, key in units if key]
    return [UnitLabel(*row) for row in connection.execute(_events().where(or_(false(), *mine)))]


def unit_columns() -> Sequence[ColumnElement[Any]]:
    """Those of a `UnitLabel`."""
    names = ("level", "unit_key", "label", "annotator", "adjudicated", "created_at", "id", "unsure", "note")
    return [unit_labels.c[name] for name in names]


def _events() -> Select[Any]:
    return select(*unit_columns()).order_by(unit_labels.c.id)


def _of_images(*columns: ColumnElement[Any]) -> Select[Any]:
    joined = files.join(groups, groups.c.id == files.c.group_id)
    return select(*columns).select_from(joined).where(files.c.frames > 0)
