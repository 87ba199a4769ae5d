"""The log of labels of series, studies and patients, by their keyed hashes: like `labels`, which is of images."""

from sqlalchemy import Column, Index, Integer, String, Table, Text, text

from dicomprep.database.schema import Id, metadata

__all__ = ["unit_labels"]

unit_labels = Table(
    "unit_labels",
    metadata,
    Column("id", Id, primary_key=True),
    Column("level", String(8), nullable=False),
    Column("unit_key", String(32), nullable=False),
    Column("label", Text),
    Column("annotator", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("adjudicated", Integer, nullable=False),
    Column("unsure", Integer, nullable=False, server_default=text("0")),
    Column("note", Text),
    Column("undoes", Id),
    Index("unit_labels_by_unit", "level", "unit_key", "annotator", "id"),
)
