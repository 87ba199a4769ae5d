"""Classes that are renamed, merged, put in order, hidden: labels of all logs follow, and a log says what was done.

What was frozen keeps the names that it had. The labels of today are rewritten, rather than given anew by an event:
somebody's label says what it said, under another name, and his undo goes on as before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Table, delete, exists, func, insert, select, text, update

from dicomprep.database.annotation_schema import annotation_events
from dicomprep.database.class_schema import class_changes, class_events, classes
from dicomprep.database.consensus import decided_label
from dicomprep.database.page_schema import catalogue, current_labels, models, prediction_summary
from dicomprep.database.queries.classes import class_names, classes_of, labeled_classes, list_classes, name_today
from dicomprep.database.queries.units import UNCERTAIN_MARK
from dicomprep.database.schema import labels, predictions
from dicomprep.database.unit_schema import unit_labels
from dicomprep.database.writes.labels import add_classes
from dicomprep.database.writes.predictions import summarize
from dicomprep.database.writes.rows import now
from dicomprep.errors import LabelError

__all__ = ["Change", "Followed", "hide_class", "merge_class", "order_classes", "rename_class"]


class Change(StrEnum):
    """What may be done to a class."""

    RENAME = "rename"
    MERGE = "merge"
    ORDER = "order"
    HIDE = "hide"
    SHOW = "show"


@dataclass(frozen=True, slots=True)
class Followed:
    """How many rows follow a renamed or merged class."""

    labels: int
    """Events of labels of images, those that are undone or superseded among them."""
    unit_labels: int
    """Those of series, studies and patients."""
    annotations: int
    predictions: int
    """Scores of models."""


def rename_class(connection: Connection, name: str, target: str, *, annotator: str) -> Followed:
    """Call a class otherwise; all that has it follows. LabelError where there is none, or the name is taken."""
    _require(connection, name)
    if target in class_names(connection) or target in labeled_classes(connection):
        raise LabelError(f"There is a class {target} already: merge {name} into it, or choose another name.")
    connection.execute(update(classes).where(classes.c.name == name).values(name=target))
    followed = _follow(connection, Change.RENAME, name, target, annotator)
    for table in (predictions, prediction_summary):
        connection.execute(update(table).where(table.c.label == name).values(label=target))
    return followed


def merge_class(connection: Connection, name: str, target: str, *, annotator: str) -> Followed:
    """Make one class of two, the second: labels, annotations and scores of the first are its. It cannot be taken back.

    Of two scores of one model and image the greater one stays. LabelError where there is no such class.
    """
    _require(connection, name, target)
    if name == target:
        raise LabelError("Choose two different classes to merge.")
    followed = _follow(connection, Change.MERGE, name, target, annotator)
    connection.execute(delete(classes).where(classes.c.name == name))
    _merge_scores(connection, name, target)
    connection.execute(text(_AGREE))
    connection.execute(delete(models))  # what they say is compared with labels anew
    summarize(connection)
    return followed


def order_classes(connection: Connection, names: Sequence[str], *, annotator: str) -> None:
    """Put classes in an order on the pages: those that are named first, the others behind them as they were."""
    _require(connection, *names)
    if len(set(names)) < len(names):
        raise LabelError("A class is named twice.")
    rest = [listed.name for listed in list_classes(connection) if listed.name not in names]
    for place, name in enumerate([*names, *rest]):
        connection.execute(update(classes).where(classes.c.name == name).values(place=place))
    _note(connection, Change.ORDER, ", ".join(names), None, annotator)


def hide_class(connection: Connection, name: str, *, hidden: bool, annotator: str) -> None:
    """Offer a class on the pages no longer, or again; labels keep it."""
    _require(connection, name)
    connection.execute(update(classes).where(classes.c.name == name).values(hidden=int(hidden)))
    _note(connection, Change.HIDE if hidden else Change.SHOW, name, None, annotator)


def _require(connection: Connection, *names: str) -> None:
    """What labels have may be on no list yet: it is now, if it is named. LabelError for what is in neither."""
    listed = class_names(connection)
    unlisted = [name for name in dict.fromkeys(names) if name not in listed]
    if unlisted:
        labeled = labeled_classes(connection)
        add_classes(connection, [name for name in unlisted if name in labeled])
    known = class_names(connection)
    for name in names:
        if name not in known:
            raise LabelError(f"There is no class {name}. There are: {', '.join(known) or 'none yet'}.")


def _note(connection: Connection, change: Change, name: str, target: str | None, annotator: str) -> int:
    row = {"kind": change.value, "name": name, "target": target, "annotator": annotator, "created_at": now()}
    return int(connection.execute(insert(class_events).values(row).returning(class_events.c.id)).scalar_one())


def _follow(connection: Connection, change: Change, name: str, target: str, annotator: str) -> Followed:
    """Give every label its text of today, by what the log says that each becomes."""
    event_id = _note(connection, change, name, target, annotator)
    listed = class_names(connection) if change is Change.MERGE else []  # a renamed one stays where it stands
    order = {one: place for place, one in enumerate(listed)}
    found = {label for log in _LOGS for label in _having(connection, log, name)}
    rows = [{"event_id": event_id, "before": one, "after": _with(one, name, target, order)} for one in sorted(found)]
    if rows:
        connection.execute(insert(class_changes), rows)
    of_images, of_units, drawn, *_ = [
        _rewrite(connection, log, event_id) for log in (*_LOGS, current_labels, catalogue)
    ]
    scores = select(func.count()).select_from(predictions).where(predictions.c.label == name)
    return Followed(of_images, of_units, drawn, int(connection.execute(scores).scalar_one()))


_LOGS = (labels, unit_labels, annotation_events)


def _having(connection: Connection, log: Table, name: str) -> list[str]:
    """The different labels of a log that have a class, beside others or not."""
    quoted = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    statement = select(log.c.label).where(log.c.label.like(f"%{quoted}%", escape="\\")).distinct()
    return [label for label in connection.execute(statement).scalars() if name in classes_of(label)]


def _with(label: str, name: str, target: str, order: dict[str, int]) -> str:
    """A label with another class in place of one; several in their order."""
    parts = name_today(label, {name: target}).split(",")
    return ",".join(sorted(parts, key=lambda part: order.get(part.removesuffix(UNCERTAIN_MARK), len(order))))


def _rewrite(connection: Connection, table: Table, event_id: int) -> int:
    mine = class_changes.c.event_id == event_id
    becomes = select(class_changes.c.after).where(mine, class_changes.c.before == table.c.label).scalar_subquery()
    concerned = table.c.label.in_(select(class_changes.c.before).where(mine))
    return connection.execute(update(table).where(concerned).values(label=becomes)).rowcount


def _merge_scores(connection: Connection, name: str, target: str) -> None:
    other = predictions.alias("other")
    same = (other.c.frame_id == predictions.c.frame_id) & (other.c.model == predictions.c.model)
    greater = select(other.c.score).where(same, other.c.label == name).scalar_subquery()
    kept = (predictions.c.label == target) & (greater > predictions.c.score)
    connection.execute(update(predictions).where(kept).values(score=greater))
    both = exists().where(same, other.c.label == target)
    connection.execute(delete(predictions).where(predictions.c.label == name, both))
    connection.execute(update(predictions).where(predictions.c.label == name).values(label=target))


_AGREE = f"""UPDATE catalogue SET
    disputed = (SELECT count(DISTINCT label) FROM standing WHERE standing.frame_id = catalogue.frame_id),
    label = {decided_label("catalogue.frame_id")}
WHERE votes > 1"""  # noqa: S608
"""Readers who had said the one and the other class are of one mind now."""
