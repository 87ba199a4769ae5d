"""Which files hold the same image, which groups were joined because of that, and how alike frames are."""

from sqlalchemy import Connection

from dicomprep.database.migrations.m0002_tags import TAGS_VIEW

__all__ = ["upgrade"]

_CHANGES = """
ALTER TABLE groups ADD COLUMN run_id BIGINT;
ALTER TABLE groups ADD COLUMN joined_id BIGINT;
CREATE INDEX groups_by_joined ON groups (joined_id);
ALTER TABLE files ADD COLUMN pixel_key {bytes};
ALTER TABLE files ADD COLUMN instance_key BIGINT;
ALTER TABLE files ADD COLUMN duplicate_of BIGINT;
CREATE INDEX files_by_pixels ON files (pixel_key) WHERE pixel_key IS NOT NULL AND duplicate_of IS NULL;
CREATE INDEX files_by_instance ON files (instance_key) WHERE instance_key IS NOT NULL AND duplicate_of IS NULL;
CREATE INDEX files_by_original ON files (duplicate_of) WHERE duplicate_of IS NOT NULL;
ALTER TABLE frames ADD COLUMN likeness BIGINT;
DROP VIEW images;
CREATE VIEW images AS
SELECT frames.id, frames.filename, files.study_id, frames.thumbnail_path, frames.frame_number, groups.split,
    files.modality, groups.key AS patient_key,
    (SELECT label FROM labels WHERE labels.frame_id = frames.id ORDER BY labels.id DESC LIMIT 1) AS label,
    frames.width, frames.height
FROM frames JOIN files ON files.id = frames.file_id JOIN groups ON groups.id = files.group_id
WHERE files.duplicate_of IS NULL;
DROP VIEW inputs;
CREATE VIEW inputs AS
SELECT CASE WHEN files.root = '/' THEN '/' ELSE files.root || '/' END || files.path AS path,
    files.status, files.error_code,
    COALESCE(files.error_detail, 'a duplicate of '
        || CASE WHEN originals.root = '/' THEN '/' ELSE originals.root || '/' END || originals.path) AS error_detail,
    files.frames, files.attempts, files.run_id
FROM files LEFT JOIN files AS originals ON originals.id = files.duplicate_of;
DROP VIEW tags;
{view}WHERE files.duplicate_of IS NULL
"""


def upgrade(connection: Connection) -> None:
    """Add columns and indexes; the views leave duplicates out, and name their originals."""
    types = {"sqlite": {"bytes": "BLOB"}, "postgresql": {"bytes": "BYTEA"}}[connection.dialect.name]
    for statement in _CHANGES.format(view=TAGS_VIEW, **types).split(";"):
        connection.exec_driver_sql(statement)
