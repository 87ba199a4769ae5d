"""Two runs at once, and others who use the database while a run writes to it."""

import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import pytest

from dicomprep import EnvironmentFault
from dicomprep.database import sqlite
from dicomprep.database.address import DatabaseAddress
from dicomprep.database.connection import connect, migrate, read_meta, reading, write_meta
from dicomprep.database.migrations import MIGRATIONS, SCHEMA_VERSION
from dicomprep.database.queries import counts
from dicomprep.database.queries.labeling import count_labels
from dicomprep.database.writes import store as storing
from dicomprep.database.writes.labels import Said, add_label
from dicomprep.database.writes.store import Store
from tests.faults.disturbing import preprocess
from tests.running import Place, dicomprep_command, make_files, started

Note = Callable[..., None]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    make_files(place.source, *(f"s/{number:02d}.dcm" for number in range(20)), "t/many.dcm:5")
    return place


# Two runs


def test_runs_that_start_at_once_never_double_a_row(place: Place, thorough: bool, note: Note) -> None:
    tries = 20 if thorough else 1
    for number in range(tries):
        here = Place(place.base / str(number))
        here.base.mkdir()
        with started(preprocess(place.source), here.base) as one, started(preprocess(place.source), here.base) as other:
            ended = {run.process.communicate(timeout=120)[1]: run.process.returncode for run in (one, other)}
        assert sorted(ended.values()) in ([0], [0, 0], [0, 3])  # the same words, one after the other, one alone
        refusals = [text for text, code in ended.items() if code]
        assert all("Another run is writing" in text for text in refusals)
        here.check()
        assert here.rows("SELECT count(*) FROM files") == [21]
    note("Two runs started at once on one output", tries=tries, rows_doubled=0)


def test_programs_that_open_an_old_database_at_once_migrate_it_once(tmp_path: Path, thorough: bool) -> None:
    db = tmp_path / "Älter.db"
    for _ in range(10 if thorough else 2):
        db.unlink(missing_ok=True)
        engine = connect(DatabaseAddress.parse(db))
        with engine.begin() as connection:
            MIGRATIONS[0](connection)
            write_meta(connection, "schema_version", "1")
        engine.dispose()
        with ThreadPoolExecutor(12) as pool:
            done = list(pool.map(lambda _: migrate_alone(str(db)), range(12)))
        assert done == [SCHEMA_VERSION] * 12


def migrate_alone(db: str) -> int:
    """What a program does that opens the database; the version that it finds then."""
    engine = connect(DatabaseAddress.parse(db), must_exist=True)
    try:
        migrate(engine)
        with engine.begin() as connection:
            return int(read_meta(connection, "schema_version") or 0)
    finally:
        engine.dispose()


@pytest.mark.parametrize("name", ["y.db", "linked/x.db"])
def test_a_database_under_another_name_is_the_same(place: Place, name: str) -> None:
    (place.base / "linked").symlink_to(place.base)
    (place.base / "y.db").symlink_to(place.db)
    refused: list[str] = []

    def sources() -> Iterator[object]:
        with pytest.raises(EnvironmentFault, match="Another run is writing") as fault:
            place.run(db=str(place.base / name), output_dir=place.base / "other")
        refused.append(str(fault.value))
        yield from ()

    place.run(sources=sources())
    assert len(refused) == 1


# Others who use the database


@contextmanager
def meanwhile(step: Callable[[], object]) -> Iterator[list[Exception]]:
    """Do something again and again in a thread while the block runs; what it raised."""
    ended, faults = threading.Event(), list[Exception]()

    def go_on() -> None:
        while not ended.is_set():
            try:
                step()
            except Exception as fault:  # noqa: BLE001
                faults.append(fault)
                return

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield faults
    finally:
        ended.set()
        thread.join()


