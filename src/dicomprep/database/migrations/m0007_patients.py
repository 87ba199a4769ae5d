"""By what else a patient is known, which groups are one and why, and where they were before."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_CHANGES = """
ALTER TABLE groups ADD COLUMN drawn_split VARCHAR(8);
CREATE TABLE aliases (
    key VARCHAR(32) NOT NULL,
    kind VARCHAR(8) NOT NULL,
    group_id BIGINT NOT NULL,
    PRIMARY KEY (key, kind, group_id)
);
CREATE INDEX aliases_by_group ON aliases (group_id);
CREATE TABLE links (
    group_id BIGINT NOT NULL,
    other_id BIGINT NOT NULL,
    reason VARCHAR(8) NOT NULL,
    PRIMARY KEY (group_id, other_id, reason)
);
CREATE INDEX links_by_other ON links (other_id);
INSERT INTO links (group_id, other_id, reason)
SELECT id, joined_id, 'image' FROM groups WHERE joined_id IS NOT NULL AND joined_id <> id;
INSERT INTO meta (key, value)
SELECT 'last_former_group', CAST(max(id) AS VARCHAR(32)) FROM groups HAVING max(id) IS NOT NULL;
INSERT INTO aliases (key, kind, group_id)
SELECT DISTINCT study_key, 'study', group_id FROM files
WHERE study_key IS NOT NULL AND group_id IS NOT NULL
    AND study_key <> (SELECT groups.key FROM groups WHERE groups.id = group_id)
"""


def upgrade(connection: Connection) -> None:
    """Add tables; what was joined stays joined, and the studies that are known are kept. No group changes its side."""
    for statement in _CHANGES.split(";"):
        connection.exec_driver_sql(statement)
