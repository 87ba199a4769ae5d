"""The tables of versions: what was frozen under a name. Their rows are added, and only `forget` removes some."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from dicomprep.database.schema import Id, metadata

__all__ = ["version_facts", "version_images", "version_units", "versions"]

versions = Table(
    "versions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", String(32), nullable=False),
    Column("program", String(32), nullable=False),
    Column("options", Text, nullable=False),
    Column("classes", Text, nullable=False),
    Column("images", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)

version_facts = Table(
    "version_facts",
    metadata,
    Column("version_id", Id, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("split", String(8), nullable=False),
    Column("fold", Integer),
    Column("label", Text),
)
"""The splits, folds and labels that occur together in a version: an image has the number of its own."""

version_units = Table(
    "version_units",
    metadata,
    Column("version_id", Id, primary_key=True),
    Column("level", String(8), primary_key=True),
    Column("unit_key", String(32), primary_key=True),
    Column("label", Text, nullable=False),
)
"""The labels of series, studies and patients in a version."""

version_images = Table(
    "version_images",
    metadata,
    Column("version_id", Id, primary_key=True),
    Column("frame_id", Id, primary_key=True, autoincrement=False),
    Column("key", LargeBinary(10), nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("fact", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""The images of a version, by their pseudonym and the digest of the file; some 40 bytes each in SQLite."""
