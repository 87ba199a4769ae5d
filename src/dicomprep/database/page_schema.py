"""The tables that only the pages use: who labels what, in which order, and what models say of it."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text, text

from dicomprep.database.schema import Id, metadata

__all__ = [
    "annotators",
    "catalogue",
    "catalogue_counts",
    "command_events",
    "commands",
    "current_labels",
    "models",
    "prediction_summary",
    "reservations",
    "skips",
]


def _of_kind(name: str, kind: str) -> Index:
    """What an annotator did of one kind and has not taken back."""
    stands = text(f"kind = '{kind}' AND undone = 0")
    return Index(f"commands_{name}", "annotator", "id", sqlite_where=stands, postgresql_where=stands)


current_labels = Table(
    "standing",
    metadata,
    Column("frame_id", Id, primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("event_id", Id, nullable=False),
    Column("adjudicated", Integer, nullable=False, server_default=text("0")),
    Index("standing_by_annotator", "annotator", "event_id"),
)
"""What each annotator's newest event says of an image; a trigger keeps it."""

annotators = Table(
    "annotators",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", String(32), nullable=False),
)

catalogue = Table(
    "catalogue",
    metadata,
    Column("frame_id", Id, primary_key=True, autoincrement=False),
    Column("group_id", Id, nullable=False),
    Column("study_id", Text, nullable=False),
    Column("modality", String(16)),
    Column("series", BigInteger, nullable=False),
    Column("slot", BigInteger, nullable=False),
    Column("position", Float, nullable=False),
    Column("draw", Integer, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("votes", Integer, nullable=False),
    Column("disputed", Integer, nullable=False),
    Column("first_by", Text),
    Column("label", Text),
    Index("catalogue_open", "position", sqlite_where=text("votes = 0"), postgresql_where=text("votes = 0")),
    Index(
        "catalogue_waiting",
        "first_by",
        "position",
        sqlite_where=text("votes > 0 AND votes < wanted"),
        postgresql_where=text("votes > 0 AND votes < wanted"),
    ),
    Index("catalogue_by_series", "series", "slot"),
    Index("catalogue_by_study", "study_id", "frame_id"),
    Index("catalogue_by_group", "group_id", "frame_id"),
    Index(
        "catalogue_by_label",
        "label",
        "frame_id",
        sqlite_where=text("label IS NOT NULL"),
        postgresql_where=text("label IS NOT NULL"),
    ),
    Index("catalogue_rated", "frame_id", sqlite_where=text("votes > 1"), postgresql_where=text("votes > 1")),
)
"""One row for each image, for the pages: its place in the order of labeling, in its series, what it is labeled.

The pages make it of `frames`, so that a run has no work with it.
"""

catalogue_counts = Table(
    "enrolled",
    metadata,
    Column("group_id", Id, primary_key=True, autoincrement=False),
    Column("frames", Integer, nullable=False),
)
"""How many images of a patient are in the catalogue."""

reservations = Table(
    "reservations",
    metadata,
    Column("frame_id", Id, primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("until", Float, nullable=False),
)

skips = Table(
    "passed",
    metadata,
    Column("frame_id", Id, primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("created_at", String(32), nullable=False),
    Index("passed_by_annotator", "annotator", "frame_id"),
)
"""What an annotator skipped."""

commands = Table(
    "commands",
    metadata,
    Column("id", Id, primary_key=True),
    Column("annotator", Text, nullable=False),
    Column("key", String(64)),
    Column("kind", String(8), nullable=False),
    Column("frame_id", Id),
    Column("event_id", Id, nullable=False),
    Column("undone", Integer, nullable=False),
    Column("created_at", String(32), nullable=False),
    *(Column(name, Id) for name in ("annotation_id", "unit_label_id", "class_id")),
    Column("undid", String(8)),
    Index("commands_by_key", "annotator", "key", unique=True),
    *(
        _of_kind(name, kind)
        for name, kind in (
            ("skipped", "skip"),
            ("annotated", "annotate"),
            ("again", "again"),
            ("unit", "unit"),
            ("class", "class"),
            ("batch", "batch"),
        )
    ),
)
"""What annotators did, by the id that the page gave it; `event_id` is their newest event of labels then.

`annotation_id` and `unit_label_id` are the events of `annotation_events` and `unit_labels` that a command made,
`class_id` is the class that it added. `undid` is what an undo took back.
"""

command_events = Table(
    "command_events",
    metadata,
    Column("command_id", Id, primary_key=True, autoincrement=False),
    Column("event_id", Id, primary_key=True, autoincrement=False),
)
"""The events of labels that one command made, which labeled several images."""

models = Table(
    "models",
    metadata,
    Column("name", Text, primary_key=True),
    Column("scored_at", String(32), nullable=False),
    Column("scores", BigInteger, nullable=False),
)

prediction_summary = Table(
    "predicted",
    metadata,
    Column("model", Text, primary_key=True),
    Column("frame_id", Id, primary_key=True),
    Column("label", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("margin", Float, nullable=False),
    Column("votes", Integer, nullable=False),
    Column("disagrees", Integer, nullable=False),
    Index("predicted_by_frame", "frame_id"),
    Index("predicted_by_label", "model", "label", "frame_id"),
    Index(
        "predicted_by_margin",
        "model",
        "margin",
        sqlite_where=text("votes = 0"),
        postgresql_where=text("votes = 0"),
    ),
    Index(
        "predicted_by_score",
        "model",
        "label",
        "score",
        sqlite_where=text("votes = 0"),
        postgresql_where=text("votes = 0"),
    ),
    Index(
        "predicted_disagreeing",
        "model",
        "score",
        sqlite_where=text("disagrees = 1"),
        postgresql_where=text("disagrees = 1"),
    ),
)
"""What a model says of an image, in one row; the images of the test split have none: no page can show it."""
