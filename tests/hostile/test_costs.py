"""Files that ask for more time than they pay for: a budget for the file as a whole, and bounds before the work."""

from dataclasses import replace
from pathlib import Path

import pytest

from dicomprep.config import ImageOptions, Splits
from dicomprep.errors import ErrorCode
from dicomprep.models import FrameRange, Outcome, Settings, Status, Task
from dicomprep.pipeline.frame_ranges import FrameRangeMerger
from dicomprep.pipeline.process_file import process
from dicomprep.storage.file_budget import FileBudget
from dicomprep.storage.local_images import LocalImages
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.source import Version
from tests.building import make_dicom
from tests.running import frames_of

FRAMES = 12


def _task(path: Path) -> Task:
    status = path.stat()
    return Task(LocalSource(str(path.parent), path.name, Version(status.st_size, status.st_mtime_ns)), "s", "s/a")


def _process(task: Task, output: Path, *, timeout: float) -> Outcome:
    output.mkdir(exist_ok=True)
    images = LocalImages(output)
    settings = Settings(ImageOptions(size=16), Splits(), images, b"k" * 32, 2**31, timeout=timeout)
    return process(task, settings)


@pytest.fixture
def cine(tmp_path: Path) -> Path:
    return make_dicom(tmp_path / "in/a.dcm", frames_of(FRAMES))


# A budget for the file as a whole


def test_a_file_that_has_spent_its_budget_keeps_what_was_finished(cine: Path, tmp_path: Path) -> None:
    outcome = _process(_task(cine), tmp_path / "out", timeout=1e-9)
    assert (outcome.status, outcome.error_code) == (Status.PARTIAL, ErrorCode.TIMEOUT)
    assert (len(outcome.written), outcome.failures) == (1, FRAMES - 1)
    assert "the file as a whole took longer than its budget" in (outcome.error_detail or "")


def test_so_has_a_share_of_a_long_file(cine: Path, tmp_path: Path) -> None:
    task = replace(_task(cine), frame_range=FrameRange((3, 4, 5)))
    outcome = _process(task, tmp_path / "out", timeout=1e-9)
    assert ([w.frame_number for w in outcome.written], outcome.error_code) == ([3], ErrorCode.TIMEOUT)


def test_the_budget_is_named_whatever_else_failed(cine: Path, tmp_path: Path) -> None:
    """Also where a share with an earlier frame failed for another reason."""
    opened = _process(_task(cine), tmp_path / "out", timeout=120)
    merger = FrameRangeMerger(2)
    shares = merger.divide(replace(opened, written=opened.written[:1], remaining=FrameRange(tuple(range(1, FRAMES)))))
    spent = _process(shares[1], tmp_path / "out", timeout=1e-9)
    first = _process(shares[0], tmp_path / "out", timeout=120)
    assert spent.first_failure is not None
    broken = replace(spent.first_failure, index=1, code=ErrorCode.TRUNCATED, detail="x")
    assert merger.merge(replace(first, first_failure=broken, failures=1)) is None
    whole = merger.merge(spent)
    assert whole is not None
    assert (whole.status, whole.error_code) == (Status.PARTIAL, ErrorCode.TIMEOUT)


def test_long_files_that_are_genuine_stay_far_below_it() -> None:
    """2,000 frames of tomosynthesis that hold 2 GB; 100,000 tiles of a slide in 2 GB; a cine loop of 40 frames."""
    for frames, megabytes, seconds_a_frame in ((2000, 2000, 1.0), (100_000, 2000, 0.05), (40, 2, 0.5)):
        allowed = FileBudget(120.0).allow(frames=frames, held_bytes=megabytes * 2**20)
        assert allowed > 2 * frames * seconds_a_frame


def test_a_small_file_of_many_frames_is_ended_soon() -> None:
    assert FileBudget(5.0).allow(frames=2000, held_bytes=1.3 * 2**20) < 30
