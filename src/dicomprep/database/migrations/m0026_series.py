"""One row a series: a table made of files and frames, triggers that say which of its rows are stale, and a view."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_FACTS = """modality VARCHAR(16),
    kind VARCHAR(16), kind_reason TEXT, images INTEGER NOT NULL,
    plane VARCHAR(16), plane_reason TEXT, slices INTEGER NOT NULL,
    spacing_mm FLOAT, gaps INTEGER, spacing_reason TEXT,
    volume VARCHAR(16), volume_reason TEXT,
    echoes INTEGER, time_points INTEGER, phases INTEGER, b_values TEXT, divisions_reason TEXT,
    kernel VARCHAR(16), kernel_reason TEXT, contrast VARCHAR(16), contrast_reason TEXT,
    weighting VARCHAR(16), weighting_reason TEXT,
    slice_thickness_mm FLOAT, body_part TEXT, study_year INTEGER,
    manufacturer TEXT, series_number BIGINT, description_terms TEXT"""

_TABLES = """
CREATE TABLE series_facts (series_key VARCHAR(32) PRIMARY KEY NOT NULL, study_key VARCHAR(32), group_id {id},
    {facts});
CREATE INDEX series_facts_by_study ON series_facts (study_key);
CREATE TABLE stale_series (id {numbered}, series_key VARCHAR(32) NOT NULL);
CREATE INDEX stale_series_by_key ON stale_series (series_key);
CREATE INDEX files_by_series ON files (series_key);
INSERT INTO stale_series (series_key) SELECT DISTINCT series_key FROM files WHERE series_key IS NOT NULL
"""
_TYPES = {
    "sqlite": {"id": "INTEGER", "numbered": "INTEGER PRIMARY KEY NOT NULL"},
    "postgresql": {"id": "BIGINT", "numbered": "BIGSERIAL PRIMARY KEY"},
}

_NOTE = "INSERT INTO stale_series (series_key) SELECT {row}.series_key WHERE {row}.series_key IS NOT NULL;"
_NOTE_RELEASED = """INSERT INTO stale_series (series_key) SELECT DISTINCT files.series_key
    FROM frames JOIN files ON files.id = frames.file_id OR files.duplicate_of = frames.file_id
    WHERE frames.id = NEW.frame_id AND files.series_key IS NOT NULL;"""

_LOOKED_AT = (
    "group_id, study_key, series_key, series_instance_uid, status, fingerprint, frames, duplicate_of, kind, modality, "
    "plane, kernel, contrast, weighting, b_values, instance_number"
)
_EVENTS = {
    "in": ("INSERT ON files", _NOTE.format(row="NEW")),
    "out": ("DELETE ON files", _NOTE.format(row="OLD")),
    "anew": (f"UPDATE OF {_LOOKED_AT} ON files", _NOTE.format(row="OLD") + _NOTE.format(row="NEW")),
    "released": ("INSERT ON releases", _NOTE_RELEASED),
}
_TRIGGERS = {
    "sqlite": "CREATE TRIGGER series_stale_{name} AFTER {event} BEGIN {note} END",
    "postgresql": "CREATE FUNCTION series_stale_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "BEGIN {note} RETURN NULL; END $$; CREATE TRIGGER series_stale_{name} AFTER {event} "
    "FOR EACH ROW EXECUTE FUNCTION series_stale_{name}()",
}

_VIEW = """CREATE VIEW series AS SELECT facts.series_key, facts.study_key, groups.key AS patient_key, groups.split,
    {names} FROM series_facts AS facts JOIN groups ON groups.id = facts.group_id WHERE facts.images > 0"""


def upgrade(connection: Connection) -> None:
    """Add tables, triggers and view. The next run, or `dicomprep series`, makes the rows of all series."""
    dialect = connection.dialect.name
    for statement in _TABLES.format(**_TYPES[dialect], facts=_FACTS).split(";"):
        connection.exec_driver_sql(statement)
    for name, (event, note) in _EVENTS.items():
        connection.exec_driver_sql(_TRIGGERS[dialect].format(name=name, event=event, note=note))
    names = ", ".join(f"facts.{column.split()[0]}" for column in _FACTS.split(","))
    connection.exec_driver_sql(_VIEW.format(names=names))
