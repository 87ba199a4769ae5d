"""The table of series, the view of it, and which of its rows have to be made again."""

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

from dicomprep.database.schema import Id, metadata, views

__all__ = ["FACTS", "series", "series_facts", "series_slices", "stale_series"]


def _with_reasons(*names: str) -> list[Column[Any]]:
    types = (("", String(16)), ("_reason", Text))
    return [Column(f"{name}{ending}", type_) for name in names for ending, type_ in types]


def _facts() -> list[Column[Any]]:
    """What is derived of a series, in the order of the view."""
    return [
        *(Column("modality", String(16)), *_with_reasons("kind"), Column("images", Integer, nullable=False)),
        *(*_with_reasons("plane"), Column("slices", Integer, nullable=False)),
        *(Column("spacing_mm", Float), Column("gaps", Integer), Column("spacing_reason", Text)),
        *_with_reasons("volume"),
        *(Column("echoes", Integer), Column("time_points", Integer), Column("phases", Integer)),
        *(Column("b_values", Text), Column("divisions_reason", Text)),
        *_with_reasons("kernel", "contrast", "weighting"),
        *(Column("slice_thickness_mm", Float), Column("body_part", Text), Column("study_year", Integer)),
        *(Column("manufacturer", Text), Column("series_number", BigInteger), Column("description_terms", Text)),
    ]


FACTS = tuple(column.name for column in _facts())

series_facts = Table(
    "series_facts",
    metadata,
    Column("series_key", String(32), primary_key=True),
    Column("study_key", String(32)),
    Column("group_id", Id),
    *_facts(),
    Index("series_facts_by_study", "study_key"),
)
"""One row a series, as its images were when it was made; without the split, which may change by itself."""

series_slices = Table(
    "series_slices",
    metadata,
    Column("series_key", String(32), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("frame_id", Id, nullable=False),
    Column("stack", Integer, nullable=False),
)
"""The images of each series in their order, also hidden and held ones; made together with its facts."""

stale_series = Table(
    "stale_series",
    metadata,
    Column("id", Id, primary_key=True),
    Column("series_key", String(32), nullable=False),
    Index("stale_series_by_key", "series_key"),
)
"""Series of which a file or a release changed: triggers note them, and whoever makes their facts again removes them."""

series = Table(
    "series",
    views,
    *(Column("series_key", String(32)), Column("study_key", String(32))),
    *(Column("patient_key", String(32)), Column("split", String(8))),
    *_facts(),
)
