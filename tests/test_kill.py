"""A run that is killed at any moment costs nothing but time."""

import os
import random
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from sqlite3 import OperationalError
from subprocess import TimeoutExpired
from typing import Any

import numpy as np
import pytest

from dicomprep.privacy import KEY_BYTES
from dicomprep.stages.discover import discover
from tests.building import make_dicom
from tests.running import Place, dicomprep_command, started

MOMENTS = 20
EARLIEST = 0.3
KEY = "5a" * KEY_BYTES

ROWS = {
    "files": """SELECT root, path, size, mtime_ns, digest, fingerprint, study_id, name, frame_stem, status, error_code,
        error_detail, frame_count, frames, groups.key, transfer_syntax, sop_class_uid, sop_instance_uid,
        study_instance_uid, series_instance_uid, instance_number, modality
        FROM files LEFT JOIN groups ON groups.id = group_id ORDER BY path""",
    "frames": """SELECT files.path, frame_number, filename, thumbnail_path, width, height, frames.size, frames.digest,
        transform FROM frames JOIN files ON files.id = file_id ORDER BY filename""",
    "groups": "SELECT key, kind, split FROM groups ORDER BY key",
}
"""All that is recorded, but for ids, runs, attempts and times."""


@dataclass(frozen=True)
class Undisturbed:
    """What a run that was let alone made of the tree, and how long it took."""

    source: Path
    seconds: float
    images: dict[str, bytes]
    rows: dict[str, Any]
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
    (base / "x.db.key").write_text(KEY)
    return Place(base)


def command(source: Path) -> list[str]:
    return dicomprep_command("preprocess", source, "--output-dir", "out", "--db", "x.db", "--workers", 2, "--size", 96)


def rows_of(place: Place) -> dict[str, Any]:
    return {name: place.rows(statement) for name, statement in ROWS.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    base = tmp_path_factory.mktemp("undisturbed")
    make_tree(base / "tree")
    (base / "half").mkdir()
    half = new_place(base / "half")
    half.run(dicom_dir=base / "tree", size=96, sources=islice(discover(str(base / "tree")), 77))
    place = new_place(base)
    began = time.monotonic()
    with started(command(base / "tree"), base) as run:
        run.process.communicate(timeout=60)
        seconds = time.monotonic() - began
        assert run.process.returncode == 0
    assert len(place.statuses()) == 154
    place.check()
    return Undisturbed(base / "tree", seconds, place.images(), rows_of(place), half.base)


def kill(place: Place, source: Path, seconds: float) -> None:
    """Start a run, kill it and all its workers after so long, and see that rows have their images."""
    with started(command(source), place.base) as run:
        with suppress(TimeoutExpired):
            run.process.communicate(timeout=seconds)
        run.signal(signal.SIGKILL)
        assert run.process.wait() in (0, -signal.SIGKILL)
        assert run.none_left(5)
    try:
        recorded = dict(place.rows("SELECT thumbnail_path, size FROM frames"))
    except OperationalError:  # not even the tables are there
        return
    images = place.images()
    assert recorded == {path: len(images[path]) for path in recorded}


@pytest.mark.parametrize("number", range(MOMENTS))
def test_a_killed_run_goes_on_as_if_nothing_had_happened(undisturbed: Undisturbed, tmp_path: Path, number: int) -> None:
    moments = random.Random(number)
    if number % 2:
        shutil.copytree(undisturbed.half_done, tmp_path, dirs_exist_ok=True)
    place = new_place(tmp_path)
    for _ in range(1 + number % 2):
        seconds = EARLIEST + moments.random() ** 0.5 * (undisturbed.seconds - EARLIEST)
        kill(place, undisturbed.source, seconds)
    result = place.run(dicom_dir=undisturbed.source, size=96)
    assert result.found == 154
    assert sorted(place.images()) == sorted(undisturbed.images)
    assert place.images() == undisturbed.images
    assert rows_of(place) == undisturbed.rows
    assert place.rows("PRAGMA integrity_check") == ["ok"]
    assert {path.name for path in tmp_path.iterdir()} <= {"out", "x.db", "x.db.key", "x.db.lock"}
    assert {path.name for path in place.output.iterdir() if path.name.startswith(".")} <= {".dicomprep.lock"}
    place.check()