def test_labels_are_taken_while_a_run_inserts(place: Place, thorough: bool, note: Note) -> None:
    """As the labeling page does: a writer and a reader of their own, as fast as they can."""
    place.run()
    labeled, shown, rounds = count(), count(), 10 if thorough else 1
    labels = Store(place.address)
    reader = connect(place.address)

    def label() -> None:
        with labels.transaction() as connection:
            add_label(connection, 1 + next(labeled) % 25, Said("a"), annotator="me")

    def look() -> None:
        with reading(reader) as connection:
            counts.count_frames(connection)
            count_labels(connection)
        next(shown)

    with meanwhile(label) as write_faults, meanwhile(look) as read_faults:
        for number in range(rounds):
            make_files(place.source, *(f"new{number}/{file}.dcm" for file in range(200)), seed=1000 * (number + 1))
            assert place.run().processed == 200
    labels.close()
    reader.dispose()
    assert (write_faults, read_faults) == ([], [])
    taken = next(labeled)
    assert place.rows("SELECT count(*) FROM labels") == [taken]
    assert taken > 5
    place.check()
    note("Labels written and pages read while a run inserts", labels=taken, pages=next(shown), lock_errors=0)


def test_a_reader_who_takes_their_time_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a journal that is no write-ahead log, nothing can be committed while somebody reads."""
    place.run()
    make_files(place.source, "late.dcm", seed=50)
    with closing(sqlite3.connect(place.db, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM files").fetchall()
        threading.Timer(1.5, lambda: other.execute("COMMIT")).start()
        assert place.run().processed == 1
    place.check()


def test_a_listing_that_nobody_reads_on_holds_no_run_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dicomprep status --failures | less`: more than a pipe takes at once."""
    for number in range(800):
        (place.source / f"{number:03d}{'n' * 120}.dcm").write_text("no DICOM")
    place.run()
    (place.source / "late.dcm").write_text("no DICOM either")
    monkeypatch.setattr(storing, "BUSY_SECONDS", 2)
    with started(dicomprep_command("status", "--failures", "--db", place.db), place.base) as listing:
        assert listing.process.stdout is not None
        assert listing.process.stdout.read(100)
        assert place.run().processed == 1
        assert listing.process.poll() is None
        listing.process.communicate(timeout=60)


# The journal

MOUNTS = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /proc rw - proc proc rw
30 21 0:30 / /home rw - nfs4 server:/home rw,vers=4.2
31 30 8:2 / /home/local rw - xfs /dev/sdb1 rw
32 21 0:31 / /mnt/two\040words rw master:1 - cifs //server/share rw
33 21 0:32 / /mnt/sshfs rw - fuse.sshfs me@server: rw
34 21 0:33 / /scratch rw - lustre server:/scratch rw
35 21 0:34 / /hidden rw - ext4 /dev/sdc1 rw
36 35 0:35 / /hidden rw - nfs server:/hidden rw
"""


@pytest.mark.parametrize(
    ("folder", "kind", "mode"),
    [
        ("/", "ext4", "WAL"),
        ("/var/data", "ext4", "WAL"),
        ("/homestead", "ext4", "WAL"),
        ("/home/me/project", "nfs4", "DELETE"),
        ("/home/local/project", "xfs", "WAL"),
        ("/mnt/two words/x", "cifs", "DELETE"),
        ("/mnt/sshfs", "fuse.sshfs", "DELETE"),
        ("/scratch/me", "lustre", "DELETE"),
        ("/hidden", "nfs", "DELETE"),
    ],
)
def test_a_write_ahead_log_only_on_file_systems_of_one_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, kind: str, mode: str
) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS.lstrip())
    monkeypatch.setattr(sqlite, "MOUNTS", tmp_path / "mountinfo")
    monkeypatch.setattr(sqlite, "FIRST_SAFE_WAL", (0,))
    assert (sqlite.file_system_of(folder), sqlite.journal_mode(folder)) == (kind, mode)


def test_without_knowing_the_file_system_no_write_ahead_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "MOUNTS", Path("/there/is/none"))
    monkeypatch.setattr(sqlite, "FIRST_SAFE_WAL", (0,))
    assert sqlite.journal_mode("/") == "DELETE"


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="there is no /proc/self/mountinfo")
def test_the_file_system_of_this_machine_is_known(tmp_path: Path) -> None:
    stat = shutil.which("stat")
    told = subprocess.run([str(stat), "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True).stdout
    known = sqlite.file_system_of(os.fspath(tmp_path)) or "unknown"
    assert told.strip() in {known, f"{known}fs", "ext2/ext3" if known.startswith("ext") else known, "overlayfs"}
