"""With --durable, what is committed refers only to images that were on the disk before; strace saw in which order."""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from dicomprep import EnvironmentFault
from dicomprep.storage import sync
from tests.faults.disturbing import preprocess
from tests.running import Place, make_files, started, wait_until

TRACED = "rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync,syncfs"
LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
UNFINISHED = "<unfinished ...>"

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")


@dataclass(frozen=True)
class Call:
    """A system call that succeeded: when it began and ended, as lines of the log."""

    name: str
    paths: tuple[str, ...]
    began: int
    ended: int


@dataclass
class Trace:
    """What a run asked of the disk, as far as it was answered."""

    calls: list[Call] = field(default_factory=list)

    def named(self, *names: str, path: Path | None = None) -> Iterator[Call]:
        """Calls by what they do, and on which path (the last one, where there are two)."""
        for call in self.calls:
            if call.name.startswith(names) and (path is None or call.paths[-1] == str(path)):
                yield call


def read_trace(log: Path) -> Trace:
    trace, begun = Trace(), {}
    for number, line in enumerate(log.read_text(errors="replace").splitlines()):
        match = LINE.match(line)
        if match is None:
            continue
        process, _resumed, name, rest = match.groups()
        if name is not None:
            begun[process] = (name, _paths(rest), number)
        if rest.endswith(" = 0") and process in begun:
            name, paths, began = begun.pop(process)
            trace.calls.append(Call(name, paths, began, number))
    return trace


def _unescape(text: str) -> str:
    """What strace writes as octal numbers: every byte that is not ASCII."""
    plain = re.sub(rb"\\([0-7]{1,3})", lambda byte: bytes([int(byte[1], 8)]), text.encode())
    return plain.decode(errors="replace")


def _paths(arguments: str) -> tuple[str, ...]:
    """The paths of a call; a name that stands behind an open folder lies in it."""
    found: list[str] = []
    folder = ""
    for name, opened in re.findall(r'"([^"]+)"|\d<([^>]+)>', _unescape(arguments)):
        if name and folder:
            found[-1] = os.path.join(folder, name)
        else:
            found.append(name or opened)
        folder = opened
    return tuple(found)


def traced_run(place: Place, *options: object, until: Callable[[], object] | None = None) -> Trace:
    """A run under strace; killed as soon as something is so."""
    log = place.base / "strace.log"
    follow = ["strace", "-f", "-y", "-s", "4096", "-e", f"trace={TRACED}", "-e", "signal=none", "-o", str(log)]
    with started([*follow, *preprocess(place.source, *options)], place.base) as run:
        if until is not None and wait_until(lambda: run.process.poll() is not None or until(), 60):
            with suppress(FileNotFoundError, ProcessLookupError, IndexError):  # it has ended by itself
                parent = Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children").read_text().split()[0]
                os.kill(int(parent), signal.SIGKILL)
        run.process.communicate(timeout=120)
    return read_trace(log)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    make_files(place.source, *(f"s{number % 7}/{number:03d}.dcm" for number in range(150)), "t/many.dcm:20")
    return place


def on_the_disk(trace: Trace, output: Path) -> set[str]:
    """The images that were in their place before a sync of the whole file system that came to its end."""
    last = max((call.began for call in trace.named("syncfs")), default=-1)
    moved = (call for call in trace.named("rename") if call.ended < last)
    return {str(Path(call.paths[-1]).relative_to(output)) for call in moved if call.paths[-1].startswith(str(output))}


@needs_strace
@pytest.mark.parametrize("killed_after", [1, 2])
def test_every_image_of_a_committed_row_was_synced_before(place: Place, killed_after: int) -> None:
    log = place.base / "strace.log"
    trace = traced_run(
        place,
        "--durable",
        until=lambda: log.exists() and len(re.findall(r"syncfs\(", log.read_text(errors="replace"))) >= killed_after,
    )
    place.rows("PRAGMA integrity_check")  # takes back what was not committed
    recorded = set(place.rows("SELECT thumbnail_path FROM frames"))
    assert recorded <= on_the_disk(trace, place.output)
    assert recorded or killed_after == 1


@needs_strace
def test_the_database_its_key_and_its_folder_are_synced_in_order(place: Place) -> None:
    trace = traced_run(place, "--durable")
    recorded = set(place.rows("SELECT thumbnail_path FROM frames"))
    assert len(recorded) == 170
    assert recorded <= on_the_disk(trace, place.output)
    key, journal = place.base / "x.db.key", place.base / "x.db-journal"
    commits = [call.began for call in trace.named("unlink", path=journal)]
    written = next(trace.named("fsync", path=place.base / "x.db.key.new"))
    renamed = next(trace.named("rename", path=key))
    kept = next(call for call in trace.named("fsync", path=place.base) if call.began > renamed.ended)
    checked = next(number for number in commits if number > renamed.ended)
    assert written.ended < renamed.began <= renamed.ended < kept.began <= kept.ended < checked
    for before, after in pairwise([-1, *commits]):
        journals = [call.ended for call in trace.named("f", path=journal) if before < call.began < after]
        databases = [call.began for call in trace.named("f", path=place.db) if before < call.began < after]
        assert journals
        assert databases
        assert min(journals) < max(databases)
        assert any(call.began > after for call in trace.named("fsync", "fdatasync", path=place.base))


@needs_strace
def test_without_durable_images_are_not_waited_for(place: Place) -> None:
    trace = traced_run(place)
    assert list(trace.named("syncfs")) == []
    assert len(place.images()) == 170


def test_where_a_file_system_cannot_be_synced_as_a_whole_each_file_and_folder_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(sync, "_syncfs", lambda: None)
    monkeypatch.setattr(sync, "_sync", lambda path, _how: synced.append(path))
    place.run(durable=True)
    images = {str(place.output / path) for path in place.images()}
    folders = {str(folder) for image in images for folder in (Path(image).parent, place.output, place.base)}
    assert set(synced) == images | folders


def test_a_disk_that_loses_what_it_had_accepted_ends_the_run_before_rows_say_otherwise(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(sync, "_syncfs", lambda: fail)
        with pytest.raises(EnvironmentFault, match=r"out cannot be written to the disk: .*Check the disk"):
            place.run(durable=True)
    assert place.rows("SELECT count(*) FROM files") == [0]
    place.run(durable=True)
    place.check()
