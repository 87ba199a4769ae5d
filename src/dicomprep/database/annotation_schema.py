"""The log of what is drawn on images, its part in versions, and the view of what stands."""

from sqlalchemy import Column, Float, Index, LargeBinary, String, Table, Text

from dicomprep.database.schema import Id, _shown, files, frames, groups, metadata, views

__all__ = ["annotation_events", "annotations", "version_annotations"]

annotation_events = Table(
    "annotation_events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("frame_id", Id, nullable=False),
    Column("key", String(32), nullable=False),
    Column("kind", String(8)),
    Column("label", Text),
    Column("note", Text),
    Column("annotator", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    *(Column(name, Float) for name in ("row_min", "column_min", "row_max", "column_max")),
    Column("corners", Text),
    Column("undoes", Id),
    Index("annotation_events_by_frame", "frame_id", "id"),
    Index("annotation_events_by_key", "key", "id"),
)
"""Of events with the same `key` the newest stands; one without a `kind` took the annotation away.

Coordinates are in pixels of the source; `corners` is JSON of (row, column). `undoes` is the event that was taken back.
"""

version_annotations = Table(
    "version_annotations",
    metadata,
    Column("version_id", Id, primary_key=True),
    Column("frame_id", Id, primary_key=True, autoincrement=False),
    Column("key", String(32), primary_key=True),
    Column("image_key", LargeBinary(10), nullable=False),
    Column("kind", String(8), nullable=False),
    *(Column(name, Text) for name in ("label", "note")),
    Column("annotator", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("corners", Text, nullable=False),
)
"""The annotations of a version; `frame_id` is that of the image in `version_images`."""

annotations = Table(
    "annotations",
    views,
    *(Column("id", Id), *_shown(frames, "filename"), *_shown(files, "study_id"), *_shown(frames, "frame_number")),
    *(*_shown(groups, "split"), Column("patient_key", String(32))),
    *_shown(annotation_events, "key", "kind", "label", "note", "annotator", "created_at"),
    *_shown(annotation_events, "row_min", "column_min", "row_max", "column_max", "corners"),
)
