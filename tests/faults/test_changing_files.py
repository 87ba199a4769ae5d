"""Files that others write, cut and replace while a run reads them: never taken early, always by the next run."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.building import make_dicom
from tests.running import Place, frames_of, make_files

SLOWLY = """
import os, select, sys, time
source, target, how = sys.argv[1:4]
content = open(source, "rb").read()
place = f"{os.path.dirname(target)}/.{os.path.basename(target)}.Xa81kQ" if how == "temporary name" else target
STEPS = 40

def act(step):
    begin, end = (len(content) * s // STEPS for s in (step, step + 1))
    if how == "shrinks":
        file.truncate(len(content) - step % 7)
    elif how == "replaced":
        with open(f"{place}.new", "wb") as new:
            new.write(content[:end])
        os.replace(f"{place}.new", place)
    else:
        os.pwrite(file.fileno(), content[begin:end], begin)

with open(place, "r+b" if os.path.exists(place) else "w+b", buffering=0) as file:
    if how == "in advance":
        os.posix_fallocate(file.fileno(), 0, len(content))
    if how == "as holes":
        file.truncate(len(content))
    print("begun", flush=True)
    step = 0
    while not select.select([sys.stdin], [], [], 0.05)[0]:
        act(min(step, STEPS // 2) if how != "shrinks" else step)
        step += 1
    for step in range(STEPS):
        act(step)
    if how == "shrinks":
        os.pwrite(file.fileno(), content, 0)
if how == "temporary name":
    os.replace(place, target)
os.utime(target, (1e9, 1e9))
"""
"""What `cp -p`, `scp -p`, `rsync -t` and copies over a network share do to a target, but slowly."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@contextmanager
def writer(source: Path, target: Path, how: str) -> Iterator[None]:
    """A process writes `target` within the block and is done with it after it."""
    command = [sys.executable, "-c", textwrap.dedent(SLOWLY), str(source), str(target), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            yield
        except BaseException:
            process.kill()
            raise
        process.communicate("finish\n", timeout=60)
    assert process.returncode == 0


WAYS = ["appended", "in advance", "as holes", "temporary name", "shrinks", "replaced"]


@pytest.mark.parametrize("how", WAYS)
def test_a_file_that_is_being_written_is_left_for_the_next_run(place: Place, how: str) -> None:
    whole = make_dicom(place.source / "s/rested.dcm", np.full((64, 64), 9, np.uint8))
    target = place.source / "s/copied.dcm"
    if how in ("shrinks", "replaced"):
        target.write_bytes(whole.read_bytes())
    with writer(whole, target, how):
        place.run()
    met = place.statuses()
    assert met.pop("s/rested.dcm") == ("done", None)
    early = ([],) if how == "temporary name" else ()  # no DICOM so far, and not called so
    assert list(met.values()) in ([("unstable", "changed")], [("failed", "unreadable")], *early)
    assert list(place.images()) == ["s/rested.png"]
    place.run()
    assert place.statuses() == {"s/rested.dcm": ("done", None), "s/copied.dcm": ("done", None)}
    place.check()
    assert len(set(place.images().values())) == 1


def test_a_file_that_was_finished_just_now_is_waited_for(place: Place) -> None:
    source = make_dicom(place.source / "s/a.dcm", frames_of(1)[0])
    os.utime(source)
    began = time.time()
    result = place.run()
    assert result.statuses == {"done": 1}
    assert time.time() - began > 0.5


@pytest.mark.parametrize("seconds", [30, 10**7, 10**9])
def test_a_change_in_the_future_is_not_waited_for(place: Place, seconds: float) -> None:
    for number in range(10):
        source = make_dicom(place.source / f"s/{number}.dcm", frames_of(1, seed=number)[0])
        os.utime(source, (time.time() + seconds,) * 2)
    assert place.run().statuses == {"done": 10}


def test_a_name_that_was_only_for_the_time_of_copying_is_forgotten(place: Place) -> None:
    make_files(place.source, "s/a.dcm")
    gone = place.source / "s/.b.dcm.Xa81kQ"
    gone.write_bytes(b"DICM" + bytes(100))
    sources = [*_found(place)]
    gone.unlink()
    place.run(sources=sources)
    assert place.statuses()["s/.b.dcm.Xa81kQ"] == ("failed", "unreadable")
    place.run()
    assert list(place.statuses()) == ["s/a.dcm"]


def test_many_copies_during_a_run_all_end_done(place: Place, thorough: bool, note: Callable[..., None]) -> None:
    count = 300 if thorough else 30
    packed = make_files(place.base / "packed", *(f"{n:03}.dcm" for n in range(count)))
    place.source.mkdir()
    copying = (
        "import pathlib, shutil, sys, time\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    half = path.stat().st_size // 2; content = path.read_bytes()\n"
        "    with pathlib.Path(sys.argv[2], path.name).open('wb', buffering=0) as file:\n"
        "        file.write(content[:half]); time.sleep(0.02); file.write(content[half:])\n"
    )
    runs, early = 0, 0
    with subprocess.Popen([sys.executable, "-c", copying, packed, place.source]) as process:
        while process.poll() is None or runs == 0:
            place.run()
            runs += 1
            early += sum(status not in ("done", "unstable") for status, _ in place.statuses().values())
    place.run()
    assert early == 0
    assert len(place.statuses()) == count
    assert {status for status, _ in place.statuses().values()} == {"done"}
    place.check()
    expected = Place(place.base / "undisturbed")
    expected.run(dicom_dir=packed)
    assert list(place.images().values()) == list(expected.images().values())
    note("files copied in while runs go on", files=count, runs=runs + 1, recorded_early=early, done_at_the_end=count)


def _found(place: Place) -> Iterator[object]:
    from dicomprep.pipeline.stages.discover import discover

    return discover(str(place.source))
