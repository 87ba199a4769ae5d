"""A run that is killed at any moment costs nothing but time."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from subprocess import TimeoutExpired

import numpy as np
import pytest

from dicomprep.pipeline.stages.discover import discover
from tests.building import make_dicom
from tests.faults.disturbing import (
    KEY,
    Interposer,
    Scenario,
    check_what_is_recorded,
    preprocess,
    rows_of,
    share,
)
from tests.running import Place, started

PARTS = 4
"""In which the tests are divided, to be done side by side."""

MOMENTS, QUICK_MOMENTS = 300, 4
EARLIEST = 0.3
BIG = 96

NOTHING_WRONG = {"rows_lost_doubled_or_mismatched": 0, "stray_files": 0, "damaged_databases": 0}
"""What would have failed a test."""

Note = Callable[..., None]


@dataclass(frozen=True)
class Undisturbed:
    """What a run that was let alone made of the tree, and how long it took."""

    scenario: Scenario
    seconds: float
    half_done: Path
    """A place in which only half of the files have been found yet."""


def make_tree(root: Path) -> None:
    """150 files: single and multi-frame, bad ones of each kind, names that collide."""
    noise = np.random.default_rng(0)
    for number in range(132):
        shape = (5, 96, 96) if number % 6 == 0 else (160, 160)
        pixels = noise.integers(0, 4096, shape, dtype=np.uint16)
        make_dicom(
            root / f"s{number % 12:02d}/{number:03d}.dcm", pixels, patient_id=f"P{number % 17}" if number % 5 else None
        )
    for number in range(6):
        small = noise.integers(0, 256, (3, 20, 20), dtype=np.uint8)
        make_dicom(root / f"same/{number}.dcm", small)
        make_dicom(root / f"same/{number}_frame0001.dcm", small[0] + np.uint8(1))
        make_dicom(root / f"same/{number}", small[1] + np.uint8(2))
    (root / "bad").mkdir()
    (root / "bad/false.dcm").write_text("no DICOM")
    (root / "bad/notes.txt").write_text("no DICOM")
    make_dicom(root / "bad/no image.dcm", PixelData=None)
    for name, frames in (("truncated.dcm", 1), ("partial.dcm", 4)):
        path = make_dicom(root / "bad" / name, noise.integers(0, 256, (frames, 20, 20), dtype=np.uint8))
        os.truncate(path, path.stat().st_size - 200)


def new_place(base: Path) -> Place:
    base.mkdir(exist_ok=True)
    (base / "x.db.key").write_text(KEY)
    return Place(base)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    base = tmp_path_factory.mktemp("undisturbed")
    make_tree(base / "tree")
    half = new_place(base / "half")
    half.run(dicom_dir=base / "tree", size=BIG, sources=islice(discover(str(base / "tree")), 77))
    place = new_place(base / "whole")
    began = time.monotonic()
    with started(preprocess(base / "tree", size=BIG), place.base) as run:
        run.process.communicate(timeout=60)
        seconds = time.monotonic() - began
        assert run.process.returncode == 0
    assert len(place.statuses()) == 154
    scenario = Scenario(base / "tree", base / "start", 0, place.images(), rows_of(place))
    scenario.compare(place)
    return Undisturbed(scenario, seconds, half.base)


def kill(place: Place, source: Path, seconds: float, *, parent_only: bool) -> None:
    """Start a run, kill it after so long, and see that rows have their images and no process is left."""
    with started(preprocess(source, size=BIG), place.base) as run:
        with suppress(TimeoutExpired):
            run.process.communicate(timeout=seconds)
        run.process.kill() if parent_only else run.signal(signal.SIGKILL)
        assert run.process.wait() in (0, -signal.SIGKILL)
        assert run.none_left(5)
    check_what_is_recorded(place)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_killed_at_any_moment_goes_on_as_if_nothing_had_happened(
    undisturbed: Undisturbed, tmp_path: Path, part: int, thorough: bool, note: Note
) -> None:
    """Half of them are killed alone, and their workers must leave by themselves."""
    moments = MOMENTS if thorough else QUICK_MOMENTS
    for number in share(moments, part, PARTS):
        random_moments = random.Random(number)
        place = new_place(tmp_path / str(number))
        if number % 2:
            shutil.copytree(undisturbed.half_done, place.base, dirs_exist_ok=True)
        for _ in range(1 + number % 2):
            seconds = EARLIEST + random_moments.random() ** 0.5 * (undisturbed.seconds - EARLIEST)
            kill(place, undisturbed.scenario.source, seconds, parent_only=number % 4 > 1)
        assert place.run(dicom_dir=undisturbed.scenario.source, size=BIG).found == 154
        undisturbed.scenario.compare(place)
        shutil.rmtree(place.base)
    note("SIGKILL at random moments, then resume", moments=moments, processes_left_after_5_seconds=0, **NOTHING_WRONG)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_first_run_killed_at_any_call_goes_on_too(
    first: Scenario, interposer: Interposer, tmp_path: Path, part: int, thorough: bool, note: Note
) -> None:
    kill_at_calls(first, interposer, tmp_path, share(first.calls, part, PARTS, at_most=None if thorough else 1))
    note(
        "SIGKILL before the Nth write, sync, rename or removal of a first run, then resume",
        N=f"each of some {first.calls}",
        **NOTHING_WRONG,
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_a_later_run_killed_at_any_call_goes_on_too(
    later: Scenario, interposer: Interposer, tmp_path: Path, part: int, thorough: bool, note: Note
) -> None:
    kill_at_calls(later, interposer, tmp_path, share(later.calls, part, PARTS, at_most=None if thorough else 1))
    note(
        "SIGKILL before the Nth write, sync, rename or removal of a run over changed files, then resume",
        N=f"each of some {later.calls}",
        **NOTHING_WRONG,
    )


def kill_at_calls(scenario: Scenario, interposer: Interposer, base: Path, numbers: Sequence[int]) -> None:
    """Kill all processes of a run before the Nth call that changes a file, whichever of them it is that calls."""
    killed = 0
    for number in numbers:
        place = scenario.begin(base / str(number))
        done = interposer.run(scenario.command(), place, at=number)
        killed += done.returncode == -signal.SIGKILL
        check_what_is_recorded(place)
        scenario.resume(place)
        shutil.rmtree(place.base)
    assert killed > 0
