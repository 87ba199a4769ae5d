"""Which images somebody has judged: labeled, or drawn on. They stay in their split, and are kept of duplicates."""

from sqlalchemy import ColumnElement, exists, or_

from dicomprep.database.annotation_schema import annotation_events
from dicomprep.database.schema import frames, labels

__all__ = ["is_judged"]

is_judged: ColumnElement[bool] = or_(
    exists().where(labels.c.frame_id == frames.c.id), exists().where(annotation_events.c.frame_id == frames.c.id)
)
"""The condition on frames."""
