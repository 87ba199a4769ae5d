"""The schema, its versions, and what may be given as a database."""

import ast
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect

from dicomprep import ConfigError, EnvironmentFault
from dicomprep.database import connection, migrations, page_schema, schema, series_schema, sqlite, version_schema
from dicomprep.database.address import DatabaseAddress
from dicomprep.database.connection import connect, migrate, read_meta
from dicomprep.database.migrations import SCHEMA_VERSION
from dicomprep.database.writes import store as storing
from tests.building import make_dicom
from tests.running import Place, cli, frames_of, make_files

AS_RELEASED = connection.SYNCHRONOUS


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def execute(db: Path, *statements: str) -> None:
    with closing(sqlite3.connect(db)) as database, database:
        for statement in statements:
            database.execute(statement)


def affinity(type_: Any) -> str:
    """SQLite tells whole numbers of all widths alike (https://sqlite.org/datatype3.html)."""
    return str(type_).replace("BIGINT", "INTEGER")


def describe(engine: Engine) -> dict[str, Any]:
    """Tables with columns, keys and indexes, as the database has them."""
    tables = inspect(engine)
    return {
        name: {
            "columns": [
                (c["name"], affinity(c["type"]), c["nullable"], c["default"]) for c in tables.get_columns(name)
            ],
            "primary key": tables.get_pk_constraint(name)["constrained_columns"],
            "indexes": sorted(
                (i["name"], i["column_names"], i["unique"]) for i in tables.get_indexes(name, include_auto_indexes=True)
            ),
            "foreign keys": sorted(
                (f["constrained_columns"], f["referred_table"]) for f in tables.get_foreign_keys(name)
            ),
        }
        for name in tables.get_table_names()
    }


def test_migrations_make_what_the_schema_says(tmp_path: Path) -> None:
    migrated, created = connect(DatabaseAddress.parse(tmp_path / "x.db")), create_engine(f"sqlite:///{tmp_path}/y.db")
    migrate(migrated)
    assert page_schema.metadata is series_schema.metadata is version_schema.metadata is schema.metadata
    schema.metadata.create_all(created)
    assert describe(migrated) == describe(created)
    views = {
        name: [column["name"] for column in inspect(migrated).get_columns(name)]
        for name in inspect(migrated).get_view_names()
    }
    assert views == {name: list(view.c.keys()) for name, view in schema.views.tables.items()}
    with migrated.connect() as reader:
        assert read_meta(reader, "schema_version") == str(SCHEMA_VERSION)
    migrated.dispose()
    created.dispose()


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    for _ in range(2):
        engine = connect(DatabaseAddress.parse(db))
        migrate(engine)
        engine.dispose()
        before = locals().get("before") or db.read_bytes()
    assert db.read_bytes() == before


def test_a_newer_database_is_refused_untouched(place: Place) -> None:
    make_files(place.source, "a.dcm")
    place.run()
    execute(place.db, f"UPDATE meta SET value = '{SCHEMA_VERSION + 1}' WHERE key = 'schema_version'")
    before = place.db.read_bytes()
    with pytest.raises(EnvironmentFault, match=f"newer dicomprep .schema {SCHEMA_VERSION + 1}"):
        place.run()
    for command in (["status"], ["retry"], ["preprocess", place.source, "--output-dir", place.output]):
        done = cli(place.base, *command, "--db", "x.db")
        assert (done.returncode, "Upgrade dicomprep" in done.stderr) == (3, True)
    assert place.db.read_bytes() == before


@pytest.mark.parametrize("table", ["notes (text TEXT)", "files (id INTEGER, path TEXT)", "meta (key TEXT, value TEXT)"])
def test_a_database_of_something_else_is_refused_untouched(place: Place, table: str) -> None:
    make_files(place.source, "a.dcm")
    execute(
        place.db,
        f"CREATE TABLE {table}",
        f"INSERT INTO {table.split(maxsplit=1)[0]} VALUES ('1'{', 1' * table.count(',')})",
    )
    before = place.db.read_bytes()
    with pytest.raises(ConfigError, match="not a dicomprep database"):
        place.run()
    assert place.db.read_bytes() == before
    assert place.images() == {}


