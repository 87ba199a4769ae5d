"""The table of what waits for its picture: labels, predictions and releases that no frame can have now."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table

from dicomprep.database.schema import Id, metadata

__all__ = ["waiting"]

waiting = Table(
    "waiting",
    metadata,
    Column("id", Id, primary_key=True),
    Column("frame_id", Id),
    Column("source_digest", LargeBinary(16)),
    Column("stream_digest", LargeBinary(16)),
    Column("file_digest", LargeBinary(16)),
    Column("file_id", Id),
    Column("frame_number", Integer),
    Column("since_run", Id),
    Column("run_id", Id),
    Index("waiting_by_picture", "source_digest"),
    Index("waiting_by_stream", "stream_digest"),
    Index("waiting_by_file", "file_digest", "frame_number"),
)
"""Pictures that no frame shows now and that labels, predictions or releases were given for.

These events have the number of this row, negated, in place of a frame's; a trigger gives it to them.
"""
