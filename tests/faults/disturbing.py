"""Runs that are killed or whose disk fails at a chosen call, and what must be so afterward whatever happened."""

import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any

import numpy as np
import pytest

from dicomprep.privacy.keys import KEY_BYTES
from dicomprep.storage.source import digest_bytes
from tests.building import make_dicom
from tests.running import Place, call, dicomprep_command

KEY = "5a" * KEY_BYTES
CALLS = "write sync rename remove"

ROWS = {
    "files": """SELECT root, path, size, mtime_ns, digest, fingerprint, study_id, name, frame_stem, status, error_code,
        error_detail, frame_count, frames, groups.key, transfer_syntax, sop_class_uid, sop_instance_uid,
        study_instance_uid, series_instance_uid, instance_number, modality
        FROM files LEFT JOIN groups ON groups.id = group_id ORDER BY path""",
    "frames": """SELECT files.path, frame_number, filename, thumbnail_path, width, height, frames.size, frames.digest,
        transform FROM frames JOIN files ON files.id = file_id ORDER BY filename""",
    "groups": "SELECT key, kind, split FROM groups ORDER BY key",
    "noted": "SELECT key FROM meta ORDER BY key",
}
"""All that is recorded, but for ids, runs, attempts and times."""


@dataclass(frozen=True)
class Scenario:
    """Where a run begins, on which tree, and what it makes when it is let alone."""

    source: Path
    start: Path
    """A place as it is before the run."""
    calls: int
    """That change files, in a run that is let alone."""
    images: dict[str, bytes]
    rows: dict[str, Any]

    def begin(self, base: Path) -> Place:
        """A place like the one where it starts."""
        shutil.copytree(self.start, base, dirs_exist_ok=True)
        return Place(base)

    def command(self) -> list[str]:
        return preprocess(self.source)

    def resume(self, place: Place) -> None:
        """The next run ends where an undisturbed one would."""
        assert place.run(dicom_dir=self.source, size=SIZE).exit_code == 0
        self.compare(place)

    def compare(self, place: Place) -> None:
        assert sorted(place.images()) == sorted(self.images)
        assert place.images() == self.images
        assert rows_of(place) == self.rows
        assert place.rows("PRAGMA integrity_check") == ["ok"]
        assert {path.name for path in place.base.iterdir()} <= {"out", "x.db", "x.db.key", "x.db.lock"}
        assert {path.name for path in place.output.iterdir() if path.name.startswith(".")} <= {
            ".dicomprep.lock",
            ".dicomprep.owner",
        }
        place.check()


SIZE = 32


def preprocess(source: Path, *options: object, size: int = SIZE) -> list[str]:
    known = ("--output-dir", "out", "--db", "x.db", "--workers", 2, "--size", size)
    return dicomprep_command("preprocess", source, *known, *options)


def rows_of(place: Place) -> dict[str, Any]:
    return {name: place.rows(statement) for name, statement in ROWS.items()}


def check_what_is_recorded(place: Place) -> None:
    """Every row has its image; it is the one recorded, unless the row says that it is to be made again."""
    try:
        recorded = place.rows(
            "SELECT thumbnail_path, frames.digest, fingerprint FROM frames JOIN files ON files.id = file_id"
        )
    except OperationalError:  # not even the tables are there
        return
    images = place.images()
    assert {path for path, _, _ in recorded} <= set(images)
    assert [p for p, digest, fingerprint in recorded if fingerprint and digest != digest_bytes(images[p])] == []


def few_files(root: Path, *, later: bool) -> None:
    """Ten files; `later` some are new, changed, longer, shorter, bad or gone bad."""
    noise = np.random.default_rng(int(later))

    def make(name: str, frames: int = 0, cut: int = 0) -> None:
        shape = (frames, 24, 20) if frames else (24, 20)
        path = make_dicom(root / name, noise.integers(0, 256, shape, dtype=np.uint8), patient_id=name[0])
        os.truncate(path, path.stat().st_size - cut)

    if not later:
        for name in ("a/1.dcm", "a/2.dcm", "b/same.dcm", "b/same"):
            make(name)
        make("c/becomes bad.dcm", frames=2)
    else:
        make("d/new.dcm")
        make("a/1.dcm")
        make("c/becomes bad.dcm", frames=2, cut=24 * 20 * 2)
    make("b/frames.dcm", frames=2 if later else 4)
    make("b/more.dcm", frames=3 if later else 1)
    make("d/partial.dcm", frames=3, cut=200)
    (root / "d/no dicom.dcm").write_text(f"no DICOM, {later}")


class Interposer:
    """The library that counts calls which change files, and kills or fails one of them."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("there is no C compiler for tests/faults/interpose.c")
        self._library = folder / "interpose.so"
        source = Path(__file__).with_name("interpose.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", self._library, source, "-ldl"], check=True)
        self._counter = folder / "calls"

    def run(
        self,
        command: Sequence[str],
        place: Place,
        *,
        at: int = 0,
        error: int = 0,
        times: int = 1,
        calls: str = CALLS,
        below: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, in a process group of its own, and kill it or let it fail at that call (0: at none)."""
        self._counter.write_bytes(bytes(8))
        fault = {"BELOW": below or place.base, "CALLS": calls, "COUNTER": self._counter}
        fault |= {"AT": at, "ERRNO": error, "TIMES": times}
        variables = {f"FAULT_{name}": str(value) for name, value in fault.items()}
        environment = os.environ | variables | {"LD_PRELOAD": str(self._library)}
        return call(command, place.base, env=environment, start_new_session=True)

    @property
    def count(self) -> int:
        """Calls in the last run."""
        return int(struct.unpack("=Q", self._counter.read_bytes())[0])


def make_scenario(base: Path, interposer: Interposer, *, later: bool) -> Scenario:
    """A first run; or `later`, one over a tree that has changed since, with other options."""
    source, start = base / "tree", base / "start"
    start.mkdir()
    (start / "x.db.key").write_text(KEY)
    few_files(source, later=False)
    if later:
        assert call(preprocess(source, size=16), start).returncode == 0
        few_files(source, later=True)
    shutil.copytree(start, base / "undisturbed")
    place = Place(base / "undisturbed")
    done = interposer.run(preprocess(source), place)
    assert done.returncode == 0, done.stderr
    scenario = Scenario(source, start, interposer.count, place.images(), rows_of(place))
    scenario.compare(place)
    return scenario


def share(count: int, part: int, parts: int, *, at_most: int | None = None) -> Sequence[int]:
    """The numbers from 1 to `count` that are one part's, or `at_most` so many of them, spread evenly."""
    mine = range(1 + part, count + 1, parts)
    return mine if at_most is None else mine[part * len(mine) // parts :: max(1, len(mine) // at_most)][:at_most]
