"""A database that somebody sends, or a disk has damaged: each command works, or says in a sentence that it cannot."""

import contextlib
import random
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomprep.cli.app import main
from dicomprep.database.address import DatabaseAddress
from dicomprep.database.soundness import damage_fault
from tests.faults.figures import keep
from tests.hostile.damaged_databases import copy_of, damages, sql
from tests.running import Place, call, dicomprep_command, make_files, set_labels

READING = """
status; status --failures; verify; audit; audit --join --dry-run; release; report new.html;
export csv new1; export parquet new2; export webdataset new3; export huggingface new4; export folder new5;
labels export new.csv; labels export new.parquet --history; labels import given.csv;
predictions export new.csv --by patient; predictions import given.csv
"""
RUNNING = """
preprocess in --output-dir out --workers 1; preprocess in --output-dir out --workers 1 --size 16; retry --workers 1;
verify --repair --workers 1
"""
SECONDS = 60
"""A command that takes longer hangs."""

LIMITS = {"files": "-n 16", "few files": "-n 32", "memory": "-v 300000", "little memory": "-v 600000"}


def commands(text: str) -> list[list[str]]:
    return [[*command.split(), "--db", "x.db"] for command in text.replace("\n", " ").split(";")]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that has something in most tables."""
    place = Place(tmp_path_factory.mktemp("sound"))
    names = [f"a/{number}" for number in range(6)]
    make_files(place.source, *(f"{name}.dcm" for name in names), "b/many.dcm:3")
    (place.source / "bad.dcm").write_text("no DICOM")
    place.run()
    set_labels(place, dict.fromkeys(names, "label"))
    rows = (f"{name},label,0.5\n" for name in (*names, "nowhere"))
    (place.base / "given.csv").write_text("filename,label,score\n" + "".join(rows))
    for command in commands("predictions import given.csv; report old.html"):
        answer(place.base, command)
    return place.base


@pytest.fixture(scope="module")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether everything is tried, or a part that takes seconds."""
    return bool(pytestconfig.getoption("--thorough"))


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    def alarm(_number: int, _frame: object) -> None:
        raise AssertionError(f"it takes more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def answer(folder: Path, command: list[str]) -> int:
    with contextlib.chdir(folder), no_hang(), pytest.raises(SystemExit) as ended:
        main(command)
    return int(ended.value.code or 0)


def check(code: int, said: str) -> None:
    """Work that was done, or one sentence."""
    assert code in (0, 1, 2, 3)
    assert "Traceback" not in said
    errors = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert len(errors) == (code > 1), said


def test_every_command_with_databases_damaged_in_many_ways(
    base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], *, thorough: bool
) -> None:
    random.seed(0)
    tried = list(damages(base / "x.db"))
    asked = commands(READING + ";" + RUNNING)
    pairs = [(name, damage, command) for name, damage in tried for command in asked]
    for name, damage, command in pairs if thorough else random.sample(pairs, 50):
        here = copy_of(base, tmp_path / "copy")
        with contextlib.suppress(sqlite3.Error):  # what SQLite itself refuses is no damage
            damage(here / "x.db")
        try:
            check(answer(here, command), capfd.readouterr().err)
        except BaseException:
            print(f"{name}: {command}", file=sys.stderr)
            raise
        assert [path.name for path in here.parent.iterdir()] in (["here", "outside"], ["outside", "here"])
        assert [path.name for path in (here.parent / "outside").iterdir()] == ["kept.png"]
    if thorough:
        keep("commands with a damaged SQLite database", commands=len(pairs), damages=len(tried), tracebacks=0, hangs=0)


@pytest.mark.parametrize("limit", LIMITS)
def test_commands_that_are_allowed_too_little(base: Path, tmp_path: Path, *, limit: str, thorough: bool) -> None:
    here = copy_of(base, tmp_path / "copy")
    asked = [*commands(RUNNING + ";" + READING), ["inspect", "in/a/1.dcm", "--png", "new.png"]]
    for command in asked if thorough else asked[:1] + asked[-1:]:
        shell = ["bash", "-c", f'ulimit {LIMITS[limit]}; exec "$@"', "-"]
        done = call([*shell, *dicomprep_command(*command)], here)
        check(done.returncode, done.stderr)
        if limit in ("files", "memory"):
            assert done.returncode == 3
            assert "are needed. Raise it and run this again." in done.stderr
            assert len(done.stderr.splitlines()) == 1
        else:
            assert done.returncode == 0, done.stderr


def test_more_workers_than_files_may_be_open(base: Path, tmp_path: Path) -> None:
    here = copy_of(base, tmp_path / "copy")
    run = dicomprep_command("preprocess", "in", "--output-dir", "new", "--db", "new.db", "--workers", 60)
    done = call(["bash", "-c", 'ulimit -n 100; exec "$@"', "-", *run], here)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert (
        "The limit of open files (ulimit -n) of 100 is too low: 264 are needed. Raise it, or use fewer --workers,"
        in done.stderr
    )
    raised = call(["bash", "-c", 'ulimit -S -n 100; exec "$@"', "-", *run], here)
    assert raised.returncode == 0, raised.stderr


def test_a_fault_of_our_own_is_still_shown_as_one(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = copy_of(base, tmp_path / "copy")

    def wrong(_db: str) -> None:
        raise TypeError("a mistake")

    monkeypatch.setattr("dicomprep.cli.status._print_status", wrong)
    with contextlib.chdir(here), pytest.raises(TypeError, match="a mistake"):
        main(["status", "--db", "x.db"])
    sql("UPDATE frames SET width = 'wide'")(here / "x.db")
    assert answer(here, ["status", "--db", "x.db"]) == 3
    said = capfd.readouterr().err
    assert "x.db is damaged. Restore a backup" in said
    assert "frames.width of row 1" in said


def test_a_sound_database_is_called_so(base: Path, tmp_path: Path) -> None:
    here = copy_of(base, tmp_path / "copy")
    assert damage_fault(DatabaseAddress.parse(here / "x.db"), TypeError()) is None
    assert damage_fault(DatabaseAddress.parse(here / "nowhere.db"), TypeError()) is None
