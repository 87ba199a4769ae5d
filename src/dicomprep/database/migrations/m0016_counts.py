"""How many inputs and frames each group has, by what `status` tells of them: triggers keep it, whoever writes."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_TABLE = """CREATE TABLE input_counts (
    group_id BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    error_code VARCHAR(32) NOT NULL,
    modality VARCHAR(16) NOT NULL,
    is_duplicate INTEGER NOT NULL,
    files BIGINT NOT NULL,
    frames BIGINT NOT NULL,
    PRIMARY KEY (group_id, status, error_code, modality, is_duplicate)
)"""

_KEY = "group_id, status, error_code, modality, is_duplicate"
_VALUES = (
    "COALESCE({row}group_id, 0), {row}status, COALESCE({row}error_code, ''), COALESCE({row}modality, ''), "
    "CASE WHEN {row}duplicate_of IS NULL THEN 0 ELSE 1 END"
)
_FILL = (
    f"INSERT INTO input_counts SELECT {_VALUES.format(row='')}, count(*), sum(frames) FROM files "  # noqa: S608
    "GROUP BY 1, 2, 3, 4, 5"
)
_ADD = f"""ON CONFLICT ({_KEY}) DO UPDATE SET
    files = input_counts.files + excluded.files, frames = input_counts.frames + excluded.frames"""

_ADD_NEW = f"INSERT INTO input_counts VALUES ({_VALUES.format(row='NEW.')}, 1, NEW.frames) {_ADD};"  # noqa: S608
_TAKE_OLD = f"INSERT INTO input_counts VALUES ({_VALUES.format(row='OLD.')}, -1, -OLD.frames) {_ADD};"  # noqa: S608
_SAME = " AND ".join(
    f"OLD.{name} IS NEW.{name}" for name in ("group_id", "status", "error_code", "modality", "duplicate_of", "frames")
)
_SQLITE = (
    f"CREATE TRIGGER files_counted_in AFTER INSERT ON files BEGIN {_ADD_NEW} END",
    f"CREATE TRIGGER files_counted_out AFTER DELETE ON files BEGIN {_TAKE_OLD} END",
    "CREATE TRIGGER files_counted_anew AFTER UPDATE OF group_id, status, error_code, modality, duplicate_of, frames "
    f"ON files WHEN NOT ({_SAME}) BEGIN {_TAKE_OLD} {_ADD_NEW} END",
)

_EVENTS = {
    "in": ("INSERT", "REFERENCING NEW TABLE AS came", "SELECT *, 1 AS files FROM came"),
    "out": ("DELETE", "REFERENCING OLD TABLE AS went", "SELECT *, -1 AS files FROM went"),
    "anew": (
        "UPDATE",
        "REFERENCING OLD TABLE AS went NEW TABLE AS came",
        "SELECT *, 1 AS files FROM came UNION ALL SELECT *, -1 AS files FROM went",
    ),
}
_POSTGRESQL = """CREATE FUNCTION files_counted_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO input_counts SELECT {values}, sum(changed.files), sum(changed.files * changed.frames)
    FROM ({rows}) AS changed GROUP BY 1, 2, 3, 4, 5
    HAVING sum(changed.files) <> 0 OR sum(changed.files * changed.frames) <> 0
    ORDER BY 1, 2, 3, 4, 5 {add};
    RETURN NULL; END $$;
CREATE TRIGGER files_counted_{name} AFTER {event} ON files {tables}
    FOR EACH STATEMENT EXECUTE FUNCTION files_counted_{name}()"""


def upgrade(connection: Connection) -> None:
    """Count what is there, and make the triggers."""
    connection.exec_driver_sql(_TABLE)
    connection.exec_driver_sql(_FILL)
    if connection.dialect.name == "sqlite":
        for statement in _SQLITE:
            connection.exec_driver_sql(statement)
        return
    values = _VALUES.format(row="changed.")
    for name, (event, tables, rows) in _EVENTS.items():
        connection.exec_driver_sql(
            _POSTGRESQL.format(name=name, event=event, tables=tables, rows=rows, values=values, add=_ADD)
        )
