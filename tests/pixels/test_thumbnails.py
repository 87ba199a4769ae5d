"""Thumbnails, held against a reference in float64 that is made from pydicom's stored values without our code."""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut
from pydicom.pixels import pixel_array as read_rgb

from dicomprep import process_dicom
from tests.building import make_dicom
from tests.reference_table import FOLDER, REFERENCE

Picture = NDArray[np.float64]
"""(rows, columns[, 3]) of 0 (black) … 1 (white), never quantised."""

JPEG_12_BIT = {"JPEG-lossy.dcm", "JPGExtended.dcm"}
"""pydicom has no plugin for them."""

PATHS = [path for path, row in REFERENCE.items() if row.has_images and path not in JPEG_12_BIT]

YBR_FULL = {"SC_ybr_full_422_uncompressed.dcm"}
"""Colors that are converted in integers of 8 bits, by pydicom as by us: with 16 bits, no finer than that."""


def least_decibels(path: str, depth: int) -> float:
    """The peak signal-to-noise ratio that three roundings leave: of the gray, the means and the cubic.

    One leaves 20 log (√12 · (2^depth - 1)): 58.9 dB with 8 bits, 107.1 dB with 16; each further one takes its share,
    10 log 3 = 4.8 dB for three of them.
    """
    if depth == 16 and path in YBR_FULL:
        return 70.0
    return 54.0 if depth == 8 else 102.0


SETTINGS = [
    (224, "pad", 8),
    (224, "stretch", 8),
    (224, "crop", 8),
    (64, "pad", 8),
    (512, "pad", 8),
    (224, "pad", 16),
    (64, "crop", 16),
    (512, "stretch", 16),
]
"""Size, fit, depth."""


@dataclass(frozen=True)
class Place:
    """What part of the source fills what part of the square; all are (rows, columns)."""

    crop_origin: tuple[int, int]
    crop_shape: tuple[int, int]
    shape: tuple[int, int]
    offset: tuple[int, int]


# The reference: from stored values to 0…1


def windowed(values: Picture, *, center: float, width: float, function: str) -> Picture:
    """PS3.3 C.11.2.1.2.1 LINEAR, C.11.2.1.3.1 SIGMOID, C.11.2.1.3.2 LINEAR_EXACT, with an output of 0…1."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - center) / width))
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    inside = (values - center) / width + 0.5
    return np.where(values <= center - width / 2, 0.0, np.where(values > center + width / 2, 1.0, inside))


def shaded(dataset: Dataset, stored: NDArray[Any], intensity: dict[str, Any]) -> Picture:
    """Gray as the header says; only where it names no window, the range is the one that was recorded."""
    values = apply_modality_lut(stored.astype(np.float64), dataset).astype(np.float64)
    values *= dataset.get("DoseGridScaling", 1)
    if "WindowCenter" in dataset:
        center, width = (float(np.atleast_1d(dataset[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
        shade = windowed(values, center=center, width=width, function=dataset.get("VOILUTFunction", "LINEAR"))
    else:
        low, high = intensity["voi"]["low"], intensity["voi"]["high"]
        shade = np.clip((values - low) / (high - low), 0, 1)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shade = 1 - shade
    if "PixelPaddingValue" in dataset:
        ends = dataset.PixelPaddingValue, dataset.get("PixelPaddingRangeLimit", dataset.PixelPaddingValue)
        shade = np.where((stored >= min(ends)) & (stored <= max(ends)), 0.0, shade)
    return shade


@lru_cache(maxsize=2)
def stored_values(path: Path) -> tuple[Dataset, NDArray[Any]]:
    """The data set and its samples, colors as RGB, always with an axis of frames."""
    with warnings.catch_warnings(action="ignore"):
        dataset = pydicom.dcmread(path)
        color = dataset.SamplesPerPixel == 3
        pixels = read_rgb(path) if color and dataset.PhotometricInterpretation != "RGB" else dataset.pixel_array
    return dataset, pixels if pixels.ndim > (3 if color else 2) else pixels[np.newaxis]


def picture_of(path: Path, index: int, intensity: dict[str, Any]) -> Picture:
    """One frame at its own size."""
    dataset, stored = stored_values(path)
    if dataset.SamplesPerPixel == 3:
        return stored[index] / np.float64(2 ** (8 * stored.dtype.itemsize) - 1)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return apply_color_lut(stored[index], dataset) / np.float64(65535)
    return shaded(dataset, stored[index], intensity)


# The reference: from its own size to the square


def aspect_of(dataset: Dataset) -> float:
    """Height of a pixel over its width."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"):
        if dataset.get(keyword):
            height, width = (float(value) for value in dataset[keyword].value)
            return height / width
    return 1.0


