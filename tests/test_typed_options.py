"""Options that editors complete: they are those of the dataclasses, and a type checker refuses what they refuse."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from functools import reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_type_hints

import pytest

from dicomprep.api import DrawOptions, PreprocessOptions
from dicomprep.config import RUN_OPTIONS, Budget, Config, ImageOptions, Privacy, Splits
from dicomprep.engines.options import EngineOptions, JobOptions

PARTS = (ImageOptions, Budget, Splits, Privacy, EngineOptions)


def accepted(kind: Any) -> Any:
    """What a caller may give for a field: texts for paths and choices, one keyword or several."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind | Literal[tuple(str(choice) for choice in kind)]  # type: ignore[operator]
    if isinstance(kind, UnionType):
        return reduce(or_, map(accepted, get_args(kind)))
    if kind is JobOptions:
        return JobOptions | Mapping[str, object]
    return {Path: str | Path, tuple[str, ...]: str | Sequence[str]}.get(kind, kind)


def options_of(kind: Any, *names: str) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {name: accepted(hints[name]) for name in names or [field.name for field in fields(kind)]}


def test_options_of_preprocess_are_those_of_the_dataclasses() -> None:
    expected = options_of(Config, *RUN_OPTIONS)
    for part in PARTS:
        expected |= options_of(part)
    assert get_type_hints(PreprocessOptions) == expected
    assert {field.name for field in fields(Config)} == {
        "dicom_dir", *RUN_OPTIONS, "where", "image", "budget", "splits", "privacy",
    }  # fmt: skip


def test_options_of_process_dicom_are_those_of_an_image() -> None:
    assert get_type_hints(DrawOptions) == options_of(ImageOptions) | options_of(Budget, "max_memory")


CALLS = """
import io
from pathlib import Path
import pydicom
import dicomprep
from dicomprep import process_dicom

dicomprep.preprocess("samp_ds", output_dir=Path("t"), size=512, fit="crop", tag=["ConvolutionKernel"], workers=2).frames
process_dicom(Path("a.dcm"), window="40/400", depth=16, frames="first")[0].transform.geometry.crop_shape
process_dicom(b"")
process_dicom(io.BytesIO())
process_dicom(open("a.dcm", "rb"))
process_dicom(pydicom.dcmread("a.dcm"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="one system is enough")
def test_a_type_checker_takes_right_options_and_refuses_wrong_ones(tmp_path: Path) -> None:
    wrong = [
        'dicomprep.preprocess("samp_ds", sise=512)', 'dicomprep.preprocess("samp_ds", size=5.5)',
        'process_dicom("a.dcm", fit="squeeze")', 'process_dicom("a.dcm", output_dir="t")', "process_dicom(3)",
        'process_dicom("a.dcm")[0].transform.geometry.crop',
    ]  # fmt: skip
    script = tmp_path / "calls.py"
    script.write_text(CALLS + "\n".join(wrong) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--follow-imports=silent", str(script)]
    found = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    lines = [int(line.split(":")[1]) for line in found.stdout.splitlines() if ": error:" in line]
    first = CALLS.count("\n") + 1
    assert lines == list(range(first, first + len(wrong))), found.stdout
