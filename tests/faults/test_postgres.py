"""What holds with SQLite holds with PostgreSQL: an ordinary life, kills, two runs at once, a server that hangs up."""

import random
import shutil
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from subprocess import TimeoutExpired

import psycopg
import pytest

import dicomprep
from dicomprep import EnvironmentFault
from dicomprep.database import connection as connecting
from dicomprep.database.address import DatabaseAddress
from dicomprep.pipeline.stages.discover import discover
from dicomprep.privacy.keys import load_key
from tests.faults.disturbing import (
    SIZE,
    Interposer,
    check_what_is_recorded,
    few_files,
    rows_of,
    share,
)
from tests.faults.serving import ServedPlace, Server
from tests.running import PROJECT, Place, call, dicomprep_command, make_files, started, wait_until

Note = Callable[..., None]
NUMBERS = count()
MOMENTS, QUICK_MOMENTS = 60, 1


@pytest.fixture(scope="module")
def server(postgres: Server) -> Server:
    return postgres


@pytest.fixture
def place(tmp_path: Path, server: Server) -> ServedPlace:
    return new_place(tmp_path, server)


def new_place(base: Path, server: Server, *, like: str | None = None) -> ServedPlace:
    database = f"test{next(NUMBERS)}"
    server.create(database, like=like)
    base.mkdir(exist_ok=True)
    key = base / "out.key"
    key.touch(0o600)
    key.write_text("5a" * 32)
    return ServedPlace(base, server, database)


def preprocess(place: ServedPlace, source: Path) -> list[str]:
    known = ("--output-dir", "out", "--db", place.db, "--workers", 2, "--size", SIZE)
    return dicomprep_command("preprocess", source, *known)


def terminate_others(place: ServedPlace) -> None:
    """End all sessions in the database but the one that asks."""
    place.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid != pg_backend_pid()"
    )


# An ordinary life


def test_preprocess_again_retry_and_status(place: ServedPlace) -> None:
    make_files(place.source, "s/a.dcm", "s/b.dcm:3", "t/c.dcm")
    (place.source / "late.dcm").write_text("still on its way")
    first = call(preprocess(place, place.source), place.base)
    assert (first.returncode, first.stdout.count("secret"), first.stderr.count("secret")) == (0, 0, 0)
    place.check()
    before = place.tables("files", "frames", "groups")
    again = place.run(size=SIZE)
    assert (again.unchanged, again.processed, again.frames) == (4, 0, 0)
    assert place.tables("files", "frames", "groups") == before
    part = place.run(size=SIZE, dicom_dir=place.source / "s", prune=True)
    assert (part.unchanged, part.processed, part.pruned) == (2, 0, 0)
    status = call(dicomprep_command("status", "--db", place.db), place.base)
    assert status.returncode == 0
    assert [line.split() for line in status.stdout.splitlines()[:3]] == [
        ["Files", "by", "status"],
        ["done", "3"],
        ["failed", "1"],
    ]
    make_files(place.source, "late.dcm", seed=9)
    retried = call(dicomprep_command("retry", "--db", place.db, "--workers", 1), place.base)
    assert (retried.returncode, retried.stderr) == (0, "")
    assert set(place.statuses().values()) == {("done", None)}
    assert place.rows("SELECT count(*) FROM inputs WHERE attempts = 2") == [1]
    make_files(place.source, "s/b.dcm:2", seed=5)
    assert place.run(size=SIZE).processed == 1
    place.check()


def test_data_sets_side_by_side_have_keys_of_their_own(place: ServedPlace, server: Server, tmp_path: Path) -> None:
    make_files(place.source, "s/a.dcm")
    place.run(size=SIZE)
    server.create("beside")
    beside = f"{server.url('beside')}"
    dicomprep.preprocess(place.source, output_dir=tmp_path / "Andere", db=beside, workers=1, size=SIZE)
    assert (tmp_path / "Andere.key").read_bytes() != (tmp_path / "out.key").read_bytes()
    before = place.images()
    server.create("intruder")
    with pytest.raises(dicomprep.ConfigError, match="contains the images of another database"):
        dicomprep.preprocess(place.source, output_dir=place.output, db=server.url("intruder"), workers=1, size=SIZE)
    assert place.images() == before


