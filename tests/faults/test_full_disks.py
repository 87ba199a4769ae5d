"""A disk that is full, failing or read-only ends a run with 3 and a sentence; the next run completes it."""

import ctypes
import errno
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dicomprep import EnvironmentFault
from dicomprep.database.writes import store as storing
from tests.faults.disturbing import Interposer, Scenario, check_what_is_recorded, preprocess, share
from tests.running import Place, call, cli, make_files

PARTS = 2
FAULTS = {"EIO": (errno.EIO, 1), "ENOSPC": (errno.ENOSPC, 0)}
"""The error, and how many calls it meets: a bad sector is one, a full disk stays full."""

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2

Note = Callable[..., None]
Run = subprocess.CompletedProcess[str]


def without_privileges() -> None:
    """Run before a program, as root or not: permissions are for it as well."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def the_fault(done: Run) -> str:
    """The one sentence that a run which failed ends with."""
    assert done.returncode == 3, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert "Traceback" not in done.stderr
    return line


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("fault", FAULTS)
def test_a_disk_that_fails_at_any_call_costs_only_time(
    later: Scenario, interposer: Interposer, tmp_path: Path, *, fault: str, part: int, thorough: bool, note: Note
) -> None:
    code, times = FAULTS[fault]
    failed = 0
    for number in share(later.calls, part, PARTS, at_most=None if thorough else 1):
        place = later.begin(tmp_path / str(number))
        done = interposer.run(later.command(), place, at=number, error=code, times=times)
        check_what_is_recorded(place)
        if done.returncode != 0:
            assert str(place.base) in the_fault(done)
            failed += 1
        later.resume(place)
        shutil.rmtree(place.base)
    assert failed > 0
    note(
        f"{fault} at the Nth write, sync, rename or removal, then resume",
        N=f"each of some {later.calls}",
        rows_lost_doubled_or_mismatched=0,
        stray_files=0,
        tracebacks=0,
    )


# Real ones


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    make_files(place.source, *(f"s/{number:02d}.dcm" for number in range(20)), "t/many.dcm:5")
    return place


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """`mount(name, options)`: a small file system of its own."""
    mounted: list[Path] = []

    def make(name: str, options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
        )
        if done.returncode != 0:
            pytest.skip("mounting is not allowed here")
        mounted.append(folder)
        return folder

    if shutil.which("mount") is None:
        pytest.skip("there is no mount")
    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


@pytest.mark.parametrize("full", ["images", "database", "both"])
def test_a_full_disk(place: Place, mount: Callable[..., Path], full: str) -> None:
    small = mount("small", "size=140k" if full == "database" else "size=96k")
    output, db = (small / "out" if full != "database" else place.output), (small if full != "images" else place.base)
    held = Held(place.base, output, db / "x.db")
    with pytest.raises(EnvironmentFault, match=rf"{small}.*Free some space and run this again"):
        held.run(size=64)
    check_what_is_recorded(held)
    assert len(held.images()) < 25 or full == "database"
    remount(small, "size=16m")
    assert held.run(size=64).exit_code == 0
    assert len(held.images()) == 25
    assert held.rows("PRAGMA integrity_check") == ["ok"]
    held.check()


class Held(Place):
    """A place whose output and database lie apart."""

    def __init__(self, base: Path, output: Path, db: Path) -> None:
        super().__init__(base)
        self.__dict__.update(apart=(output, db))

    @property
    def output(self) -> Path:
        return self.__dict__["apart"][0]

    @property
    def db(self) -> Path:
        return self.__dict__["apart"][1]


@pytest.mark.parametrize("what", ["output", "database"])
def test_a_read_only_file_system(place: Place, mount: Callable[..., Path], what: str) -> None:
    apart = mount("apart", "size=16m")
    held = (
        Held(place.base, apart / "out", place.db) if what == "output" else Held(place.base, place.output, apart / "x")
    )
    held.run()
    make_files(place.source, "late.dcm", seed=50)
    remount(apart, "ro")
    with pytest.raises(EnvironmentFault, match=rf"{apart}.*Read-only file system.*permissions"):
        held.run()
    remount(apart, "rw")
    assert held.run().processed == 1
    held.check()


@pytest.mark.parametrize("what", ["out", "out/s", "x.db"])
def test_what_may_not_be_written_to(place: Place, what: str) -> None:
    (place.output / "s").mkdir(parents=True)
    sqlite3.connect(place.db).close()
    place.db.touch()
    (place.base / what).chmod(0o444 if what == "x.db" else 0o555)
    fault = the_fault(call(preprocess(Path("in")), place.base, preexec_fn=without_privileges))
    assert str(place.base / what) in fault
    assert "ermission" in fault
    assert not place.db.stat().st_size or place.rows("SELECT count(*) FROM frames WHERE filename LIKE 's/%'") == [0]
    (place.base / what).chmod(0o755)
    assert place.run().exit_code == 0
    place.check()


def whole_database(place: Place) -> bytes:
    place.run()
    return place.db.read_bytes()


BROKEN: dict[str, Callable[[Place], object]] = {
    "folder": lambda place: place.db.mkdir(),
    "text": lambda place: place.db.write_text("no database " * 500),
    "cut": lambda place: place.db.write_bytes(whole_database(place)[:20000]),
    "overwritten": lambda place: place.db.write_bytes(
        (whole := whole_database(place))[:4096] + b"x" * (len(whole) - 4096)
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_database_that_is_none(place: Place, what: str) -> None:
    BROKEN[what](place)
    with pytest.raises(EnvironmentFault, match=rf"The database {place.db} (is|cannot)"):
        place.run()
    if what != "folder":
        for command in (["status"], ["status", "--failures"], ["retry"]):
            done = cli(place.base, *command, "--db", place.db)
            assert (done.returncode, f"The database {place.db} is" in done.stderr) == (3, True)
    shutil.rmtree(place.db) if place.db.is_dir() else place.db.unlink()
    (place.base / "x.db.key").unlink(missing_ok=True)
    assert place.run().exit_code == 0
    place.check()


@pytest.mark.parametrize("lock", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE", "BEGIN"])
def test_a_database_that_another_program_keeps_to_itself(
    place: Place, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    """A writer, or a reader that never comes to an end."""
    place.run()
    make_files(place.source, "late.dcm", seed=50)
    before = place.tables("files", "frames")
    monkeypatch.setattr(storing, "BUSY_SECONDS", 0.5)
    with closing(sqlite3.connect(place.db, isolation_level=None)) as other:
        other.execute(lock)
        other.execute("SELECT count(*) FROM files").fetchall()
        with pytest.raises(EnvironmentFault, match=r"x\.db is locked by another program\. Close that program"):
            place.run()
    assert place.tables("files", "frames") == before
    assert place.run().processed == 1
    place.check()


def test_a_source_that_cannot_be_read_is_that_inputs_fault(place: Place, interposer: Interposer) -> None:
    bad = place.source / "s/07.dcm"
    done = interposer.run(preprocess(place.source), place, at=1, error=errno.EIO, times=0, calls="read", below=bad)
    assert done.returncode == 0
    assert "it cannot be read: Input/output error [unreadable]" in done.stderr
    assert place.statuses().pop("s/07.dcm") == ("failed", "unreadable")
    place.run(size=32)
    assert set(place.statuses().values()) == {("done", None)}
    place.check()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_log_on_a_full_disk_is_no_traceback(place: Place) -> None:
    with Path("/dev/full").open("w") as full:
        done = call(preprocess(Path("in")), place.base, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert "No space left" in the_fault(done)
