"""What is drawn, held against highdicom: the samples that it reads, and what they lack (tables, frames, profiles)."""

import struct
import warnings
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, EnhancedMRImageStorage, UltrasoundImageStorage

from dicomprep.config import ImageOptions
from dicomprep.models import Intensity
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pixels.intensity import Rescale, ValueRange
from tests.building import gradient, make_dicom
from tests.reading import decoded_frames
from tests.reference_table import FOLDER, REFERENCE

NOT_READ = {
    **dict.fromkeys(
        [
            "ExplVR_BigEnd.dcm",
            "MR_small_bigendian.dcm",
            "MR_small_expb.dcm",
            "SC_rgb_small_odd_big_endian.dcm",
            "liver_expb_1frame.dcm",
            "rtdose_expb.dcm",
            "rtdose_expb_1frame.dcm",
        ],
        "highdicom refuses big endian",
    ),
    "JPEG-lossy.dcm": "pydicom, on which highdicom rests, has no plugin for JPEG of 12 bits",
    "JPGExtended.dcm": "pydicom, on which highdicom rests, has no plugin for JPEG of 12 bits",
    "SC_rgb_small_odd.dcm": "its Source Image Sequence lacks a UID that highdicom wants",
}
"""Samples that highdicom cannot read, and why."""

DEVIATIONS = {
    "padding in MONOCHROME1": "we are right: padding is background (C.7.5.1.1.2), drawn black; highdicom knows none and"
    " draws its low value white",
    "steep slope": "we are right: highdicom takes a LINEAR window to stored values with (width / slope - 1) for"
    " (width - 1) / slope; they part where the slope is far from 1 and few stored values are in the window",
    "both tables": "we are right: after a Modality LUT, highdicom leaves what the VOI LUT gives at 0…65535",
    "frame over shared": "undecided: a functional group is not to be in both places (C.7.6.16). highdicom takes the"
    " shared one, we the frame's, which is nearer",
    "root beside frames": "we are right: what holds for a frame is in its functional groups (C.7.6.16.2.9 and 10), and"
    " the root of an enhanced image has no such attributes; highdicom asks the root first",
}
"""Cases in which we differ from highdicom; who is right, and why. In the samples there is none."""

SAMPLES = [path for path, row in REFERENCE.items() if row.has_images and path not in NOT_READ]

Groups = dict[str, Any]


def read_highdicom(path: Path) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return highdicom.imread(path)


def drawn_by_highdicom(image: Any, index: int, **options: Any) -> NDArray[np.float64]:
    """One frame, from 0 (black) to 1 (white)."""
    with warnings.catch_warnings(action="ignore"):
        frame = image.get_frame(
            index,
            as_index=True,
            dtype=np.float64,
            apply_real_world_transform=False,
            apply_modality_transform=None,
            apply_voi_transform=None,
            **options,
        )
    if image.PhotometricInterpretation.startswith("MONOCHROME"):
        return frame
    palette = image.PhotometricInterpretation == "PALETTE COLOR"
    bits = image.RedPaletteColorLookupTableDescriptor[2] if palette else image.BitsStored
    return frame / (2**bits - 1)


def as_window(intensity: Intensity, *, dose_unit: float) -> dict[str, Any]:
    """Where the file states no window, our range as one for highdicom, so that all but the range is its own.

    It knows no Dose Grid Scaling: its window is one of stored values.
    """
    voi = intensity.channels[0].voi if intensity.channels else None
    if not isinstance(voi, ValueRange):
        return {}
    modality = intensity.channels[0].modality
    assert isinstance(modality, Rescale)
    assert modality.slope == dose_unit
    low, high = voi.low / dose_unit, voi.high / dose_unit
    width = high - low + 1  # LINEAR, for highdicom knows no function for a window that it is given
    return {"voi_transform_selector": highdicom.VOILUTTransformation(window_center=low + width / 2, window_width=width)}


def differences(path: Path, **options: Any) -> list[float]:
    """The greatest difference of each frame, in gray levels of 255."""
    image = read_highdicom(path)
    frames = decoded_frames(path)
    assert image.number_of_frames == len(frames)
    found = []
    for frame in frames:
        drawn = normalize(frame, ImageOptions())
        window = as_window(drawn.intensity, dose_unit=float(image.get("DoseGridScaling", 1)))
        expected = drawn_by_highdicom(image, frame.index, **window, **options)
        assert drawn.pixels.shape == expected.shape
        found.append(float(np.abs(drawn.pixels - 255 * expected).max()))
    return found


# Samples


@pytest.mark.parametrize("path", SAMPLES)
def test_the_picture_is_that_of_highdicom(path: str) -> None:
    assert max(differences(FOLDER / path)) <= 1