def test_a_key_where_earlier_releases_kept_it_is_found_and_copied(place: ServedPlace) -> None:
    make_files(place.source, "s/a.dcm")
    place.run(size=SIZE)
    (place.base / "out.key").rename(place.base / "dicomprep.key")
    exported = call(dicomprep_command("export", "csv", "exported", "--db", place.db), place.base)
    assert (exported.returncode, (place.base / "out.key").exists()) == (0, False)
    assert place.run(size=SIZE).unchanged == 1
    assert load_key(place.base / "out.key") == load_key(place.base / "dicomprep.key")
    assert (place.base / "out.key").stat().st_mode & 0o077 == 0


def test_every_command_says_of_a_server_what_it_says_of_a_file(place: ServedPlace, tmp_path: Path) -> None:
    """The same files under the same key: exports have the same bytes, tables the same rows."""
    local = Place(tmp_path / "local")
    local.base.mkdir()
    make_files(place.source, *(f"s{number}/g.dcm" for number in range(9)), "cine.dcm:3")
    for name in ("h", "i"):
        shutil.copy(place.source / "s1/g.dcm", place.source / f"s1/{name}.dcm")  # twins
    (tmp_path / "labels.csv").write_text("filename,label\ns1/g,a\ns2/g,b\ns3/g,a\nnone,a\n")
    (tmp_path / "scores.csv").write_text("filename,a,b\ns1/g,0.9,0.1\ns2/g,0.8,0.2\n")
    shutil.copy(place.base / "out.key", f"{local.db}.key")
    said = []
    for one in (local, place):
        one.run(dicom_dir=place.source, size=SIZE)
        out = tmp_path / f"exported{len(said)}"
        commands = [
            *(("export", kind, out / kind) for kind in ("csv", "parquet", "webdataset", "huggingface", "folder")),
            ("export", "csv", out / "some", "--where", "label = 'a' AND width >= 16", "--with-paths"),
            ("labels", "export", out / "labels.csv"),
            ("predictions", "export", out / "scores.csv", "--by", "study"),
            ("verify",),
            ("audit", "--privacy"),
            ("release",),
            ("report", out / "report.html"),
        ]
        imports = [("labels", "import", tmp_path / "labels.csv"), ("predictions", "import", tmp_path / "scores.csv")]
        commands = [*imports, *commands]
        done = [call(dicomprep_command(*command, "--db", one.db), one.base) for command in commands]
        codes = {command[0]: one.returncode for command, one in zip(commands, done, strict=True)}
        assert set(codes.values()) == {0}, (codes, [one.stderr for one in done])
        files = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        files.pop(Path("report.html"))  # has times
        table = dicomprep.frames(one.db).drop(columns=["image", "id"]).sort_values("filename")
        data = dicomprep.Dataset(one.db, split="train")
        samples = sorted((record.filename, target, pixels.tolist()) for pixels, target, record in data)
        said.append((files, table.to_csv(index=False), samples, [one.stdout.replace(str(out), "") for one in done[:2]]))
    assert len(said[0][0]) > 20
    assert place.rows("SELECT count(*) FROM files WHERE duplicate_of IS NOT NULL") == [2]
    assert said[0] == said[1]


def test_what_is_missing_is_found_and_made_again(place: ServedPlace) -> None:
    make_files(place.source, "a.dcm", "b.dcm", "c.dcm:2")
    place.run(size=SIZE)
    before = place.images()
    first, second, *_ = sorted(before)
    (place.output / first).unlink()
    (place.output / second).write_bytes(before[second][:-9])
    (place.output / "stray.png").write_bytes(b"x")
    found = call(dicomprep_command("verify", "--db", place.db), place.base)
    assert (found.returncode, first in found.stdout, second in found.stdout) == (1, True, True), found.stderr
    call(dicomprep_command("verify", "--repair", "--db", place.db), place.base)
    assert call(dicomprep_command("verify", "--db", place.db), place.base).returncode == 0
    assert {name: content for name, content in place.images().items() if name in before} == before


