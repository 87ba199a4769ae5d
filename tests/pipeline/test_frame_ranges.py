"""A long file is shared by all workers, and is still one input with one state."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomprep.errors import ErrorCode
from dicomprep.models import FrameFailure, FrameRange, Outcome, Status, Task, Written
from dicomprep.pipeline.frame_ranges import FrameRangeMerger
from dicomprep.pixels.intensity import ValueRange
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.source import Version
from tests import faulty
from tests.building import make_dicom
from tests.running import Place, frames_of, make_files

FRAMES = 40
"""Each takes 20 ms: enough to be shared."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def workers_of(place: Place) -> int:
    return len(list(Path(f"{place.source}.marks").iterdir()))


def test_a_shared_file_is_that_of_one_worker(place: Place, tmp_path: Path) -> None:
    alone = Place(tmp_path / "alone")
    for where, workers in ((place, 3), (alone, 1)):
        make_files(where.source, f"s/long-.dcm:{FRAMES}", "s/b.dcm", "s/c.dcm:3")
        result = where.run(work=faulty.PROCESS, workers=workers)
        assert (result.found, result.frames) == (3, FRAMES + 4)
        where.check()
    assert workers_of(place) == 3
    assert workers_of(alone) == 1
    assert place.images() == alone.images()
    columns = "filename, thumbnail_path, frame_number, split, modality, width, height"
    rows = [where.rows(f"SELECT {columns} FROM images ORDER BY filename") for where in (place, alone)]
    assert [row[:3] for row in rows[0]] == [row[:3] for row in rows[1]]
    assert place.rows("SELECT frames, attempts FROM inputs WHERE path LIKE '%long%'") == [(FRAMES, 1)]


def test_all_shares_draw_by_one_range(place: Place) -> None:
    path = place.source / "s" / "long-.dcm"
    make_dicom(path, frames_of(FRAMES, seed=1) * 7)
    place.run(work=faulty.PROCESS)
    assert workers_of(place) == 2
    ranges = place.rows("SELECT DISTINCT json_extract(transform, '$.intensity.voi') FROM frames")
    assert len(ranges) == 1


def test_frames_that_fail_are_counted_over_all_shares(place: Place) -> None:
    make_files(place.source, f"s/long-.dcm:{FRAMES}")
    path = place.source / "s" / "long-.dcm"
    os.truncate(path, path.stat().st_size // 2)
    result = place.run(work=faulty.PROCESS)
    ((status, code, detail, frames),) = place.rows("SELECT status, error_code, error_detail, frames FROM inputs")
    assert (status, code) == ("partial", "truncated")
    assert 0 < frames == result.frames < FRAMES
    assert f"(frame {frames}; {FRAMES - frames} of {FRAMES} frames failed)" in detail
    place.check()


def test_a_file_whose_first_frames_fail_is_a_patient_s_all_the_same(place: Place) -> None:
    pixels = frames_of(FRAMES, seed=1)
    good = imagecodecs.jpegls_encode(pixels[0])
    streams = [good[:40]] * 2 + [imagecodecs.jpegls_encode(frame) for frame in pixels[2:]]
    syntax = "1.2.840.10008.1.2.4.80"
    window = {"WindowCenter": 100, "WindowWidth": 200}
    make_dicom(place.source / "s" / "long-.dcm", pixels, transfer_syntax=syntax, codestreams=streams, **window)
    result = place.run(work=faulty.PROCESS)
    assert workers_of(place) == 2
    assert (result.frames, place.statuses()["s/long-.dcm"][0]) == (FRAMES - 2, "partial")
    assert place.rows("SELECT count(*) FROM images WHERE patient_key IS NOT NULL") == [FRAMES - 2]


def test_frames_that_are_all_decoded_already_are_not_shared(place: Place) -> None:
    """Eight frames without a window: all of them are needed for the range."""
    make_dicom(place.source / "s" / "long-.dcm", frames_of(8, seed=1).astype(np.uint16) * 7)
    result = place.run(work=faulty.PROCESS)
    assert (result.found, result.frames) == (1, 8)
    place.check()


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("segfault", ("quarantined", "worker_crashed")),
        ("sleep", ("failed", "timeout")),
        ("raise", ("failed", "internal")),
        ("growing", ("unstable", "changed")),
    ],
)
def test_what_ends_one_share_ends_the_file_and_leaves_no_image(
    place: Place, fault: str, state: tuple[str, str]
) -> None:
    make_files(place.source, f"s/long-{fault}.dcm:{FRAMES}", "s/good.dcm", "s/other.dcm:2")
    result = place.run(work=faulty.PROCESS, timeout=1)
    assert place.statuses()[f"s/long-{fault}.dcm"] == state
    assert sorted(place.images()) == ["s/good.png", "s/other_frame0000.png", "s/other_frame0001.png"]
    assert (result.found, result.frames) == (3, 3)
    place.check()


