"""The table of counts, from which `status` and others tell at once how much there is."""

from sqlalchemy import BigInteger, Column, Integer, String, Table

from dicomprep.database.schema import Id, metadata

__all__ = ["input_counts"]

input_counts = Table(
    "input_counts",
    metadata,
    Column("group_id", Id, primary_key=True, autoincrement=False),
    Column("status", String(16), primary_key=True),
    Column("error_code", String(32), primary_key=True),
    Column("modality", String(16), primary_key=True),
    Column("is_duplicate", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), primary_key=True),
    Column("files", BigInteger, nullable=False),
    Column("frames", BigInteger, nullable=False),
)
"""How many inputs and frames each group has (0: inputs of no group). What is not known is an empty text.

Triggers keep it as `files` changes, whoever writes. Rows that count nothing any more may stay.
"""
