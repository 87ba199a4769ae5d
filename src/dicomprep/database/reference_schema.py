"""The table of what files say of images of others, and the view that joins it to the images that are here."""

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

from dicomprep.database.schema import Id, metadata, views

__all__ = ["image_references", "references"]


def _statement() -> list[Column[Any]]:
    """Columns of `privacy.references.Reference`."""
    names = ("code", "meaning", "category_code", "category_meaning", "site_code", "site_meaning")
    return [
        Column("kind", String(16), nullable=False),
        Column("number", BigInteger),
        Column("label", Text),
        *(Column(name, Text) for name in names),
        Column("value", Float),
        *(Column(name, Text) for name in ("unit", "value_code", "value_meaning")),
        Column("shapes", Integer),
        Column("source_frame", Integer),
        Column("target_sop_instance_uid", String(64)),
        Column("target_frame", Integer),
        Column("target_series_instance_uid", String(64)),
        Column("frame_of_reference_key", BigInteger),
        Column("plane_mm", Float),
        Column("plane_orientation", Text),
    ]


image_references = Table(
    "image_references",
    metadata,
    Column("file_id", Id, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    *_statement(),
    Index("references_by_target", "target_sop_instance_uid"),
)
"""One row per statement of a file on an image, in the order of the file. A trigger removes them with the file."""

references = Table(
    "references",
    views,
    Column("file_id", Id),
    Column("position", Integer),
    *_statement(),
    Column("path", Text),
    Column("image_id", Id),
)
"""The same with the file's path and the image: a row for each of several images, and for none one without."""