# Dividing and joining

SOURCE = LocalSource("/root", "s/a.dcm", Version(1000, 1))


def written(index: int) -> Written:
    return Written(index, f"s/a_frame{index:04d}", f"s/a_frame{index:04d}.png", 8, 8, 100, b"0" * 16)


@given(frames=st.integers(1, 50), kept=st.integers(0, 50), workers=st.integers(1, 9), order=st.randoms())
def test_every_frame_is_in_one_part_and_all_come_back_in_order(
    frames: int, kept: int, workers: int, order: Random
) -> None:
    kept = min(kept, frames - 1)
    remaining = FrameRange(tuple(range(kept, frames)), ValueRange(0, 1, "measured"))
    opened = Outcome(
        Task(SOURCE, "s", "s/a"),
        Status.DONE,
        frame_count=frames,
        written=tuple(map(written, range(kept))),
        digest=b"d" * 16,
        remaining=remaining,
    )
    merger = FrameRangeMerger(workers)
    tasks = merger.divide(opened)
    assert 1 <= len(tasks) <= workers
    ranges = [task.frame_range for task in tasks if task.frame_range]
    assert [index for each in ranges for index in each.indices] == list(remaining.indices)
    assert {each.value_range for each in ranges} == {remaining.value_range}
    order.shuffle(tasks)
    joined = [merger.merge(_done(task)) for task in tasks]
    assert joined[:-1] == [None] * (len(tasks) - 1)
    whole = joined[-1]
    assert whole is not None
    assert (whole.status, whole.remaining, whole.task, whole.digest) == (Status.DONE, None, opened.task, opened.digest)
    assert [w.frame_number for w in whole.written] == list(range(frames))


def _done(task: Task) -> Outcome:
    indices = task.frame_range.indices if task.frame_range else ()
    return Outcome(task, Status.DONE, written=tuple(map(written, indices)), frame_count=50)


def _failing(task: Task) -> Outcome:
    indices = task.frame_range.indices if task.frame_range else ()
    first = FrameFailure(indices[0], ErrorCode.TRUNCATED, "cut")
    return Outcome(task, Status.FAILED, failures=len(indices), first_failure=first, frame_count=8)


def _broken(task: Task) -> Outcome:
    return Outcome(task, Status.FAILED, ErrorCode.UNREADABLE, "it is gone")


@pytest.mark.parametrize(
    ("answers", "status", "detail"),
    [
        ((_failing, _done), Status.PARTIAL, "cut (frame 2; 3 of 8 frames failed)"),
        ((_done, _failing), Status.PARTIAL, "cut (frame 5; 3 of 8 frames failed)"),
        ((_done, _broken), Status.FAILED, "it is gone"),
        ((_broken, _failing), Status.FAILED, "it is gone"),
    ],
)
def test_the_first_reason_counts(answers: tuple[Callable[[Task], Outcome], ...], status: Status, detail: str) -> None:
    opened = Outcome(
        Task(SOURCE, "s", "s/a"),
        Status.DONE,
        frame_count=8,
        written=(written(0), written(1)),
        remaining=FrameRange(tuple(range(2, 8))),
    )
    merger = FrameRangeMerger(2)
    tasks = merger.divide(opened)
    *_, whole = (merger.merge(answer(task)) for answer, task in zip(answers, tasks, strict=True))
    assert whole is not None
    assert (whole.status, whole.error_detail) == (status, detail)
