"""Writes of labels that come from elsewhere."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.page_schema import current_labels
from dicomprep.database.schema import labels
from dicomprep.database.writes.labels import enter_annotator
from dicomprep.database.writes.rows import now

__all__ = ["GivenLabel", "LabelsAdded", "add_labels"]

_CURRENT_LABELS = (
    select(current_labels.c.frame_id, current_labels.c.annotator, current_labels.c.label, labels.c.created_at)
    .join(labels, labels.c.id == current_labels.c.event_id)
    .where(any_of(current_labels.c.frame_id))
)


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """What a table says of an image."""

    frame_id: int
    label: str | None
    """Empty if it is none of the classes; None without a label."""
    annotator: str
    row: int
    said_at: str = ""
    """When the label was given, in ISO 8601, where the table says so."""


@dataclass(frozen=True, slots=True)
class LabelsAdded:
    """What came of labels that were given."""

    recorded: int
    unchanged: int
    """Those that their annotators have given before and that stand."""
    replaced: list[tuple[GivenLabel, str]]
    """Those that took the place of another label of the same annotator, with that."""
    older: list[tuple[GivenLabel, str]]
    """Those that are older than what stands, with that, which stays."""


def add_labels(
    connection: Connection, given: Sequence[GivenLabel], *, same: Callable[[str, str], bool] = operator.eq
) -> LabelsAdded:
    """Append labels to the log, where the same annotator's label that stands is another; `same` compares two."""
    current_rows = look_up(connection, _CURRENT_LABELS, [one.frame_id for one in given]) if given else iter(())
    known = {(frame_id, annotator): (label, at) for frame_id, annotator, label, at in current_rows}
    new, unchanged = list[GivenLabel](), 0
    replaced, older = list[tuple[GivenLabel, str]](), list[tuple[GivenLabel, str]]()
    for one in given:
        label, at = known.get((one.frame_id, one.annotator), (None, ""))
        if label is None:
            new.append(one)
        elif same(label, one.label or ""):
            unchanged += 1
        elif one.said_at and one.said_at <= at:
            older.append((one, label))
        else:
            replaced.append((one, label))
    for annotator in dict.fromkeys(one.annotator for one in given):
        enter_annotator(connection, annotator)
    added = [*new, *(one for one, _ in replaced)]
    rows = [
        {"frame_id": one.frame_id, "label": one.label, "annotator": one.annotator, "created_at": now()}
        for one in sorted(added, key=lambda one: one.row)
    ]
    if rows:
        connection.execute(labels.insert(), rows)
    return LabelsAdded(len(rows), unchanged, replaced, older)
