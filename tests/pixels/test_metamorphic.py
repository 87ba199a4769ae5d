"""One picture, stored in every way that DICOM has, gives one thumbnail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dicomprep import process_dicom
from dicomprep.config import ImageOptions
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pipeline.stages.resize import resize
from tests.building import make_dicom
from tests.pixels.test_codecs import CASES, UID, Case
from tests.reading import opened_image

Pixels = NDArray[Any]
WINDOW = {"WindowCenter": 2000, "WindowWidth": 3500}
GRAY = np.random.default_rng(5).integers(0, 4096, (40, 56)).astype(np.uint16)
COLOR = np.random.default_rng(6).integers(0, 256, (40, 56, 3)).astype(np.uint8)


def drawn(path: Path, **options: Any) -> Pixels:
    """The thumbnail of a file's only frame."""
    (frame,) = process_dicom(path, size=32, **options)
    return frame.array


@pytest.fixture(scope="module")
def gray_reference(tmp_path_factory: pytest.TempPathFactory) -> Pixels:
    return drawn(make_dicom(tmp_path_factory.mktemp("gray") / "a.dcm", GRAY, BitsStored=12, HighBit=11, **WINDOW))


@pytest.fixture(scope="module")
def color_reference(tmp_path_factory: pytest.TempPathFactory) -> Pixels:
    return drawn(make_dicom(tmp_path_factory.mktemp("color") / "a.dcm", COLOR, color=True))


LOSSLESS = [case for case in CASES if case.tolerance == 0]


@pytest.mark.parametrize("case", [c for c in LOSSLESS if (c.dtype, c.color) == ("u2", False)], ids=str)
def test_gray_in_every_lossless_transfer_syntax(case: Case, tmp_path: Path, gray_reference: Pixels) -> None:
    attributes = {"BitsStored": case.bits, "HighBit": case.bits - 1, **WINDOW}
    stream = case.encode(GRAY, case.bits)
    path = make_dicom(tmp_path / "a.dcm", GRAY, transfer_syntax=case.syntax, codestreams=[stream], **attributes)
    np.testing.assert_array_equal(drawn(path), gray_reference)


@pytest.mark.parametrize("case", [c for c in LOSSLESS if (c.dtype, c.color) == ("u1", True)], ids=str)
def test_color_in_every_lossless_transfer_syntax(case: Case, tmp_path: Path, color_reference: Pixels) -> None:
    stream = case.encode(COLOR, 8)
    path = make_dicom(tmp_path / "a.dcm", COLOR, color=True, transfer_syntax=case.syntax, codestreams=[stream])
    np.testing.assert_array_equal(drawn(path), color_reference)


@pytest.mark.parametrize("syntax", [UID, f"{UID}.1", f"{UID}.2", f"{UID}.1.99"])
@pytest.mark.parametrize("options", [{}, {"depth": 16}, {"fit": "crop"}, {"fit": "stretch"}], ids=str)
def test_gray_in_every_native_encoding(syntax: str, options: dict[str, Any], tmp_path: Path) -> None:
    paths = [make_dicom(tmp_path / f"{s}.dcm", GRAY, transfer_syntax=s, **WINDOW) for s in (f"{UID}.1", syntax)]
    np.testing.assert_array_equal(drawn(paths[1], **options), drawn(paths[0], **options))


@pytest.mark.parametrize("rubbish", [False, True])
@pytest.mark.parametrize("high_bit", [11, 12, 15])
@pytest.mark.parametrize("signed", [False, True])
def test_gray_wherever_its_bits_are(
    high_bit: int,
    signed: bool,
    rubbish: bool,
    tmp_path: Path,
    gray_reference: Pixels,
) -> None:
    """Signed values are shifted by half the range, which the rescale undoes; unused bits hold anything."""
    stored = (GRAY.astype(np.int32) - 2048 * signed) & 0xFFF
    unused = 0xFFFF & ~(0xFFF << (high_bit - 11))
    words = (stored << (high_bit - 11)) | (unused & 0xA5A5 if rubbish else 0)
    attributes = {"BitsStored": 12, "HighBit": high_bit, "RescaleIntercept": 2048 * signed, **WINDOW}
    path = make_dicom(tmp_path / "a.dcm", words.astype(np.int16 if signed else np.uint16), **attributes)
    np.testing.assert_array_equal(drawn(path), gray_reference)


@pytest.mark.parametrize("dtype", ["u4", "i4", "f4", "f8"])
def test_gray_in_wider_types(dtype: str, tmp_path: Path, gray_reference: Pixels) -> None:
    np.testing.assert_array_equal(drawn(make_dicom(tmp_path / "a.dcm", GRAY.astype(dtype), **WINDOW)), gray_reference)