# Kills


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, server: Server, interposer: Interposer
) -> tuple[Path, ServedPlace, ServedPlace, int, float]:
    """A tree that has changed; a place as it was before; one that a run let alone has made; its calls and seconds."""
    base = tmp_path_factory.mktemp("served")
    few_files(base / "tree", later=False)
    start = new_place(base / "start", server)
    start.run(dicom_dir=base / "tree", size=16)
    few_files(base / "tree", later=True)
    make_files(base / "tree", *(f"many/{number}.dcm" for number in range(60)), seed=60)
    place = new_place(base / "whole", server, like=start.database)
    shutil.copytree(start.base, place.base, dirs_exist_ok=True)
    place.rows("UPDATE meta SET value = %s WHERE key = 'output_dir'", str(place.output))
    began = time.monotonic()
    done = interposer.run(preprocess(place, base / "tree"), place)
    assert done.returncode == 0, done.stderr
    place.check()
    return base / "tree", start, place, interposer.count, time.monotonic() - began


def copy_of(start: ServedPlace, base: Path) -> ServedPlace:
    place = new_place(base, start.server, like=start.database)
    shutil.copytree(start.base, place.base, dirs_exist_ok=True)
    place.rows("UPDATE meta SET value = %s WHERE key = 'output_dir'", str(place.output))
    return place


def resume(place: ServedPlace, source: Path, whole: ServedPlace) -> None:
    check_what_is_recorded(place)
    assert place.run(dicom_dir=source, size=SIZE).exit_code == 0
    place.check()
    assert place.images() == whole.images()
    assert rows_of(place) == rows_of(whole)
    assert {path.name for path in place.base.iterdir()} == {"out", "out.key"}
    assert {path.name for path in place.output.iterdir() if path.name.startswith(".")} <= {
        ".dicomprep.lock",
        ".dicomprep.owner",
    }


def test_a_run_killed_at_any_moment_goes_on_as_if_nothing_had_happened(
    undisturbed: tuple[Path, ServedPlace, ServedPlace, int, float], tmp_path: Path, thorough: bool, note: Note
) -> None:
    source, start, whole, _, seconds = undisturbed
    moments = MOMENTS if thorough else QUICK_MOMENTS
    for number in range(moments):
        place = copy_of(start, tmp_path / str(number))
        with started(preprocess(place, source), place.base) as run:
            with suppress(TimeoutExpired):
                run.process.communicate(timeout=0.3 + random.Random(number).random() ** 0.5 * (seconds - 0.3))
            run.process.kill() if number % 2 else run.signal(signal.SIGKILL)
            assert run.none_left(5)
        resume(place, source, whole)
        shutil.rmtree(place.base)
    note("PostgreSQL: SIGKILL at random moments, then resume", moments=moments, rows_lost_doubled_or_mismatched=0)


@pytest.mark.parametrize("part", range(2))
def test_a_run_killed_at_any_call_that_changes_a_file_goes_on_too(
    undisturbed: tuple[Path, ServedPlace, ServedPlace, int, float],
    interposer: Interposer,
    tmp_path: Path,
    *,
    part: int,
    thorough: bool,
    note: Note,
) -> None:
    source, start, whole, calls, _ = undisturbed
    for number in share(calls, part, 2, at_most=None if thorough else 1):
        place = copy_of(start, tmp_path / str(number))
        interposer.run(preprocess(place, source), place, at=number)
        resume(place, source, whole)
        shutil.rmtree(place.base)
    note(
        "PostgreSQL: SIGKILL before the Nth write, rename or removal, then resume",
        N=f"each of some {calls}",
        rows_lost_doubled_or_mismatched=0,
    )


# Two runs at once

HOLDING = """
    import sys
    from pathlib import Path
    from tests import faulty
    from dicomprep.pipeline import run
    from dicomprep.workspace import Workspace
    from dicomprep.config import Config
    base = Path(sys.argv[1])
    workspace = Workspace.create(sys.argv[2], base / "out")
    run.run(workspace, Config.of(base / "in", workers=1), work=faulty.PROCESS)
"""


