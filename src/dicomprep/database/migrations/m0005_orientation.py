"""How each image lies in the patient, so that volumes have parallel slices; the patients of twins by an index."""

from sqlalchemy import Connection

from dicomprep.database.migrations.m0002_tags import TAGS_VIEW

__all__ = ["upgrade"]

_CHANGES = """
DROP INDEX files_by_original;
CREATE INDEX files_by_original ON files (duplicate_of, group_id) WHERE duplicate_of IS NOT NULL;
ALTER TABLE frames ADD COLUMN image_orientation TEXT;
UPDATE files SET fingerprint = '' WHERE id IN (SELECT file_id FROM frames WHERE slice_position_mm IS NOT NULL);
DROP VIEW tags;
{view}WHERE files.duplicate_of IS NULL
"""


def upgrade(connection: Connection) -> None:
    """Change table, index and view. Files that have an orientation and were recorded without are done again."""
    view = TAGS_VIEW.replace("frames.slice_position_mm,", "frames.slice_position_mm, frames.image_orientation,")
    for statement in _CHANGES.format(view=view).split(";"):
        connection.exec_driver_sql(statement)
