"""Writes of labels that come from elsewhere."""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from dicomprep.database.bulk import any_of, append, look_up
from dicomprep.database.page_schema import current_labels
from dicomprep.database.schema import labels
from dicomprep.database.unit_schema import unit_labels
from dicomprep.database.writes.labels import enter_annotator
from dicomprep.database.writes.rows import now

__all__ = ["GivenLabel", "LabelsAdded", "add_labels"]

BATCH_LABELS = 10_000

_CURRENT_LABELS = (
    select(
        *(current_labels.c.frame_id, current_labels.c.annotator, current_labels.c.label),
        *(current_labels.c.adjudicated, labels.c.created_at),
    )
    .join(labels, labels.c.id == current_labels.c.event_id)
    .where(any_of(current_labels.c.frame_id))
)


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """What a table says of an image, or of a series, study or patient."""

    target: int | str
    """The id of an image, or the key of a unit."""
    label: str
    """Empty if it is none of the classes."""
    annotator: str
    row: int
    said_at: str = ""
    """When the label was given, in ISO 8601, where the table says so."""


@dataclass(slots=True)
class LabelsAdded:
    """What came of labels that were given."""

    recorded: int = 0
    unchanged: int = 0
    """Those that their annotators have given before and that stand."""
    replaced: list[tuple[GivenLabel, str]] = field(default_factory=list)
    """Those that took the place of another label of the same annotator, with that."""
    older: list[tuple[GivenLabel, str]] = field(default_factory=list)
    """Those that are older than what stands, with that, which stays."""


def add_labels(
    connection: Connection,
    given: Iterable[GivenLabel],
    *,
    level: str = "frame",
    adjudicated: bool = False,
    same: Callable[[str, str], bool] = operator.eq,
) -> LabelsAdded:
    """Append labels to the log of their level, where the same annotator's label that stands is another.

    `same` compares two. Labels that are `adjudicated` decide where readers differ.
    """
    done, annotators, left = LabelsAdded(), set[str](), iter(given)
    while batch := list(islice(left, BATCH_LABELS)):
        for name in dict.fromkeys(one.annotator for one in batch if one.annotator not in annotators):
            enter_annotator(connection, name)
            annotators.add(name)
        new = list(_sort_out(connection, batch, level, done, same, adjudicated=adjudicated))
        _append(connection, new, level, adjudicated=adjudicated)
        done.recorded += len(new)
    return done


def _sort_out(
    connection: Connection,
    batch: Sequence[GivenLabel],
    level: str,
    done: LabelsAdded,
    same: Callable[[str, str], bool],
    *,
    adjudicated: bool,
) -> Iterator[GivenLabel]:
    """Those of the labels that are to be recorded; what becomes of the others is noted in `done`."""
    targets = [one.target for one in batch]
    if level == "frame":
        rows = look_up(connection, _CURRENT_LABELS, targets)
    else:
        rows = look_up(connection, _CURRENT_UNIT_LABELS, targets, level)
    known = {(target, annotator): (label, decides, at) for target, annotator, label, decides, at in rows}
    for one in batch:
        label, decides, at = known.get((one.target, one.annotator), (None, 0, ""))
        if label is None:
            yield one
        elif same(label, one.label) and decides >= adjudicated:
            done.unchanged += 1
        elif one.said_at and one.said_at <= at:
            done.older.append((one, label))
        else:
            if not same(label, one.label):
                done.replaced.append((one, label))
            yield one


def _current_of_units() -> Select[Any]:
    later = unit_labels.alias("later")
    mine = (later.c.unit_key == unit_labels.c.unit_key) & (later.c.annotator == unit_labels.c.annotator)
    newest = select(func.max(later.c.id)).where(later.c.level == unit_labels.c.level, mine).scalar_subquery()
    columns = (unit_labels.c.unit_key, unit_labels.c.annotator, unit_labels.c.label)
    return select(*columns, unit_labels.c.adjudicated, unit_labels.c.created_at).where(
        unit_labels.c.level == bindparam("level"), unit_labels.c.id == newest, any_of(unit_labels.c.unit_key)
    )


_CURRENT_UNIT_LABELS = _current_of_units()


def _append(connection: Connection, given: Sequence[GivenLabel], level: str, *, adjudicated: bool) -> None:
    created_at = now()
    said = ("label", "annotator", "created_at", "adjudicated")
    rows = [(one.target, one.label, one.annotator, created_at, int(adjudicated)) for one in given]
    if level == "frame":
        append(connection, labels, ("frame_id", *said), rows)
    else:
        append(connection, unit_labels, ("level", "unit_key", *said), [(level, *row) for row in rows])