def test_two_runs_on_one_database_exclude_each_other_whatever_their_output(
    place: ServedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_files(place.source, "sleep.dcm")
    monkeypatch.setattr(connecting, "RUN_LOCK_SECONDS", 0.2)
    with started([sys.executable, "-c", textwrap.dedent(HOLDING), place.base, place.db], PROJECT) as first:
        assert wait_until(lambda: place.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [1], 60)
        for output in (place.base / "other", place.output):
            with pytest.raises(EnvironmentFault, match="Another run is writing"):
                place.run(output_dir=output)
        first.process.kill()
        first.process.wait()
        monkeypatch.undo()
        assert place.run().frames == 1
        assert first.none_left(5)
    assert place.rows("SELECT count(*) FROM files") == [1]
    place.check()


def test_runs_that_make_the_schema_at_once_do_not_collide(place: ServedPlace, tmp_path: Path) -> None:
    engines = [connecting.connect(place.address) for _ in range(4)]
    faults: list[Exception] = []

    def migrate(engine: object) -> None:
        try:
            connecting.migrate(engine)  # type: ignore[arg-type]
        except Exception as fault:  # noqa: BLE001
            faults.append(fault)

    threads = [threading.Thread(target=migrate, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    assert faults == []


# A server that hangs up


def test_a_session_ended_in_the_middle_of_a_transaction_costs_only_time(place: ServedPlace) -> None:
    make_files(place.source, *(f"s/{number:02d}.dcm" for number in range(20)))
    place.run(size=SIZE)
    before = place.tables("files", "frames")
    make_files(place.source, *(f"t/{number:02d}.dcm" for number in range(20)), seed=40)
    met: list[bool] = []

    def end_it() -> None:
        """As soon as the run waits for a table, within a transaction in which it has written."""
        with closing(psycopg.connect(place.db)) as other:
            wait_until(lambda: place.rows("SELECT count(*) FROM runs") == [2], 60)
            other.execute("LOCK TABLE frames IN SHARE MODE")
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            met.append(wait_until(lambda: place.rows(waiting) == [1], 60))
            place.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )

    thread = threading.Thread(target=end_it)
    thread.start()
    with pytest.raises(EnvironmentFault, match=r"closed the connection.*run this again") as fault:
        place.run(size=SIZE)
    thread.join()
    assert met == [True]
    assert "secret" not in str(fault.value)
    recorded = place.tables("files", "frames")
    assert recorded["files"][: len(before["files"])] == before["files"]
    check_what_is_recorded(place)
    assert place.run(size=SIZE).exit_code == 0
    assert len(place.images()) == 40
    place.check()


def test_a_session_ended_between_transactions_is_not_even_noticed(place: ServedPlace) -> None:
    make_files(place.source, *(f"s/{number:02d}.dcm" for number in range(20)))

    def sources() -> Iterator[object]:
        for number, source in enumerate(discover(str(place.source))):
            if number == 0:
                terminate_others(place)
            yield source

    assert place.run(sources=sources()).frames == 20
    place.check()


def test_a_table_that_another_program_has_locked(place: ServedPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(place.source, "a.dcm")
    place.run()
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 0.3)
    with closing(psycopg.connect(place.db)) as other:
        other.execute("LOCK TABLE files IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(EnvironmentFault, match="is locked by another program"):
            place.run()


def test_a_server_that_is_not_there(place: ServedPlace, tmp_path: Path) -> None:
    make_files(place.source, "a.dcm")
    db = f"postgresql://dicomprep:secret@/x?host={tmp_path}"
    done = call(dicomprep_command("preprocess", "in", "--db", db), place.base)
    assert done.returncode == 3
    assert done.stderr.startswith("Error: The database postgresql")
    assert "cannot be reached. Is the server running" in done.stderr
    assert "secret" not in done.stderr
    assert "secret" not in str(DatabaseAddress.parse(db))
