"""Writes of labels that come from elsewhere."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.label_store import enter_annotator
from dicomprep.database.schema import images, labels

__all__ = ["add_labels"]

_LABELS = select(images.c.id, images.c.label).where(any_of(images.c.id))


def add_labels(connection: Connection, given: Sequence[tuple[int, str, str]]) -> int:
    """Append (frame id, label, annotator) to the log of labels; how many were new: what stands already is left out."""
    known = dict(look_up(connection, _LABELS, [frame_id for frame_id, _, _ in given])) if given else {}
    rows = [
        {"frame_id": frame_id, "label": label, "annotator": annotator, "created_at": _now()}
        for frame_id, label, annotator in given
        if known.get(frame_id) != label
    ]
    for annotator in dict.fromkeys(annotator for _, _, annotator in given):
        enter_annotator(connection, annotator)
    if rows:
        connection.execute(labels.insert(), rows)
    return len(rows)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
