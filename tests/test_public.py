"""The public names are what the documentation says, and cost nothing until they are used."""

import inspect
import subprocess
import sys

import pytest

import dicomprep
from dicomprep.errors import (
    ConfigError,
    DicomprepError,
    EnvironmentFault,
    ErrorCode,
    ExportError,
    InputError,
    LabelError,
)

PUBLIC = [
    "Annotations",
    "Batch",
    "ConfigError",
    "Dataset",
    "DicomprepError",
    "EnvironmentFault",
    "ErrorCode",
    "ExportError",
    "InputError",
    "LabelError",
    "Processed",
    "Record",
    "Result",
    "StoredFrame",
    "Timer",
    "UnitRecord",
    "Volume",
    "collate",
    "decode_image",
    "decode_png",
    "frame",
    "frames",
    "preprocess",
    "process_dicom",
    "to_fastai",
    "volume",
    "volumes",
]

HEAVY = {"pydicom", "cv2", "numpy", "sqlalchemy", "imagecodecs", "PIL"}


def test_the_public_names_are_the_documented_ones() -> None:
    assert sorted(dicomprep.__all__) == PUBLIC
    assert sorted(dir(dicomprep)) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_resolves_and_has_a_docstring(name: str) -> None:
    public = getattr(dicomprep, name)
    assert public.__name__ == name
    assert len(inspect.getdoc(public) or "") > 20


@pytest.mark.parametrize(
    "name",
    ["preprocess", "process_dicom", "collate", "decode_image", "decode_png", "frame", "frames", "to_fastai", "volume"],
)
def test_a_public_function_is_typed(name: str) -> None:
    function = getattr(dicomprep, name)
    assert set(function.__annotations__) == {*inspect.signature(function).parameters, "return"}


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = dicomprep.nonsense


def loaded_with(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("module", ["dicomprep", "dicomprep.cli.app"])
def test_importing_is_light(module: str) -> None:
    assert loaded_with(module) & HEAVY == set()


def test_the_parent_of_a_run_loads_no_decoder() -> None:
    assert loaded_with("dicomprep.pipeline.run") & {"pydicom", "imagecodecs", "simplejpeg", "PIL.Image", "av"} == set()


def test_workers_load_no_database() -> None:
    assert loaded_with("dicomprep.pipeline.process_file") & {"sqlalchemy", "sqlite3", "rich", "cyclopts"} == set()


@pytest.mark.parametrize("error", [ConfigError, EnvironmentFault, InputError, LabelError, ExportError])
def test_everything_raised_on_purpose_has_one_root(error: type[Exception]) -> None:
    assert issubclass(error, DicomprepError)
    assert error.__base__ is DicomprepError


def test_the_error_codes_are_the_documented_ones() -> None:
    assert sorted(ErrorCode) == [
        "changed",
        "corrupt_archive",
        "corrupt_header",
        "corrupt_pixels",
        "encrypted",
        "internal",
        "limit_exceeded",
        "no_pixel_data",
        "no_spacing",
        "not_dicom",
        "out_of_memory",
        "timeout",
        "truncated",
        "unreadable",
        "unsafe_name",
        "unsupported_archive",
        "unsupported_pixels",
        "unsupported_transfer_syntax",
        "worker_crashed",
    ]
