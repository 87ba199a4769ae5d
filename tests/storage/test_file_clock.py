"""A file that was changed just now is left to rest, whatever the clock of the machine that reads it says."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from dicomprep.storage import file_clock
from dicomprep.storage.file_clock import wait_until_quiet
from dicomprep.storage.local_images import LocalImages
from dicomprep.storage.local_source import LocalSource


def count_naps(path: Path, images: LocalImages) -> int:
    """How often it was waited for."""
    naps: list[None] = []
    with LocalSource.at(path).open() as file:
        wait_until_quiet(file, images, lambda: naps.append(None))
    return len(naps)


@pytest.fixture
def images(tmp_path: Path) -> LocalImages:
    (tmp_path / "out").mkdir()
    return LocalImages(tmp_path / "out")


@pytest.mark.parametrize("wrong_by", [0, 5, -5, 300], ids=["right", "fast", "slow", "very fast"])
def test_the_clock_that_stamps_files_counts(
    tmp_path: Path, images: LocalImages, monkeypatch: pytest.MonkeyPatch, wrong_by: float
) -> None:
    """A machine whose clock is wrong: what a file server stamped seems to be old there, or of the future."""
    now = time.time
    monkeypatch.setattr(file_clock, "time", SimpleNamespace(time=lambda: now() + wrong_by, sleep=time.sleep))
    fresh, rested = tmp_path / "fresh.dcm", tmp_path / "rested.dcm"
    for path in (rested, fresh):
        path.write_bytes(b"x")
    os.utime(rested, (now() - 30, now() - 30))
    assert count_naps(rested, images) == 0
    os.utime(fresh)
    assert count_naps(fresh, images) > 0


def test_a_time_of_the_future_is_not_waited_for(tmp_path: Path, images: LocalImages) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"x")
    os.utime(path, (time.time() + 60, time.time() + 60))
    assert count_naps(path, images) == 0


def test_another_file_system_is_judged_by_the_clock_of_the_machine(
    tmp_path: Path, images: LocalImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    monkeypatch.setattr(file_clock, "time", SimpleNamespace(time=lambda: now() + 5, sleep=time.sleep))
    path = tmp_path / "a.dcm"
    path.write_bytes(b"x")
    with LocalSource.at(path).open() as file:
        file.device = -1
        wait_until_quiet(file, images, pytest.fail)
