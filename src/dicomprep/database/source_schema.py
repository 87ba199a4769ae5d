"""The tables of what is known of sources besides their inputs."""

from sqlalchemy import BigInteger, Column, Table, Text

from dicomprep.database.schema import metadata

__all__ = ["archives", "dicomdirs"]

archives = Table(
    "archives",
    metadata,
    Column("root", Text, primary_key=True),
    Column("prefix", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("version_tag", Text, nullable=False),
    Column("others", Text, nullable=False),
)
"""Archives that can only be read in order, as they were when all of their members were recorded.

Members lie below `root` and begin with `prefix`; `others` counts what is no input, as JSON.
"""

dicomdirs = Table(
    "dicomdirs",
    metadata,
    Column("root", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("references_count", BigInteger, nullable=False),
    Column("missing", BigInteger, nullable=False),
    Column("missing_names", Text, nullable=False),
    Column("unreferenced", BigInteger, nullable=False),
    Column("unreferenced_names", Text, nullable=False),
)
"""DICOMDIR files, and how what they refer to differs from what is there; names are of some files, one a line."""