@given(slope=st.sampled_from([0.5, 1, 2, 7.25]), intercept=st.integers(-5000, 5000))
def test_rescaling_and_the_window_alike_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, gray_reference: Pixels, slope: float, intercept: int
) -> None:
    window = {"WindowCenter": 2000 * slope + intercept, "WindowWidth": 3500 * slope, "VOILUTFunction": "LINEAR_EXACT"}
    plain = {**WINDOW, "VOILUTFunction": "LINEAR_EXACT"}
    folder = tmp_path_factory.mktemp("rescaled")
    rescaled = make_dicom(folder / "a.dcm", GRAY, RescaleSlope=slope, RescaleIntercept=intercept, **window)
    np.testing.assert_array_equal(drawn(rescaled), drawn(make_dicom(folder / "b.dcm", GRAY, **plain)))


def test_monochrome1_of_inverted_values_is_monochrome2(tmp_path: Path, gray_reference: Pixels) -> None:
    """Inverting swaps where a LINEAR window rounds, so that one level may differ."""
    window = {"WindowCenter": 4095 - 2000 + 1, "WindowWidth": 3500, "PhotometricInterpretation": "MONOCHROME1"}
    inverted = drawn(make_dicom(tmp_path / "a.dcm", 4095 - GRAY, BitsStored=12, HighBit=11, **window))
    assert np.abs(inverted.astype(int) - gray_reference).max() <= 1


@pytest.mark.parametrize("group", ["PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"])
def test_functional_groups_say_the_same_as_the_root(group: str, tmp_path: Path) -> None:
    rescale = {"RescaleSlope": 2, "RescaleIntercept": -100}
    window = {"WindowCenter": 3900, "WindowWidth": 7000}
    spacing = {"PixelSpacing": [1, 2]}
    macros = {
        "PixelValueTransformationSequence": [rescale],
        "FrameVOILUTSequence": [window],
        "PixelMeasuresSequence": [spacing],
    }
    grouped = make_dicom(tmp_path / "a.dcm", GRAY, **{group: [macros]})
    at_root = make_dicom(tmp_path / "b.dcm", GRAY, **rescale, **window, **spacing)
    np.testing.assert_array_equal(drawn(grouped), drawn(at_root))


def planar(pixels: Pixels) -> dict[str, Any]:
    return {"PixelData": np.moveaxis(pixels, -1, 0).tobytes(), "PlanarConfiguration": 1}


def palette(pixels: Pixels) -> dict[str, Any]:
    """Every color of the picture as an entry of its own."""
    colors, indices = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    described = {
        "PixelData": indices.astype("<u2").tobytes(),
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "SamplesPerPixel": 1,
        "PlanarConfiguration": None,
        "PhotometricInterpretation": "PALETTE COLOR",
    }
    for number, name in enumerate(("Red", "Green", "Blue")):
        described[f"{name}PaletteColorLookupTableDescriptor"] = [len(colors), 0, 16]
        entries = colors[:, number].astype("<u2") * 257
        described[f"{name}PaletteColorLookupTableData"] = entries.astype("<u2").tobytes()
    return described


@pytest.mark.parametrize("store", [planar, palette])
def test_color_however_it_is_laid_out(
    store: Callable[[Pixels], dict[str, Any]], tmp_path: Path, color_reference: Pixels
) -> None:
    np.testing.assert_array_equal(
        drawn(make_dicom(tmp_path / "a.dcm", COLOR, color=True, **store(COLOR))), color_reference
    )


def test_ybr_full_of_a_picture_is_the_picture(tmp_path: Path, color_reference: Pixels) -> None:
    """But for the rounding of YBR to whole numbers."""
    red, green, blue = (COLOR[..., i].astype(float) for i in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    ybr = np.stack([luma, (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128], axis=-1)
    stored = np.clip(np.rint(ybr), 0, 255).astype(np.uint8)
    path = make_dicom(tmp_path / "a.dcm", stored, PhotometricInterpretation="YBR_FULL")
    assert np.abs(drawn(path).astype(int) - color_reference).max() <= 2


@pytest.mark.parametrize("transform", [True, False])
def test_jpeg2000_with_and_without_a_component_transform(
    transform: bool,
    tmp_path: Path,
    color_reference: Pixels,
) -> None:
    stream = imagecodecs.jpeg2k_encode(COLOR, reversible=True, codecformat="j2k", mct=transform)
    label = "YBR_RCT" if transform else "RGB"
    attributes = {"transfer_syntax": f"{UID}.4.90", "codestreams": [stream], "PhotometricInterpretation": label}
    np.testing.assert_array_equal(drawn(make_dicom(tmp_path / "a.dcm", COLOR, **attributes)), color_reference)


def test_neither_data_set_nor_samples_are_changed(tmp_path: Path) -> None:
    groups = [{"FrameVOILUTSequence": [{"WindowCenter": 2000, "WindowWidth": 3500}]}]
    attributes = {"RescaleSlope": 2, "PixelPaddingValue": 0, "PerFrameFunctionalGroupsSequence": groups}
    path = make_dicom(tmp_path / "a.dcm", GRAY, **attributes)
    with opened_image(path) as image:
        header = image._reader.header.attributes.dataset
        before = header.to_json_dict()
        frame = image.frame(0, ImageOptions())
        frame.pixels.flags.writeable = False
        resize(normalize(frame, ImageOptions()), ImageOptions())
        np.testing.assert_array_equal(frame.pixels, GRAY)
        assert header.to_json_dict() == before
