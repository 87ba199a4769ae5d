"""What is decoded and drawn, held against pydicom's own pixel functions on every sample file that it decodes."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_windowing
from pydicom.pixels import pixel_array as read_rgb

from dicomprep.config import ImageOptions
from dicomprep.pipeline.stages.normalize import normalize
from tests.reading import decoded_frames
from tests.reference_table import FOLDER, REFERENCE

JPEG_12_BIT = {"JPEG-lossy.dcm", "JPGExtended.dcm"}
"""pydicom has no plugin for them."""


def _header(path: str) -> Dataset:
    with warnings.catch_warnings(action="ignore"):
        return pydicom.dcmread(FOLDER / path, stop_before_pixels=True)


HEADERS = {path: _header(path) for path, row in REFERENCE.items() if row.has_images and path not in JPEG_12_BIT}
GRAY = [path for path, header in HEADERS.items() if header.PhotometricInterpretation.startswith("MONOCHROME")]
PALETTE = [path for path, header in HEADERS.items() if header.PhotometricInterpretation == "PALETTE COLOR"]
COLOR = [path for path in HEADERS if path not in GRAY and path not in PALETTE]
WINDOWED = [path for path in GRAY if "WindowCenter" in HEADERS[path]]


def pydicom_stored(path: Path) -> tuple[Dataset, NDArray[Any]]:
    """The data set and its stored values, always with an axis of frames."""
    with warnings.catch_warnings(action="ignore"):
        dataset = pydicom.dcmread(path)
        try:
            pixels = dataset.pixel_array
        except RuntimeError as error:
            pytest.skip(f"pydicom lacks a plugin: {str(error)[:80]}")
    axes = 3 if dataset.SamplesPerPixel == 3 else 2
    return dataset, pixels if pixels.ndim > axes else pixels[np.newaxis]


def test_every_kind_is_there() -> None:
    assert len(GRAY) > 45
    assert len(COLOR) > 25
    assert len(WINDOWED) > 30
    assert PALETTE


@pytest.mark.parametrize("path", GRAY + PALETTE)
def test_stored_values_are_those_of_pydicom(path: str, pydicom_files: Path) -> None:
    _, expected = pydicom_stored(pydicom_files / path)
    frames = decoded_frames(pydicom_files / path)
    assert len(frames) == len(expected)
    for frame, reference in zip(frames, expected, strict=True):
        assert frame.pixels.dtype.kind == reference.dtype.kind
        np.testing.assert_array_equal(frame.pixels, reference)


@pytest.mark.parametrize("path", COLOR)
def test_colors_are_those_of_pydicom(path: str, pydicom_files: Path) -> None:
    dataset, expected = pydicom_stored(pydicom_files / path)
    if dataset.PhotometricInterpretation != "RGB":
        expected = read_rgb(pydicom_files / path)
    bits = 8 * expected.dtype.itemsize
    depth = min(16, bits)
    frames = decoded_frames(pydicom_files / path)
    drawn = np.stack([normalize(frame, ImageOptions(depth=depth)).pixels for frame in frames])
    assert drawn.dtype == np.dtype(f"u{depth // 8}")
    scaled = expected.astype(np.float64) * ((2**depth - 1) / (2**bits - 1))
    np.testing.assert_allclose(drawn, scaled.reshape(drawn.shape), rtol=0, atol=1)
    assert np.mean(np.abs(drawn - scaled.reshape(drawn.shape)) > 0.5) < 0.01


@pytest.mark.parametrize("path", PALETTE)
def test_palettes_are_those_of_pydicom(path: str, pydicom_files: Path) -> None:
    dataset, stored = pydicom_stored(pydicom_files / path)
    expected = apply_color_lut(stored[0], dataset)
    frame = decoded_frames(pydicom_files / path)[0]
    assert expected.dtype == np.uint16
    np.testing.assert_array_equal(normalize(frame, ImageOptions(depth=16)).pixels, expected)
    np.testing.assert_array_equal(normalize(frame, ImageOptions()).pixels, expected >> 8)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("path", WINDOWED)
def test_windows_are_those_of_pydicom(path: str, depth: int, pydicom_files: Path) -> None:
    dataset, stored = pydicom_stored(pydicom_files / path)
    values = apply_modality_lut(stored.astype(np.float64), dataset).astype(np.float64)
    ends = np.array([-1e9, 1e9])
    drawn = apply_windowing(np.concatenate([values.ravel(), ends]), dataset)
    black, white = drawn[-2:]
    expected = ((drawn[:-2] - black) / (white - black)).reshape(stored.shape)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        expected = 1 - expected
    padding = stored == dataset.get("PixelPaddingValue", 2**40)
    expected[padding] = 0
    for frame, reference in zip(decoded_frames(pydicom_files / path), expected, strict=True):
        pixels = normalize(frame, ImageOptions(depth=depth)).pixels
        np.testing.assert_allclose(pixels, reference * (2**depth - 1), rtol=0, atol=1)
