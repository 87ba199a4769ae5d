"""What each image is: masks, dose grids, maps, scouts and screens leave `images`, and have views of their own."""

from collections.abc import Iterable

from sqlalchemy import Connection

from dicomprep.database.migrations.m0002_tags import TAGS_VIEW

__all__ = ["tags_view", "upgrade"]

_COLUMNS = """
ALTER TABLE files ADD COLUMN kind VARCHAR(16);
ALTER TABLE files ADD COLUMN kind_reason TEXT;
ALTER TABLE files ADD COLUMN view_modifiers TEXT;
ALTER TABLE files ADD COLUMN presentation_intent VARCHAR(16);
ALTER TABLE files ADD COLUMN description_terms TEXT;
ALTER TABLE files ADD COLUMN header_due INTEGER;
UPDATE files SET header_due = 1 WHERE frames > 0;
CREATE INDEX files_by_header ON files (root, path) WHERE header_due IS NOT NULL
"""

_STORAGE = "1.2.840.10008.5.1.4.1.1"
_KNOWN = {
    f"{_STORAGE}.66.4": ("mask", "Segmentation"),
    f"{_STORAGE}.66.7": ("mask", "Label Map Segmentation"),
    f"{_STORAGE}.481.2": ("dose", "RT Dose"),
    f"{_STORAGE}.30": ("map", "Parametric Map"),
}
"""What is known without a file being read again."""

_IMAGES = """CREATE VIEW {name} AS
SELECT frames.id, frames.filename, files.study_id, frames.thumbnail_path, frames.frame_number, groups.split,
    files.modality, groups.key AS patient_key,
    (SELECT label FROM standing WHERE standing.frame_id = frames.id ORDER BY event_id DESC LIMIT 1) AS label,
    frames.width, frames.height, COALESCE(files.kind, 'original') AS kind
FROM frames JOIN files ON files.id = frames.file_id JOIN groups ON groups.id = files.group_id
WHERE files.duplicate_of IS NULL"""

_VIEWS = {
    "images": " AND (files.kind IS NULL OR files.kind IN ('original', 'derived', 'slide_label'))",
    "all_images": "",
    "masks": " AND files.kind = 'mask'",
    "dose_grids": " AND files.kind = 'dose'",
    "maps": " AND files.kind = 'map'",
}

_RISK = """COALESCE((SELECT theirs.{column} FROM files AS copies JOIN frames AS theirs
        ON theirs.file_id = copies.id AND theirs.frame_number = frames.frame_number
        WHERE copies.duplicate_of = files.id AND theirs.burned_in < frames.burned_in
        ORDER BY theirs.burned_in, theirs.id LIMIT 1), frames.{column}) AS {column}"""

_TABLE = """CREATE TABLE input_counts (
    group_id BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    error_code VARCHAR(32) NOT NULL,
    modality VARCHAR(16) NOT NULL,
    is_duplicate INTEGER NOT NULL,
    kind VARCHAR(16) NOT NULL,
    files BIGINT NOT NULL,
    frames BIGINT NOT NULL,
    PRIMARY KEY (group_id, status, error_code, modality, is_duplicate, kind)
)"""

_COUNTED = ("group_id", "status", "error_code", "modality", "duplicate_of", "kind", "frames")
_VALUES = (
    "COALESCE({row}group_id, 0), {row}status, COALESCE({row}error_code, ''), COALESCE({row}modality, ''), "
    "CASE WHEN {row}duplicate_of IS NULL THEN 0 ELSE 1 END, COALESCE({row}kind, '')"
)
_FILL = (
    f"INSERT INTO input_counts SELECT {_VALUES.format(row='')}, count(*), sum(frames) FROM files "  # noqa: S608
    "GROUP BY 1, 2, 3, 4, 5, 6"
)
_ADD = """ON CONFLICT (group_id, status, error_code, modality, is_duplicate, kind) DO UPDATE SET
    files = input_counts.files + excluded.files, frames = input_counts.frames + excluded.frames"""

