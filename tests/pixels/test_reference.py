"""The reference table, held against one run over pydicom's sample files."""

import sqlite3
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pydicom
import pytest

import dicomprep
from tests.reference_table import OTHER_FILES, REFERENCE


class Recorded(NamedTuple):
    """A row of the view `inputs`."""

    status: str
    error_code: str | None
    frames: int
    error_detail: str | None


class Run(NamedTuple):
    """What the run says, and what it recorded by the path below the folder."""

    result: dicomprep.Result
    inputs: dict[str, Recorded]
    images: int


def is_duplicate(recorded: Recorded) -> bool:
    return (recorded.error_detail or "").startswith("a duplicate of ")


def is_duplicate_or_description(recorded: Recorded) -> bool:
    return is_duplicate(recorded) or (recorded.error_detail or "").startswith("describes images: ")


@pytest.fixture(scope="session")
def reference_run(tmp_path_factory: pytest.TempPathFactory, pydicom_files: Path) -> Run:
    folder = tmp_path_factory.mktemp("reference")
    result = dicomprep.preprocess(pydicom_files, output_dir=folder / "out", db=str(folder / "run.db"), workers=2)
    connection = sqlite3.connect(folder / "run.db")
    try:
        rows = connection.execute("SELECT path, status, error_code, frames, error_detail FROM inputs").fetchall()
        names = [filename for (filename,) in connection.execute("SELECT filename FROM images")]
    finally:
        connection.close()
    assert len(rows) == len({row[0] for row in rows}), "an input is recorded twice"
    inputs = {str(Path(path).relative_to(pydicom_files)): Recorded(*row) for path, *row in rows}
    assert all((folder / "out" / f"{name}.png").is_file() for name in names)
    return Run(result, inputs, len(set(names)))


@pytest.mark.parametrize("path", sorted(REFERENCE))
def test_file_becomes_what_the_table_says(path: str, reference_run: Run) -> None:
    recorded = reference_run.inputs[path]
    assert recorded[:3] == REFERENCE[path], recorded.error_detail
    assert (recorded.error_detail is None or is_duplicate_or_description(recorded)) == (recorded.status == "done")


def test_table_names_every_file(pydicom_files: Path) -> None:
    present = {str(path.relative_to(pydicom_files)) for path in pydicom_files.rglob("*") if path.is_file()}
    assert {path for path in present if "__pycache__" not in path} == set(REFERENCE) | OTHER_FILES


def test_found_are_the_dicom_files_alone(reference_run: Run) -> None:
    assert set(reference_run.inputs) == set(REFERENCE)
    assert reference_run.result.found == len(REFERENCE)
    assert reference_run.result.other_files == len(OTHER_FILES)


def test_counts_add_up(reference_run: Run) -> None:
    recorded = Counter(row.status for row in reference_run.inputs.values())
    assert recorded == reference_run.result.statuses
    assert recorded.total() == reference_run.result.found
    assert reference_run.result.frames == sum(row.frames for row in REFERENCE.values())
    hidden = sum(row.frames for row in reference_run.inputs.values() if is_duplicate(row))
    result = reference_run.result
    assert reference_run.images == result.total_frames == result.frames - hidden - sum(result.set_apart.values())
    assert 30 < hidden < 50  # the same pictures in other wrappers


def test_nothing_is_our_bug(reference_run: Run) -> None:
    codes = {row.error_code for row in reference_run.inputs.values()}
    assert not codes & {"internal", "worker_crashed", "timeout", "out_of_memory", "changed", "unreadable"}


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        (
            "JPEG2000-embedded-sequence-delimiter.dcm",
            "failed",
            "JPEG 2000 stream size (1024×3722445056)",
        ),
        ("MR_truncated.dcm", "failed", "pixel data truncated: 8,130 of 8,192 bytes (99.2 %)"),
        ("GDCMJ2K_TextGBR.dcm", "done", ""),  # only Pillow stumbles over it
        ("badVR.dcm", "failed", "Number of Frames (0028,0008) is malformed"),
        ("no_meta.dcm", "failed", "not a DICOM file (no DICM prefix, no readable data set)"),
        ("rtplan.dcm", "skipped", "no Pixel Data (7FE0,0010)"),
    ],
)
def test_bad_files_of_the_seed_say_what_is_wrong(path: str, status: str, reason: str, reference_run: Run) -> None:
    recorded = reference_run.inputs[path]
    assert recorded.status == status
    assert reason in (recorded.error_detail or "")


def test_whatever_pydicom_decodes_is_done(reference_run: Run, pydicom_files: Path) -> None:
    decodable = {path for path in REFERENCE if _is_decodable(pydicom_files / path)}
    assert len(decodable) > 60
    assert {path: reference_run.inputs[path].status for path in decodable} == dict.fromkeys(decodable, "done")


def _is_decodable(path: Path) -> bool:
    with warnings.catch_warnings(action="ignore"):
        try:
            return pydicom.dcmread(path, force=True).pixel_array.size > 0
        except Exception:  # noqa: BLE001  (pydicom and its plugins raise all kinds)
            return False
