"""Reads of labels and predictions for elsewhere."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from dicomprep.database.schema import files, frames, groups, labels, predictions

__all__ = ["NamedFrame", "label_events", "named_frames", "scores"]

_JOINED = frames.join(files, files.c.id == frames.c.file_id).join(groups, groups.c.id == files.c.group_id)


class NamedFrame(NamedTuple):
    """All that a frame is called."""

    id: int
    image_id: int
    """Of the frame that shows it: its own, or of what is hidden as a duplicate that of the original."""
    filename: str
    thumbnail_path: str
    frame_number: int
    root: str
    path: str
    sop_instance_uid: str | None


def named_frames(connection: Connection) -> Iterator[NamedFrame]:
    """All frames, those of hidden duplicates among them, in the order of their ids."""
    shown = frames.alias("shown")
    original = func.coalesce(files.c.duplicate_of, files.c.id)
    same = (shown.c.file_id == original) & (shown.c.frame_number == frames.c.frame_number)
    columns = (
        *(frames.c.id, shown.c.id, frames.c.filename, frames.c.thumbnail_path, frames.c.frame_number),
        *(files.c.root, files.c.path, files.c.sop_instance_uid),
    )
    statement = select(*columns).select_from(frames.join(files, files.c.id == frames.c.file_id).join(shown, same))
    rows = connection.execution_options(yield_per=5000).execute(statement.order_by(frames.c.id))
    yield from (NamedFrame(*row) for row in rows)


def label_events(connection: Connection) -> Iterator[Sequence[Any]]:
    """(filename, label, annotator, created_at, adjudicated, unsure, note) of every event of the log, in its order."""
    names = ("label", "annotator", "created_at", "adjudicated", "unsure", "note")
    columns = (frames.c.filename, *(labels.c[name] for name in names))
    joined = labels.join(frames, frames.c.id == labels.c.frame_id)
    yield from connection.execute(select(*columns).select_from(joined).order_by(labels.c.id))


def scores(connection: Connection, *, model: str | None) -> Iterator[Sequence[Any]]:
    """(model, label, score, filename, SOP instance, frame, split, patient, study, series) of what models said."""
    columns = (
        *(predictions.c.model, predictions.c.label, predictions.c.score, frames.c.filename),
        *(files.c.sop_instance_uid, frames.c.frame_number, groups.c.split, groups.c.key),
        *(files.c.study_key, files.c.series_key),
    )
    joined = predictions.join(_JOINED, frames.c.id == predictions.c.frame_id)
    statement = select(*columns).select_from(joined)
    if model is not None:
        statement = statement.where(predictions.c.model == model)
    order = (predictions.c.model, frames.c.id, predictions.c.label)
    yield from connection.execution_options(yield_per=5000).execute(statement.order_by(*order))