@pytest.mark.parametrize("content", [b"not a database, just text\n" * 50, bytes(range(256)) * 16])
def test_a_file_of_something_else_is_refused_untouched(place: Place, content: bytes) -> None:
    make_files(place.source, "a.dcm")
    place.db.write_bytes(content)
    with pytest.raises((ConfigError, EnvironmentFault), match="not a dicomprep database"):
        place.run()
    assert place.db.read_bytes() == content


def test_an_empty_file_becomes_a_database(place: Place) -> None:
    make_files(place.source, "a.dcm")
    place.db.touch()
    assert place.run().frames == 1


@pytest.mark.parametrize(
    "name",
    [
        "what?.db",
        "what?mode=memory",
        "100%25.db",
        "a#b.db",
        ":memory:",
        "file:x.db",
        "back\\slash.db",
        "ü ✓.db",
        "line\nbreak.db",
        os.fsdecode(b"\xff.db"),
        "new/folder/x.db",
    ],
)
def test_the_database_is_the_file_that_was_named(place: Place, name: str) -> None:
    make_files(place.source, "a.dcm")
    assert place.run(db=str(place.base / name)).frames == 1
    file = place.base / name
    assert file.read_bytes().startswith(b"SQLite format 3")
    assert {path.name for path in file.parent.iterdir()} - {"in", "out", "new"} == {
        f"{file.name}{end}" for end in ("", ".key", ".lock")
    }
    assert place.run(db=str(place.base / name)).unchanged == 1


@pytest.mark.parametrize(
    "url", ["mysql://host/name", "nonsense://x", "://", "http://host/x.db", "sqlite+nonsense:///x"]
)
def test_what_is_no_sqlite_path_or_postgresql_url_is_refused(place: Place, url: str) -> None:
    make_files(place.source, "a.dcm")
    with pytest.raises(ConfigError, match="give a file's path or a postgresql:// URL"):
        place.run(db=url)


@pytest.mark.parametrize(("first_safe", "mode"), [((0,), "wal"), ((99,), "delete"), (None, None)])
def test_the_journal_is_a_write_ahead_log_only_where_that_is_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_safe: tuple[int, ...] | None, mode: str | None
) -> None:
    """SQLite before 3.51.3 can corrupt a write-ahead log (DESIGN §5)."""
    if first_safe is None:
        mode = "wal" if sqlite3.sqlite_version_info >= (3, 51, 3) else "delete"
    else:
        monkeypatch.setattr(sqlite, "FIRST_SAFE_WAL", first_safe)
    monkeypatch.setattr(connection, "SYNCHRONOUS", AS_RELEASED)
    execute(tmp_path / "x.db", f"PRAGMA journal_mode = {'DELETE' if mode == 'wal' else 'WAL'}")
    engine = connect(DatabaseAddress.parse(tmp_path / "x.db"))
    with engine.connect() as opened:
        pragmas = [
            opened.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "synchronous", "foreign_keys")
        ]
    engine.dispose()
    assert pragmas == [mode, 3, 1]


