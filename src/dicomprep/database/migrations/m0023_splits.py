"""The rule by which splits are drawn, what each group drew, why it is in its split, and its fold."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_CHANGES = """
ALTER TABLE groups ADD COLUMN split_reason VARCHAR(8);
ALTER TABLE groups ADD COLUMN draw BIGINT;
ALTER TABLE groups ADD COLUMN bare_draw BIGINT;
ALTER TABLE groups ADD COLUMN fold INTEGER;
CREATE INDEX groups_unsettled ON groups (id) WHERE split_reason = 'new';
INSERT INTO meta (key, value) SELECT 'split_rule', '1' WHERE EXISTS (SELECT 1 FROM groups)
    OR EXISTS (SELECT 1 FROM meta WHERE key = 'group_by')
"""

_IMAGES = """CREATE VIEW {name} AS
SELECT frames.id, frames.filename, files.study_id, frames.thumbnail_path, frames.frame_number, groups.split,
    files.modality, groups.key AS patient_key,
    (SELECT label FROM standing WHERE standing.frame_id = frames.id ORDER BY event_id DESC LIMIT 1) AS label,
    frames.width, frames.height, COALESCE(files.kind, 'original') AS kind,
    (SELECT heads.key FROM groups AS heads WHERE heads.id = COALESCE(groups.joined_id, groups.id)) AS group_key,
    groups.fold
FROM frames JOIN files ON files.id = frames.file_id JOIN groups ON groups.id = files.group_id
WHERE files.duplicate_of IS NULL"""

_VIEWS = {
    "images": " AND (files.kind IS NULL OR files.kind IN ('original', 'derived', 'slide_label'))",
    "all_images": "",
    "masks": " AND files.kind = 'mask'",
    "dose_grids": " AND files.kind = 'dose'",
    "maps": " AND files.kind = 'map'",
}


def upgrade(connection: Connection) -> None:
    """Data sets that were begun before splits had a seed keep their rule, by which the key decides."""
    for statement in _CHANGES.split(";"):
        connection.exec_driver_sql(statement)
    for name, condition in _VIEWS.items():
        connection.exec_driver_sql(f"DROP VIEW {name}")
        connection.exec_driver_sql(_IMAGES.format(name=name) + condition)
