"""Several annotators, undo, the catalogue that pages read, and predictions in one row an image."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_TABLES = """
ALTER TABLE labels ADD COLUMN undoes BIGINT;
CREATE INDEX labels_by_annotator ON labels (annotator, id);
CREATE INDEX labels_by_undone ON labels (undoes);
CREATE TABLE standing (
    frame_id BIGINT NOT NULL,
    annotator TEXT NOT NULL,
    label TEXT NOT NULL,
    event_id BIGINT NOT NULL,
    PRIMARY KEY (frame_id, annotator)
);
INSERT INTO standing (frame_id, annotator, label, event_id)
SELECT frame_id, annotator, label, id FROM labels
WHERE label IS NOT NULL AND id IN (SELECT max(id) FROM labels GROUP BY frame_id, annotator);
CREATE TABLE classes (
    id {id} PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at VARCHAR(32) NOT NULL
);
CREATE TABLE annotators (
    name TEXT NOT NULL PRIMARY KEY,
    created_at VARCHAR(32) NOT NULL
);
INSERT INTO annotators (name, created_at) SELECT annotator, min(created_at) FROM labels GROUP BY annotator;
CREATE TABLE catalogue (
    frame_id {key} PRIMARY KEY,
    group_id BIGINT NOT NULL,
    study_id TEXT NOT NULL,
    modality VARCHAR(16),
    series BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    position FLOAT NOT NULL,
    draw INTEGER NOT NULL,
    wanted INTEGER NOT NULL,
    votes INTEGER NOT NULL,
    disputed INTEGER NOT NULL,
    first_by TEXT,
    label TEXT
);
CREATE INDEX catalogue_open ON catalogue (position) WHERE votes = 0;
CREATE INDEX catalogue_waiting ON catalogue (first_by, position) WHERE votes > 0 AND votes < wanted;
CREATE INDEX catalogue_by_series ON catalogue (series, slot);
CREATE INDEX catalogue_by_study ON catalogue (study_id, frame_id);
CREATE INDEX catalogue_by_group ON catalogue (group_id, frame_id);
CREATE INDEX catalogue_by_label ON catalogue (label, frame_id) WHERE label IS NOT NULL;
CREATE TABLE enrolled (
    group_id {key} PRIMARY KEY,
    frames INTEGER NOT NULL
);
CREATE TABLE reservations (
    frame_id BIGINT NOT NULL,
    annotator TEXT NOT NULL,
    until FLOAT NOT NULL,
    PRIMARY KEY (frame_id, annotator)
);
CREATE TABLE passed (
    frame_id BIGINT NOT NULL,
    annotator TEXT NOT NULL,
    created_at VARCHAR(32) NOT NULL,
    PRIMARY KEY (frame_id, annotator)
);
CREATE TABLE models (
    name TEXT NOT NULL PRIMARY KEY,
    scored_at VARCHAR(32) NOT NULL,
    scores BIGINT NOT NULL
);
CREATE TABLE predicted (
    model TEXT NOT NULL,
    frame_id BIGINT NOT NULL,
    label TEXT NOT NULL,
    score FLOAT NOT NULL,
    margin FLOAT NOT NULL,
    votes INTEGER NOT NULL,
    disagrees INTEGER NOT NULL,
    PRIMARY KEY (model, frame_id)
);
CREATE INDEX predicted_by_frame ON predicted (frame_id);
CREATE INDEX predicted_by_label ON predicted (model, label, frame_id);
CREATE INDEX predicted_by_margin ON predicted (model, margin) WHERE votes = 0;
CREATE INDEX predicted_by_score ON predicted (model, label, score) WHERE votes = 0;
CREATE INDEX predicted_disagreeing ON predicted (model, score) WHERE disagrees = 1;
DROP VIEW images;
CREATE VIEW images AS
SELECT frames.id, frames.filename, files.study_id, frames.thumbnail_path, frames.frame_number, groups.split,
    files.modality, groups.key AS patient_key,
    (SELECT label FROM standing WHERE standing.frame_id = frames.id ORDER BY event_id DESC LIMIT 1) AS label,
    frames.width, frames.height
FROM frames JOIN files ON files.id = frames.file_id JOIN groups ON groups.id = files.group_id
WHERE files.duplicate_of IS NULL
"""

_LABELLED = """
DELETE FROM standing WHERE frame_id = NEW.frame_id AND annotator = NEW.annotator;
INSERT INTO standing (frame_id, annotator, label, event_id)
SELECT NEW.frame_id, NEW.annotator, NEW.label, NEW.id WHERE NEW.label IS NOT NULL;
UPDATE catalogue SET
    votes = (SELECT count(*) FROM standing WHERE frame_id = NEW.frame_id),
    disputed = (SELECT count(DISTINCT label) FROM standing WHERE frame_id = NEW.frame_id),
    first_by = (SELECT annotator FROM standing WHERE frame_id = NEW.frame_id ORDER BY event_id LIMIT 1),
    label = (SELECT label FROM standing WHERE frame_id = NEW.frame_id ORDER BY event_id DESC LIMIT 1)
WHERE frame_id = NEW.frame_id;
UPDATE predicted SET
    votes = (SELECT count(*) FROM standing WHERE frame_id = NEW.frame_id),
    disagrees = (
        SELECT count(*) FROM (
            SELECT label FROM standing WHERE frame_id = NEW.frame_id ORDER BY event_id DESC LIMIT 1
        ) AS newest WHERE {find}(',' || newest.label || ',', ',' || predicted.label || ',') = 0
    )
WHERE frame_id = NEW.frame_id;
"""

_FORGOTTEN = """
UPDATE labels SET frame_id = -OLD.id WHERE frame_id = OLD.id;
DELETE FROM standing WHERE frame_id = OLD.id;
DELETE FROM catalogue WHERE frame_id = OLD.id;
DELETE FROM reservations WHERE frame_id = OLD.id;
DELETE FROM passed WHERE frame_id = OLD.id;
DELETE FROM predicted WHERE frame_id = OLD.id;
DELETE FROM predictions WHERE frame_id = OLD.id;
"""
"""An image that is no more keeps its events, under a number that no other image can be given."""

_TRIGGER = {
    "sqlite": "CREATE TRIGGER {name} AFTER {event} BEGIN {body} END",
    "postgresql": "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$;"
    "CREATE TRIGGER {name} AFTER {event} FOR EACH ROW EXECUTE FUNCTION {name}()",
}


def upgrade(connection: Connection) -> None:
    """Make the tables, and the triggers that keep them true whoever writes labels."""
    dialect = connection.dialect.name
    types = {
        "sqlite": {"id": "INTEGER NOT NULL", "key": "INTEGER NOT NULL", "find": "instr"},
        "postgresql": {"id": "BIGINT GENERATED BY DEFAULT AS IDENTITY", "key": "BIGINT NOT NULL", "find": "strpos"},
    }[dialect]
    for statement in _TABLES.format(**types).split(";"):
        connection.exec_driver_sql(statement)
    for name, event, body in (
        ("labels_stand", "INSERT ON labels", _LABELLED.format(**types)),
        ("frames_forgotten", "DELETE ON frames", _FORGOTTEN),
    ):
        connection.exec_driver_sql(_TRIGGER[dialect].format(name=name, event=event, body=body))
