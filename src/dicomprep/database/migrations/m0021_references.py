"""What segmentations, structure sets, reports, marks and presentation states say of which images."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_TABLE = """
ALTER TABLE files ADD COLUMN frame_of_reference_key BIGINT;
CREATE INDEX files_by_sop_instance ON files (sop_instance_uid);
CREATE INDEX files_by_series_instance ON files (series_instance_uid);
CREATE INDEX files_by_frame_of_reference ON files (frame_of_reference_key);
CREATE TABLE image_references (
    file_id {id} NOT NULL,
    position INTEGER NOT NULL,
    kind VARCHAR(16) NOT NULL,
    number BIGINT,
    label TEXT,
    code TEXT,
    meaning TEXT,
    category_code TEXT,
    category_meaning TEXT,
    site_code TEXT,
    site_meaning TEXT,
    value FLOAT,
    unit TEXT,
    value_code TEXT,
    value_meaning TEXT,
    shapes INTEGER,
    source_frame INTEGER,
    target_sop_instance_uid VARCHAR(64),
    target_frame INTEGER,
    target_series_instance_uid VARCHAR(64),
    frame_of_reference_key BIGINT,
    plane_mm FLOAT,
    plane_orientation TEXT,
    PRIMARY KEY (file_id, position)
);
CREATE INDEX references_by_target ON image_references (target_sop_instance_uid)
"""

_FORGET = "DELETE FROM image_references WHERE file_id = OLD.id;"
_TRIGGER = {
    "sqlite": f"CREATE TRIGGER references_forgotten AFTER DELETE ON files BEGIN {_FORGET} END",
    "postgresql": "CREATE FUNCTION references_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$ "
    f"BEGIN {_FORGET} RETURN NULL; END $$;"
    "CREATE TRIGGER references_forgotten AFTER DELETE ON files "
    "FOR EACH ROW EXECUTE FUNCTION references_forgotten()",
}

_NAMED = (
    "said.target_sop_instance_uid IS NOT NULL AND targets.sop_instance_uid = said.target_sop_instance_uid",
    "frames.file_id = COALESCE(targets.duplicate_of, targets.id)",
    """NOT EXISTS (SELECT 1 FROM files AS others WHERE others.sop_instance_uid = targets.sop_instance_uid
        AND COALESCE(others.duplicate_of, others.id) = COALESCE(targets.duplicate_of, targets.id)
        AND others.id < targets.id)""",
)
"""The image itself, or the one that it is a duplicate of; of several duplicates with one UID the first counts."""

_OF_IMAGES = "COALESCE(targets.modality, '') NOT IN ('SEG', 'RTDOSE') AND targets.duplicate_of IS NULL"
_SERIES = (
    "said.target_sop_instance_uid IS NULL AND targets.series_instance_uid = said.target_series_instance_uid",
    f"said.plane_mm IS NOT NULL AND {_OF_IMAGES} AND frames.file_id = targets.id",
)
_SPACE = (
    "said.target_sop_instance_uid IS NULL AND said.target_series_instance_uid IS NULL",
    f"targets.frame_of_reference_key = said.frame_of_reference_key AND {_OF_IMAGES}",
    "said.plane_mm IS NOT NULL AND frames.file_id = targets.id",
)
"""Masks and doses lie in the same planes as the images."""

_PLACE = (
    "(said.target_frame IS NULL OR frames.frame_number = said.target_frame - 1)",
    "(said.plane_mm IS NULL OR abs(frames.slice_position_mm - said.plane_mm) <= 0.010001)",
    "(said.plane_orientation IS NULL OR frames.image_orientation = said.plane_orientation)",
)
_WAYS = tuple(" AND ".join((*way, *_PLACE)) for way in (_NAMED, _SERIES, _SPACE))
_SELECT = """SELECT said.file_id, said.position, said.kind, said.number, said.label, said.code, said.meaning,
    said.category_code, said.category_meaning, said.site_code, said.site_meaning, said.value, said.unit,
    said.value_code, said.value_meaning, said.shapes, said.source_frame, said.target_sop_instance_uid,
    said.target_frame, said.target_series_instance_uid, said.frame_of_reference_key, said.plane_mm,
    said.plane_orientation,
    CASE WHEN sources.root = '/' THEN '/' ELSE sources.root || '/' END || sources.path AS path, {image} AS image_id
    FROM image_references AS said JOIN files AS sources ON sources.id = said.file_id"""
_FIRST_COPY = """NOT EXISTS (SELECT 1 FROM files AS copies
    WHERE copies.digest = sources.digest AND copies.id < sources.id)"""
"""Copies of one file say the same. Two masks that look the same need not be of the same image."""


def _view() -> str:
    """A row for each image that a statement is on, and one for a statement on none that is here."""
    found, missing = _SELECT.format(image="frames.id"), _SELECT.format(image="NULL")
    images = "files AS targets CROSS JOIN frames WHERE"  # SQLite joins them in this order
    here = [f"{found} CROSS JOIN {images} {_FIRST_COPY} AND {way}" for way in _WAYS]
    gone = " AND ".join(f"NOT EXISTS (SELECT 1 FROM {images} {way})" for way in _WAYS)  # noqa: S608
    parts = " UNION ALL ".join((*here, f"{missing} WHERE {_FIRST_COPY} AND {gone}"))
    return f'CREATE VIEW "references" AS {parts}'


_STORAGE = "1.2.840.10008.5.1.4.1.1"
_CLASSES = ", ".join(f"'{_STORAGE}.{number}'" for number in ("66.4", "66.5", "66.7", "481.3"))
_FAMILIES = f"'{_STORAGE}.88.', '{_STORAGE}.11.'"
_DESCRIBING = f"(sop_class_uid IN ({_CLASSES}) OR substr(sop_class_uid, 1, {len(_STORAGE) + 4}) IN ({_FAMILIES}))"
_READ_AGAIN = (
    f"UPDATE files SET header_due = 1 WHERE frames > 0 AND {_DESCRIBING}",  # noqa: S608  (words of this file)
    f"UPDATE files SET fingerprint = '' WHERE frames = 0 AND {_DESCRIBING}",  # noqa: S608
)
"""Of masks the header, without drawing them again; the others have nothing to be drawn."""


def upgrade(connection: Connection) -> None:
    """Add table and view. The next run reads those recorded files again that say something of images."""
    dialect = connection.dialect.name
    for statement in _TABLE.format(id={"sqlite": "INTEGER", "postgresql": "BIGINT"}[dialect]).split(";"):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(_TRIGGER[dialect])
    connection.exec_driver_sql(_view())
    for statement in _READ_AGAIN:
        connection.exec_driver_sql(statement)