def test_a_database_that_another_program_has_locked_is_a_fault_of_the_surroundings(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "BUSY_SECONDS", 0.1)
    make_files(place.source, "a.dcm")
    place.run()
    with closing(sqlite3.connect(place.db, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(EnvironmentFault, match="locked"):
            place.run()


def test_a_split_once_recorded_stays(place: Place) -> None:
    make_files(place.source, *(f"{number}.dcm" for number in range(7)))
    place.run(split="100/0/0")
    assert place.rows("SELECT DISTINCT split FROM images") == ["train"]
    place.run(split="0/0/100", size=24)
    assert place.rows("SELECT DISTINCT split FROM images") == ["train"]
    make_files(place.source, "stranger.dcm", seed=30)
    make_dicom(place.source / "new patient.dcm", frames_of(1, seed=40)[0], patient_id="new")
    place.run(split="0/0/100", size=24)
    assert sorted(place.rows("SELECT split, count(*) FROM groups GROUP BY 1")) == [("test", 1), ("train", 7)]


def test_who_a_patient_is_is_nowhere(place: Place) -> None:
    make_dicom(
        place.source / "a.dcm",
        frames_of(1)[0],
        patient_id="4711-Xq",  # four digits alone occur in UIDs by chance
        PatientName="Doe^Jane",
        PatientBirthDate="19700203",
        OtherPatientIDs="0815-Zv",
    )
    place.run()
    written = [path for path in place.base.rglob("*") if path.is_file() and place.source not in path.parents]
    assert len(written) >= 4
    for secret in (b"4711-Xq", b"Doe", b"Jane", b"19700203", b"0815-Zv"):
        assert [path.name for path in written if secret in path.read_bytes()] == []


# Where the thumbnails lie


def move_all(place: Place) -> Place:
    moved = place.base / "moved"
    moved.mkdir()
    for name in ("x.db", "x.db.key", "out"):
        (place.base / name).rename(moved / name)
    return Place(moved)


def test_database_and_thumbnails_move_together(place: Place) -> None:
    make_files(place.source, "a.dcm", "b.dcm:3")
    place.run()
    assert place.rows("SELECT value FROM meta WHERE key = 'output_dir'") == ["out"]
    moved = move_all(place)
    again = moved.run(dicom_dir=place.source)
    assert (again.processed, again.unchanged) == (0, 2)
    make_files(place.source, "c.dcm", seed=9)
    assert moved.run(dicom_dir=place.source).processed == 1
    moved.check()
    assert not place.output.exists()


def test_a_data_set_that_moved_can_be_retried(place: Place) -> None:
    make_files(place.source, "a.dcm")
    (place.source / "b.dcm").write_text("still on its way")
    place.run()
    moved = move_all(place)
    make_files(place.source, "b.dcm", seed=9)
    done = cli(place.base, "retry", "--db", moved.db)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(moved.images()) == ["in/a.png", "in/b.png"]
    assert not place.output.exists()


def test_thumbnails_elsewhere_are_recorded_where_they_are(place: Place) -> None:
    make_files(place.source, "a.dcm")
    (place.base / "data").mkdir()
    db = place.base / "data" / "x.db"
    place.run(db=str(db))
    shutil.copy(db, place.db)
    assert place.rows("SELECT value FROM meta WHERE key = 'output_dir'") == [str(place.output)]
    assert place.run(db=str(db)).processed == 0


def test_reading_needs_a_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no database .* yet"):
        connect(DatabaseAddress.parse(tmp_path / "x.db"), must_exist=True)
    assert not any(tmp_path.iterdir())


def test_a_password_is_never_shown(place: Place) -> None:
    make_files(place.source, "a.dcm")
    done = cli(place.base, "preprocess", "in", "--db", "postgresql://me:geheim@127.0.0.1:1/x")
    assert done.returncode in (2, 3)  # as the driver is there or not
    assert "geheim" not in done.stdout + done.stderr


def test_migrations_import_nothing_that_changes() -> None:
    """A step that is run years later does what it did when it was released: it has its own copy of all it needs."""
    imported = set()
    for path in sorted(Path(migrations.__file__).parent.glob("m[0-9]*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {(path.name, alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((path.name, f"{'.' * node.level}{node.module or ''}"))
    known = {"sqlalchemy", "dicomprep.database.migrations"}
    foreign = {
        (path, module)
        for path, module in imported
        if module.partition(".")[0] not in sys.stdlib_module_names
        and not any(module == name or module.startswith(f"{name}.") for name in known)
    }
    assert foreign == set()