_ADD_NEW = f"INSERT INTO input_counts VALUES ({_VALUES.format(row='NEW.')}, 1, NEW.frames) {_ADD};"  # noqa: S608
_TAKE_OLD = f"INSERT INTO input_counts VALUES ({_VALUES.format(row='OLD.')}, -1, -OLD.frames) {_ADD};"  # noqa: S608
_SAME = " AND ".join(f"OLD.{name} IS NEW.{name}" for name in _COUNTED)
_SQLITE = (
    f"CREATE TRIGGER files_counted_in AFTER INSERT ON files BEGIN {_ADD_NEW} END",
    f"CREATE TRIGGER files_counted_out AFTER DELETE ON files BEGIN {_TAKE_OLD} END",
    f"CREATE TRIGGER files_counted_anew AFTER UPDATE OF {', '.join(_COUNTED)} "
    f"ON files WHEN NOT ({_SAME}) BEGIN {_TAKE_OLD} {_ADD_NEW} END",
)

_POSTGRESQL = """CREATE OR REPLACE FUNCTION files_counted_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO input_counts SELECT {values}, sum(changed.files), sum(changed.files * changed.frames)
    FROM ({rows}) AS changed GROUP BY 1, 2, 3, 4, 5, 6
    HAVING sum(changed.files) <> 0 OR sum(changed.files * changed.frames) <> 0
    ORDER BY 1, 2, 3, 4, 5, 6 {add};
    RETURN NULL; END $$"""
_CHANGED = {
    "in": "SELECT *, 1 AS files FROM came",
    "out": "SELECT *, -1 AS files FROM went",
    "anew": "SELECT *, 1 AS files FROM came UNION ALL SELECT *, -1 AS files FROM went",
}


def upgrade(connection: Connection) -> None:
    """Add columns and views, and count by kind. Until a file's header is read again, its SOP Class says its kind."""
    is_sqlite = connection.dialect.name == "sqlite"
    counting = [f"DROP TRIGGER files_counted_{name}" for name in _CHANGED]
    for statement in counting if is_sqlite else ["ALTER TABLE files DISABLE TRIGGER USER"]:
        connection.exec_driver_sql(statement)
    for statement in _COLUMNS.split(";"):
        connection.exec_driver_sql(statement)
    for sop_class_uid, (kind, name) in _KNOWN.items():
        connection.exec_driver_sql(
            f"UPDATE files SET kind = '{kind}', kind_reason = 'SOP Class {name}' "  # noqa: S608  (words of this file)
            f"WHERE sop_class_uid = '{sop_class_uid}' AND frames > 0"
        )
    _count_anew(connection, is_sqlite=is_sqlite)
    for name in ("images", "tags"):
        connection.exec_driver_sql(f"DROP VIEW {name}")
    for name, condition in _VIEWS.items():
        connection.exec_driver_sql(_IMAGES.format(name=name) + condition)
    connection.exec_driver_sql(tags_view())


def _count_anew(connection: Connection, *, is_sqlite: bool) -> None:
    for statement in ("DROP TABLE input_counts", _TABLE, _FILL, *(_SQLITE if is_sqlite else ())):
        connection.exec_driver_sql(statement)
    if is_sqlite:
        return
    values = _VALUES.format(row="changed.")
    for name, rows in _CHANGED.items():
        connection.exec_driver_sql(_POSTGRESQL.format(name=name, rows=rows, values=values, add=_ADD))
    connection.exec_driver_sql("ALTER TABLE files ENABLE TRIGGER USER")


def tags_view(later: Iterable[str] = ()) -> str:
    """As m0013 left it, with the new columns, and those of a later migration."""
    view = TAGS_VIEW.replace("frames.slice_position_mm,", "frames.slice_position_mm, frames.image_orientation,")
    seen = "CASE WHEN releases.digest = frames.digest THEN releases.released ELSE 0 END"
    view = view.replace(seen, "releases.released")
    new = ("kind", "kind_reason", "view_modifiers", "presentation_intent", "description_terms", *later)
    view = view.replace("files.extra_tags,", f"{', '.join(f'files.{name}' for name in new)}, files.extra_tags,")
    risk = ", ".join(_RISK.format(column=column) for column in ("burned_in", "burned_in_reasons"))
    view = view.replace("frames.burned_in, frames.burned_in_reasons", risk)
    return f"{view}WHERE files.duplicate_of IS NULL"
