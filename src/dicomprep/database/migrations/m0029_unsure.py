"""Labels of which somebody is unsure, with notes; labels of units and new classes are taken back in their turn."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_TABLES = """
ALTER TABLE labels ADD COLUMN unsure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE labels ADD COLUMN note TEXT;
ALTER TABLE unit_labels ADD COLUMN unsure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE unit_labels ADD COLUMN note TEXT;
ALTER TABLE unit_labels ADD COLUMN undoes {integer};
ALTER TABLE commands ADD COLUMN unit_label_id {integer};
ALTER TABLE commands ADD COLUMN class_id {integer};
ALTER TABLE commands ADD COLUMN undid VARCHAR(8);
CREATE INDEX commands_again ON commands (annotator, id) WHERE kind = 'again' AND undone = 0;
CREATE INDEX commands_unit ON commands (annotator, id) WHERE kind = 'unit' AND undone = 0;
CREATE INDEX commands_class ON commands (annotator, id) WHERE kind = 'class' AND undone = 0;
CREATE INDEX labels_unsure ON labels (frame_id) WHERE unsure = 1;
CREATE INDEX standing_by_annotator ON standing (annotator, event_id);
CREATE INDEX passed_by_annotator ON passed (annotator, frame_id)
"""

_RULE = "COALESCE((SELECT value FROM meta WHERE key = 'consensus'), 'adjudicated')"
_DECIDED = f"""CASE {_RULE}
    WHEN 'newest' THEN
        (SELECT label FROM standing WHERE standing.frame_id = frames.id ORDER BY event_id DESC LIMIT 1)
    ELSE COALESCE(
        (SELECT label FROM standing WHERE standing.frame_id = frames.id AND adjudicated = 1
            AND {_RULE} = 'adjudicated' ORDER BY event_id DESC LIMIT 1),
        (SELECT label FROM standing WHERE standing.frame_id = frames.id GROUP BY label
            HAVING 2 * count(*) > (SELECT count(*) FROM standing AS votes WHERE votes.frame_id = frames.id))
    ) END"""  # noqa: S608

_IMAGES = f"""CREATE VIEW {{name}} AS
SELECT frames.id, frames.filename, files.study_id, frames.thumbnail_path, frames.frame_number, groups.split,
    files.modality, groups.key AS patient_key, {_DECIDED} AS label,
    frames.width, frames.height, COALESCE(files.kind, 'original') AS kind,
    (SELECT heads.key FROM groups AS heads WHERE heads.id = COALESCE(groups.joined_id, groups.id)) AS group_key,
    groups.fold,
    (SELECT max(said.unsure) FROM standing JOIN labels AS said ON said.id = standing.event_id
        WHERE standing.frame_id = frames.id) AS unsure
FROM frames JOIN files ON files.id = frames.file_id JOIN groups ON groups.id = files.group_id
WHERE files.duplicate_of IS NULL"""  # noqa: S608

_VIEWS = {
    "images": " AND (files.kind IS NULL OR files.kind IN ('original', 'derived', 'slide_label'))",
    "all_images": "",
    "masks": " AND files.kind = 'mask'",
    "dose_grids": " AND files.kind = 'dose'",
    "maps": " AND files.kind = 'map'",
}


def upgrade(connection: Connection) -> None:
    """Add columns and indexes; the views of images say of which one of its readers is unsure."""
    integer = {"sqlite": "INTEGER", "postgresql": "BIGINT"}[connection.dialect.name]
    for statement in _TABLES.format(integer=integer).split(";"):
        connection.exec_driver_sql(statement)
    for name, condition in _VIEWS.items():
        connection.exec_driver_sql(f"DROP VIEW {name}")
        connection.exec_driver_sql(_IMAGES.format(name=name) + condition)