def placed(shape: tuple[int, int], *, aspect: float, size: int, fit: str) -> Place:
    """All of the picture in its shape, all of it without its shape, or the square in its middle."""
    rows, columns = shape
    if fit == "stretch":
        return Place((0, 0), shape, (size, size), (0, 0))
    if fit == "crop":
        side = min(rows * aspect, columns)
        crop = (min(rows, round(side / aspect)), min(columns, round(side)))
        return Place(((rows - crop[0]) // 2, (columns - crop[1]) // 2), crop, (size, size), (0, 0))
    longest = max(rows * aspect, columns)
    scaled = (round(size * rows * aspect / longest), round(size * columns / longest))
    return Place((0, 0), shape, scaled, ((size - scaled[0]) // 2, (size - scaled[1]) // 2))


def overlaps(source: int, target: int) -> NDArray[np.float64]:
    """(target, source) weights: which share of each of the longer intervals each of the shorter ones covers."""
    edges = np.arange(target + 1) * (source / target)
    cells = np.arange(source)
    covered = np.minimum(edges[1:, np.newaxis], cells + 1) - np.maximum(edges[:-1, np.newaxis], cells)
    return np.maximum(covered, 0) * (target / source)


def scaled(picture: Picture, shape: tuple[int, int]) -> Picture:
    """Means over areas along the axes that shrink, then bicubic along those that grow."""
    for axis in (0, 1):
        if shape[axis] < picture.shape[axis]:
            weights = overlaps(picture.shape[axis], shape[axis])
            picture = np.moveaxis(np.tensordot(weights, picture, (1, axis)), 0, axis)
    if picture.shape[:2] != shape:
        picture = cv2.resize(picture, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 1)


def nearest(picture: Picture, shape: tuple[int, int]) -> Picture:
    """At the middle of each pixel of the result, the one that is there."""
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for old, new in zip(picture.shape, shape, strict=True))
    return picture[np.ix_(rows, columns)]


def decibels(difference: Picture) -> float:
    """Peak signal-to-noise ratio of values within 0…1."""
    return float(-10 * np.log10(max(np.mean(difference**2), 1e-20)))


def padding_noise(path: Path, *, size: int, fit: str, depth: int) -> list[float]:
    """How well up to three frames of a file are met, in dB within the picture; its bars must be black."""
    found = []
    for frame in process_dicom(path, size=size, fit=fit, depth=depth, frames="max=3", fidelity="exact"):
        picture = picture_of(path, frame.frame_number, frame.transform["intensity"])
        rows, columns = picture.shape[:2]
        place = placed((rows, columns), aspect=aspect_of(stored_values(path)[0]), size=size, fit=fit)
        (top, left), (height, width) = place.crop_origin, place.crop_shape
        resized = nearest if "SegmentationType" in stored_values(path)[0] else scaled
        expected = resized(picture[top : top + height, left : left + width], place.shape)
        (top, left), (height, width) = place.offset, place.shape
        inside = np.s_[top : top + height, left : left + width]
        bars = frame.array.copy()
        bars[inside] = 0
        assert not bars.any()
        assert frame.array[inside].shape == expected.shape
        found.append(decibels(frame.array[inside] / (2**depth - 1) - expected))
    return found


@pytest.mark.parametrize(("size", "fit", "depth"), SETTINGS)
@pytest.mark.parametrize("path", PATHS)
def test_the_thumbnail_is_that_of_the_reference(path: str, size: int, fit: str, depth: int) -> None:
    assert min(padding_noise(FOLDER / path, size=size, fit=fit, depth=depth)) >= least_decibels(path, depth)


# What the samples do not have

ODD: dict[str, dict[str, Any]] = {
    "tall pixels": {"shape": (60, 300), "PixelSpacing": [2.5, 0.5]},
    "wide pixels, shrinking one way and growing the other": {"shape": (400, 90), "ImagerPixelSpacing": [0.2, 1.1]},
    "an aspect ratio": {"shape": (301, 517), "PixelAspectRatio": [4, 3]},
    "large": {"shape": (1031, 1277), "BitsStored": 12, "HighBit": 11},
    "MONOCHROME1": {"shape": (333, 250), "PhotometricInterpretation": "MONOCHROME1"},
    "padding in MONOCHROME1": {
        "shape": (333, 250),
        "PhotometricInterpretation": "MONOCHROME1",
        "PixelPaddingValue": 0,
        "PixelPaddingRangeLimit": 900,
    },
    "SIGMOID": {"shape": (250, 333), "VOILUTFunction": "SIGMOID"},
    "LINEAR_EXACT": {"shape": (250, 333), "VOILUTFunction": "LINEAR_EXACT"},
    "rescaled": {"shape": (250, 333), "RescaleSlope": 0.37, "RescaleIntercept": -200.5},
    "narrow window": {"shape": (250, 333), "WindowCenter": 2011.5, "WindowWidth": 7},
}
"""Attributes of files with stored values of up to 4095: a slope, waves and noise."""


def odd_file(path: Path, *, shape: tuple[int, int], **attributes: Any) -> Path:
    rows, columns = np.indices(shape)
    waves = 900 * np.sin(rows / 3.7) * np.cos(columns / 5.3)
    slope = 700 + 700 * (rows / shape[0] + columns / shape[1])
    pixels = np.clip(waves + slope + np.random.default_rng(3).normal(0, 60, shape), 0, 4095).astype(np.uint16)
    return make_dicom(path, pixels, **{"WindowCenter": 1400, "WindowWidth": 2300, **attributes})


@pytest.mark.parametrize(("size", "fit", "depth"), SETTINGS)
@pytest.mark.parametrize("name", ODD)
def test_odd_pixels_are_drawn_as_the_reference_has_them(
    name: str, size: int, fit: str, depth: int, tmp_path: Path
) -> None:
    noise = padding_noise(odd_file(tmp_path / "a.dcm", **ODD[name]), size=size, fit=fit, depth=depth)
    assert min(noise) >= least_decibels(name, depth)


# The reference itself


@pytest.mark.parametrize(("source", "target"), [(7, 3), (512, 224), (5, 5), (1000, 1)])
def test_the_reference_takes_means(source: int, target: int) -> None:
    values = np.random.default_rng(1).random(source)
    fine = np.repeat(values, target).reshape(target, source).mean(axis=1)
    np.testing.assert_allclose(overlaps(source, target) @ values, fine, rtol=1e-12)


def test_samples_shrink_and_grow() -> None:
    rows = [stored_values(FOLDER / path)[0].Rows for path in PATHS]
    assert len(PATHS) > 80
    assert sum(count > 224 for count in rows) > 10
    assert sum(count < 64 for count in rows) > 10