@pytest.mark.parametrize("path", NOT_READ)
def test_samples_left_out_are_still_not_read(path: str) -> None:
    with pytest.raises((ValueError, AttributeError, RuntimeError)):
        drawn_by_highdicom(read_highdicom(FOLDER / path), 0)


# Gray: what the samples do not have

RAMP = gradient(64, 64)
SIGNED = (RAMP.astype(np.int16) - 2048).astype(np.int16)
WINDOW = {"WindowCenter": 1800, "WindowWidth": 2500}
TWO_WINDOWS = {"WindowCenter": [1500, 300], "WindowWidth": [600, 100]}
CURVE = np.round(4095 * np.linspace(0, 1, 4096) ** 2).astype(np.uint16)
VOI_CURVE = np.round(65535 * np.linspace(0, 1, 4096) ** 2).astype(np.uint16)


def table(entries: NDArray[np.uint16], first: int, bits: int) -> list[Groups]:
    """The one item of a Modality LUT or VOI LUT Sequence."""
    return [{"LUTDescriptor": [len(entries), first, bits], "LUTData": entries.astype("<u2").tobytes()}]


GRAY: dict[str, Groups] = {
    "window": WINDOW,
    "the first of two windows": {"WindowCenter": [1800, 300], "WindowWidth": [2500, 100]},
    "LINEAR_EXACT": {**WINDOW, "WindowWidth": 3.5, "VOILUTFunction": "LINEAR_EXACT"},
    "SIGMOID": {**WINDOW, "VOILUTFunction": "SIGMOID"},
    "MONOCHROME1": {**WINDOW, "PhotometricInterpretation": "MONOCHROME1"},
    "MONOCHROME1 and INVERSE": {
        **WINDOW,
        "PhotometricInterpretation": "MONOCHROME1",
        "PresentationLUTShape": "INVERSE",
    },
    "MONOCHROME2 and INVERSE": {**WINDOW, "PresentationLUTShape": "INVERSE"},
    "MONOCHROME1 and SIGMOID": {**WINDOW, "PhotometricInterpretation": "MONOCHROME1", "VOILUTFunction": "SIGMOID"},
    "rescaled": {"RescaleSlope": 0.5, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 1200},
    "falling": {
        "RescaleSlope": -2,
        "RescaleIntercept": 100,
        "WindowCenter": -4000,
        "WindowWidth": 3000,
        "VOILUTFunction": "LINEAR_EXACT",
    },
    "modality table": {"ModalityLUTSequence": table(CURVE, 0, 16), **WINDOW},
    "modality table that begins late": {"ModalityLUTSequence": table(CURVE[:2000], 700, 16), **WINDOW},
    "VOI table": {"VOILUTSequence": table(VOI_CURVE, 0, 16)},
    "VOI table that begins late": {"VOILUTSequence": table(VOI_CURVE[::2], 1000, 16), "RescaleIntercept": -100},
    "VOI table before window": {"VOILUTSequence": table(VOI_CURVE, 0, 16), **WINDOW},
    "VOI table, MONOCHROME1": {"VOILUTSequence": table(VOI_CURVE, 0, 16), "PhotometricInterpretation": "MONOCHROME1"},
    "padding": {**WINDOW, "PixelPaddingValue": 0, "PixelPaddingRangeLimit": 200},
    "MONOCHROME1 and IDENTITY": {
        **WINDOW,
        "PhotometricInterpretation": "MONOCHROME1",
        "PresentationLUTShape": "IDENTITY",
    },
    "padding in MONOCHROME1": {**WINDOW, "PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0},
    "steep slope": {"RescaleSlope": 20, "WindowCenter": 40_000, "WindowWidth": 2000},
    "a window of 1": {"WindowCenter": 1800, "WindowWidth": 1},
    "slope 0": {"RescaleSlope": 0, "RescaleIntercept": 5, **WINDOW},
    "VOI table, slope 2": {"VOILUTSequence": table(VOI_CURVE, 0, 16), "RescaleSlope": 2},
    "both tables": {"ModalityLUTSequence": table(CURVE, 0, 16), "VOILUTSequence": table(VOI_CURVE, 0, 16)},
    "VOI table of lesser range": {"VOILUTSequence": table(VOI_CURVE // 2, 0, 16)},
}
"""Attributes of a file whose stored values rise from 0 to 4095."""


def gray_file(path: Path, name: str) -> Path:
    return make_dicom(path, RAMP, SOPClassUID=CTImageStorage, BitsStored=12, HighBit=11, **GRAY[name])


@pytest.mark.parametrize("name", [name for name in GRAY if name not in DEVIATIONS])
def test_gray_is_that_of_highdicom(name: str, tmp_path: Path) -> None:
    assert max(differences(gray_file(tmp_path / "a.dcm", name))) <= 1


@pytest.mark.parametrize("name", [name for name in GRAY if name in DEVIATIONS])
def test_deviations_in_gray_are_still_there(name: str, tmp_path: Path) -> None:
    assert max(differences(gray_file(tmp_path / "a.dcm", name))) > 1


# Enhanced multi-frame: what each frame says of itself


def rescale(slope: float, intercept: float) -> Groups:
    """The functional group Pixel Value Transformation."""
    return {
        "PixelValueTransformationSequence": [
            {"RescaleSlope": slope, "RescaleIntercept": intercept, "RescaleType": "US"}
        ]
    }


def window(center: float, width: float, function: str | None = None) -> Groups:
    """The functional group Frame VOI LUT."""
    stated = {"VOILUTFunction": function} if function else {}
    return {"FrameVOILUTSequence": [{"WindowCenter": center, "WindowWidth": width, **stated}]}


FRAMES: dict[str, tuple[Groups, list[Groups]]] = {
    "all in each frame": (
        {},
        [
            rescale(1, -1024) | window(40, 400),
            rescale(2, 0) | window(3000, 5000, "LINEAR_EXACT"),
            rescale(0.25, 10) | window(500, 300, "SIGMOID"),
        ],
    ),
    "all shared": (rescale(1, -1024) | window(40, 400), [{}, {}, {}]),
    "shared rescale, window in each frame": (
        rescale(0.5, -100),
        [window(400, 700), window(900, 1500, "LINEAR_EXACT"), window(1500, 300, "SIGMOID")],
    ),
    "rescale in each frame, shared window": (
        window(1000, 1200, "LINEAR_EXACT"),
        [rescale(1, 0), rescale(0.5, 0), rescale(-1, 3000)],
    ),
    "some frames with less": ({}, [rescale(1, -500) | window(40, 400), window(40, 400), window(2000, 900)]),
    "the first of two windows in a frame": (
        {},
        [window(100, 800), window(2000, 900), {"FrameVOILUTSequence": [TWO_WINDOWS]}],
    ),
    "frame over shared": (
        rescale(1, 0) | window(1000, 1200, "LINEAR_EXACT"),
        [{}, rescale(0.5, 100), window(3000, 900)],
    ),
    "root beside frames": ({}, [rescale(1, 0) | window(center, 900) for center in (500, 1500, 2500)]),
}
"""Shared and per-frame functional groups of three frames with the same stored values."""

ENHANCED = {"MR": EnhancedMRImageStorage, "CT": EnhancedCTImageStorage}


ROOT = {"root beside frames": {"RescaleSlope": 1, "RescaleIntercept": 7, "WindowCenter": 50, "WindowWidth": 10}}
"""Attributes that such a file should not have."""


def enhanced_file(path: Path, name: str, *, modality: str = "MR", **attributes: Any) -> Path:
    shared, per_frame = FRAMES[name]
    return make_dicom(
        path,
        np.stack([SIGNED if modality == "CT" else RAMP] * len(per_frame)),
        SOPClassUID=ENHANCED[modality],
        Modality=modality,
        BitsStored=12,
        HighBit=11,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=per_frame,
        **ROOT.get(name, {}),
        **attributes,
    )


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("modality", ENHANCED)
@pytest.mark.parametrize("name", [name for name in FRAMES if name not in DEVIATIONS])
def test_frames_are_those_of_highdicom(name: str, modality: str, photometric: str, tmp_path: Path) -> None:
    path = enhanced_file(tmp_path / "a.dcm", name, modality=modality, PhotometricInterpretation=photometric)
    assert max(differences(path)) <= 1


@pytest.mark.parametrize("name", [name for name in FRAMES if name not in DEVIATIONS and name != "all shared"])
def test_the_same_stored_values_are_drawn_differently_in_each_frame(name: str, tmp_path: Path) -> None:
    frames = decoded_frames(enhanced_file(tmp_path / "a.dcm", name))
    first, second, third = (normalize(frame, ImageOptions()).pixels.astype(int) for frame in frames)
    for one, other in ((first, second), (first, third), (second, third)):
        assert np.abs(one - other).max() > 80


@pytest.mark.parametrize("name", [name for name in FRAMES if name in DEVIATIONS])
def test_deviations_in_frames_are_still_there(name: str, tmp_path: Path) -> None:
    assert max(differences(enhanced_file(tmp_path / "a.dcm", name))) > 1


# Color profiles

ADOBE_TO_XYZ = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB_TO_XYZ = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""Linear RGB to XYZ under D50: a column for each primary."""
ADOBE_GAMMA = 563 / 256


def matrix_profile(to_xyz: NDArray[np.float64], gamma: float) -> bytes:
    """An ICC profile (version 2.4, of an input device) of three primaries and a gamma (ICC.1:2001-04, 6.3.1.2)."""

    def xyz(values: Any) -> bytes:
        return b"XYZ \0\0\0\0" + np.round(np.asarray(values) * 65536).astype(">i4").tobytes()

    white = (0.9642, 1, 0.8249)
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    name = b"wide\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78 + 3),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz(white),
        **{color + b"XYZ": xyz(column) for color, column in zip((b"r", b"g", b"b"), to_xyz.T, strict=True)},
        **{color + b"TRC": curve for color in (b"r", b"g", b"b")},
    }
    directory, content, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, element in tags.items():
        directory += tag + struct.pack(">II", start + len(content), len(element))
        content += element + bytes(-len(element) % 4)
    size = struct.pack(">I", start + len(content))
    kind = b"\0\0\0\0\x02\x40\0\0scnrRGB XYZ " + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    header = size + kind + bytes(28) + xyz(white)[8:]
    return header.ljust(128, b"\0") + directory + content


def adobe_to_srgb(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The conversion by its formulas (IEC 61966-2-1), 0…255."""
    linear = (pixels / 255) ** ADOBE_GAMMA @ (np.linalg.inv(SRGB_TO_XYZ) @ ADOBE_TO_XYZ).T
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


ADOBE = matrix_profile(ADOBE_TO_XYZ, ADOBE_GAMMA)
NOISE = np.random.default_rng(7).integers(0, 256, (48, 64, 3)).astype(np.uint8)
YBR = (NOISE // (2, 8, 8) + (64, 112, 112)).astype(np.uint8)
"""Of weak colors, none beyond sRGB: there a difference of 1 in rounding grows to 6."""
INDICES = (np.arange(64 * 64) % 256).astype(np.uint8).reshape(64, 64)


def palette(*channels: NDArray[np.int64]) -> Groups:
    """A palette of 8 bits."""
    stated: Groups = {"PhotometricInterpretation": "PALETTE COLOR"}
    for color, values in zip(("Red", "Green", "Blue"), channels, strict=True):
        stated[f"{color}PaletteColorLookupTableDescriptor"] = [len(values), 0, 8]
        stated[f"{color}PaletteColorLookupTableData"] = values.astype(np.uint8).tobytes()
    return stated


COUNT = np.arange(256)
PROFILED: dict[str, Groups] = {
    "RGB": {"pixels": NOISE, "color": True, "ICCProfile": ADOBE},
    "two frames": {"pixels": np.stack([NOISE, 255 - NOISE]), "ICCProfile": ADOBE},
    "planar": {"pixels": NOISE.transpose(2, 0, 1).reshape(NOISE.shape), "PlanarConfiguration": 1, "ICCProfile": ADOBE},
    "YBR_FULL": {"pixels": YBR, "PhotometricInterpretation": "YBR_FULL", "ICCProfile": ADOBE},
    "optical path": {"pixels": NOISE, "OpticalPathSequence": [{"OpticalPathIdentifier": "1", "ICCProfile": ADOBE}]},
    "crayons": {"pixels": NOISE, "ICCProfile": (FOLDER / "crayons.icc").read_bytes()},
    "palette": {"pixels": INDICES, **palette(COUNT, 255 - COUNT, COUNT * 3 % 256), "ICCProfile": ADOBE},
}
"""Arguments of `make_dicom` for files with a color profile."""


def profiled_file(path: Path, name: str) -> Path:
    color = "PhotometricInterpretation" not in PROFILED[name]
    return make_dicom(path, SOPClassUID=UltrasoundImageStorage, **{"color": color, **PROFILED[name]})


@pytest.mark.parametrize("name", PROFILED)
def test_color_profiles_are_applied_as_by_highdicom(name: str, tmp_path: Path) -> None:
    assert max(differences(profiled_file(tmp_path / "a.dcm", name), apply_icc_profile=True)) <= 2


@pytest.mark.parametrize("name", [name for name in PROFILED if name not in ("palette", "crayons")])
def test_a_color_profile_changes_the_picture(name: str, tmp_path: Path) -> None:
    assert min(differences(profiled_file(tmp_path / "a.dcm", name), apply_icc_profile=False)) > 20


def test_a_wide_color_space_is_converted_by_its_formulas(tmp_path: Path) -> None:
    (frame,) = decoded_frames(profiled_file(tmp_path / "a.dcm", "RGB"))
    drawn = normalize(frame, ImageOptions()).pixels
    np.testing.assert_allclose(drawn, adobe_to_srgb(NOISE), rtol=0, atol=2)


def test_every_deviation_is_a_case() -> None:
    assert set(DEVIATIONS) <= {*GRAY, *FRAMES}
