"""Which values are black and white where a file states no window: by the kind of image, one range for all frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dicomprep.config import Fidelity, ImageOptions
from dicomprep.pipeline.stages import frame_reader
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pixels.intensity import ValueRange, Window
from tests.building import make_dicom
from tests.reading import decoded_frames

Pixels = NDArray[Any]
TISSUE = np.random.default_rng(1).integers(400, 1600, (128, 128)).astype(np.uint16)
HU = {"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"}


def vois_of(path: Path, options: ImageOptions | None = None) -> list[Any]:
    """What turns modality values into grays, of each frame; as it is recorded."""
    options = options or ImageOptions(fidelity=Fidelity.EXACT)
    frames = decoded_frames(path, options)
    for frame in frames:
        recorded = normalize(frame, options).intensity.channels
        for rule, grayscale in zip(recorded, frame.grayscale, strict=True):
            if isinstance(grayscale.voi, ValueRange):
                assert rule.voi == grayscale.voi
    return [frame.grayscale[0].voi for frame in frames]


def range_of(path: Path, pixels: Pixels, **attributes: Any) -> ValueRange:
    """The range that all frames of such a file share."""
    found = vois_of(make_dicom(path, pixels, **{"Modality": "OT", **attributes}))
    assert len(set(found)) == 1
    assert isinstance(found[0], ValueRange)
    return found[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.dcm"


def with_outliers(pixels: Pixels, *values: int) -> Pixels:
    """The same with one row of each value."""
    changed = np.tile(pixels, (3, 3))
    for row, value in enumerate(values):
        changed[row] = value
    return changed


# Pictures of eight bits


@pytest.mark.parametrize("modality", ["OT", "US", "CR", "XC", "MR", "RTIMAGE"])
def test_pictures_of_eight_bits_are_drawn_as_they_are(modality: str, path: Path) -> None:
    pixels = np.full((40, 40), 90, np.uint8)
    pixels[3:9] = 120
    assert range_of(path, pixels, Modality=modality) == ValueRange(0, 255, "all stored values")


def test_fewer_bits_fill_their_own_range(path: Path) -> None:
    found = range_of(path, np.full((9, 9), 9, np.uint8), BitsStored=6, HighBit=5)
    assert found == ValueRange(0, 63, "all stored values")


def test_single_bits_are_black_and_white(path: Path) -> None:
    mask = np.indices((32, 32)).sum(axis=0) > 40
    assert range_of(path, mask, Modality="SEG", SegmentationType="BINARY") == ValueRange(0, 1, "all stored values")


@pytest.mark.parametrize(
    "attributes",
    [{"RescaleSlope": 4, "RescaleIntercept": -500}, {"PixelRepresentation": 1}],
    ids=["rescaled", "signed"],
)
def test_eight_bits_that_are_no_picture_are_measured(attributes: dict[str, Any], path: Path) -> None:
    pixels = np.random.default_rng(2).integers(10, 90, (64, 64)).astype(np.uint8)
    assert range_of(path, pixels, **attributes).rule == "robust"


# Hounsfield units


def with_corners(fill: int) -> NDArray[np.int16]:
    """Tissue in Hounsfield units, with a fifth of the picture filled."""
    pixels = TISSUE.astype(np.int16) - 1024
    pixels[:26] = fill
    return pixels


@pytest.mark.parametrize("fill", [-2000, -3024, -31_000])
def test_what_a_scanner_fills_the_corners_with_does_not_darken_the_rest(fill: int, path: Path) -> None:
    """Without a Pixel Padding Value."""
    found = range_of(path, with_corners(fill) + 1024, **HU)
    assert found.low == -1024
    assert found.high == pytest.approx(np.percentile(TISSUE, 99.5) - 1024, abs=3)
    assert found.rule == "robust within -1024 … 3071"


def test_hounsfield_units_that_are_stored_as_they_are_have_an_end_too(path: Path) -> None:
    assert range_of(path, with_corners(-2000), **HU | {"RescaleIntercept": 0}).low == -1024


def test_metal_does_not_darken_the_rest(path: Path) -> None:
    pixels = TISSUE.copy()
    pixels[:4] = 30_000
    assert range_of(path, pixels, **HU).high == 3071


def test_without_a_word_on_units_rescaled_ct_is_in_hounsfield_units(path: Path) -> None:
    assert range_of(path, with_outliers(TISSUE, 30_000, 30_000, 30_000), **HU | {"RescaleType": None}).high == 3071


@pytest.mark.parametrize(
    "attributes",
    [
        HU | {"RescaleType": "US"},
        HU | {"RescaleType": "MGML"},
        {"Modality": "CT"},
        HU | {"Modality": "MR"},
    ],
    ids=["unspecified", "mg/ml", "not rescaled", "MR"],
)
def test_other_units_have_no_limits(attributes: dict[str, Any], path: Path) -> None:
    found = range_of(path, with_outliers(TISSUE, *[30_000] * 4), **attributes)
    assert found.high == 30_000 + attributes.get("RescaleIntercept", 0)
    assert found.rule == "robust"


def test_the_units_of_an_enhanced_ct_are_in_its_functional_groups(path: Path) -> None:
    transformation = [{"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "MGML"}]
    groups = [{"PixelValueTransformationSequence": transformation}]
    pixels = with_outliers(TISSUE, *[30_000] * 4)[np.newaxis]
    assert range_of(path, pixels, Modality="CT", SharedFunctionalGroupsSequence=groups).rule == "robust"


# Everything else: what outliers do not move


@pytest.mark.parametrize("modality", ["MR", "CR", "DX", "MG", "XA", "RF", "OT", None])
def test_outliers_do_not_move_the_range(modality: str | None, path: Path) -> None:
    found = range_of(path, with_outliers(TISSUE, 0, 65_535), Modality=modality)
    expected = np.percentile(TISSUE, [0.5, 99.5])
    np.testing.assert_allclose((found.low, found.high), expected, rtol=0, atol=15)
    assert found.rule == "robust"


def test_noise_does_not_widen_the_range_of_large_images(path: Path) -> None:
    random = np.random.default_rng(3)
    smooth = np.tile(np.linspace(1000, 3000, 1024), (1024, 1))
    noisy = np.clip(smooth + random.normal(0, 800, smooth.shape), 0, 65_535).astype(np.uint16)
    found = range_of(path, noisy)
    assert (found.low, found.high) == (pytest.approx(1000, abs=400), pytest.approx(3000, abs=400))
    assert np.percentile(noisy, 99.5) > 4000


@pytest.mark.parametrize("value", [0, 7, 60_000])
def test_a_constant_image_is_all_of_one_gray(value: int, path: Path) -> None:
    found = range_of(path, np.full((50, 50), value, np.uint16), Modality="MR")
    assert (found.low, found.high, found.rule) == (value, value, "minimum to maximum")
    (frame,) = decoded_frames(path)
    assert len(np.unique(normalize(frame, ImageOptions()).pixels)) == 1


def test_two_values_are_black_and_white(path: Path) -> None:
    pixels = np.full((100, 100), 300, np.uint16)
    pixels[50, 50:53] = 500  # far fewer than the percentiles leave out
    assert range_of(path, pixels, Modality="MR") == ValueRange(300, 500, "minimum to maximum")


@pytest.mark.parametrize("fill", [0, 65_535])
def test_padding_takes_no_part(fill: int, path: Path) -> None:
    pixels = np.pad(TISSUE, 60, constant_values=fill)
    found = range_of(path, pixels, Modality="MR", PixelPaddingValue=fill)
    np.testing.assert_allclose((found.low, found.high), np.percentile(TISSUE, [0.5, 99.5]), rtol=0, atol=15)


def test_nothing_but_padding_is_said_to_be_so(path: Path) -> None:
    found = range_of(path, np.full((9, 9), 5, np.uint16), PixelPaddingValue=5)
    assert found.rule == "there is nothing to measure"


# Counts, doses and labels begin at zero


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
@pytest.mark.parametrize("modality", ["PT", "NM"])
def test_counts_are_black_at_zero(modality: str, dtype: str, path: Path) -> None:
    pixels = np.random.default_rng(4).integers(40, 100, (100, 100)).astype(dtype)
    pixels[0, :3] = 120  # hot, and few
    found = range_of(path, pixels, Modality=modality, RescaleSlope=0.25, RescaleIntercept=0)
    assert (found.low, found.rule) == (0, "robust, from zero")
    assert found.high == pytest.approx(0.25 * np.percentile(pixels, 99.5), abs=0.5)


def dose(*, frames: int, hottest: int, side: int = 24) -> NDArray[np.uint32]:
    """A dose that is low everywhere but in one voxel of one frame."""
    voxels = np.random.default_rng(5).integers(1000, 2000, (frames, side, side)).astype(np.uint32)
    voxels[hottest, 5, 6] = 1_000_000
    return voxels


@pytest.mark.parametrize("hottest", [0, 1, 17, 28, 29])
def test_a_dose_goes_to_the_hottest_voxel_of_all_frames(hottest: int, path: Path) -> None:
    found = range_of(path, dose(frames=30, hottest=hottest), Modality="RTDOSE", DoseGridScaling=1e-5)
    assert (found.low, found.rule) == (0, "zero to maximum")
    assert found.high == pytest.approx(10)


def test_a_dose_too_large_to_be_kept_goes_to_its_hottest_voxel(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_reader, "MAX_RANGE_BYTES", 10_000)
    assert range_of(path, dose(frames=30, hottest=17), Modality="RTDOSE").high == 1_000_000


def test_the_hottest_voxel_of_a_large_dose_counts_in_full(path: Path) -> None:
    assert range_of(path, dose(frames=1, hottest=0, side=512), Modality="RTDOSE").high == 1_000_000


@pytest.mark.parametrize(("stated", "expected"), [(255, 255), (100, 100), (None, 255)])
def test_fractions_are_white_at_their_maximum(stated: int | None, expected: int, path: Path) -> None:
    segments = np.zeros((2, 32, 32), np.uint8)
    segments[0, :9] = 40
    found = range_of(path, segments, Modality="SEG", SegmentationType="FRACTIONAL", MaximumFractionalValue=stated)
    assert found == ValueRange(0, expected, "zero to Maximum Fractional Value")


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_labels_go_from_zero_to_the_greatest(dtype: str, path: Path) -> None:
    labels = np.zeros((30, 100, 100), dtype)
    labels[:, :50, :50] = 1
    labels[13, 70, 70] = 7
    found = range_of(path, labels, Modality="SEG", SegmentationType="LABELMAP")
    assert found == ValueRange(0, 7, "zero to maximum")


def test_a_small_label_of_a_large_map_counts_in_full(path: Path) -> None:
    labels = np.zeros((512, 512), np.uint8)
    labels[100, 100] = 7
    assert range_of(path, labels, Modality="SEG", SegmentationType="LABELMAP").high == 7


# Parametric maps


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_values_that_are_no_numbers_take_no_part(dtype: str, path: Path) -> None:
    values = np.linspace(-0.5, 1.5, 10_000).astype(dtype).reshape(100, 100)
    values[::9, ::7] = np.nan
    values[1, 1:3] = np.inf, -np.inf
    found = range_of(path, values, Modality="MR")
    assert (found.low, found.high) == (pytest.approx(-0.49, abs=0.01), pytest.approx(1.49, abs=0.01))
    assert found.rule == "robust"


def test_a_map_without_a_number_is_drawn(path: Path) -> None:
    found = range_of(path, np.full((8, 8), np.nan, "f4"))
    assert found.rule == "there is nothing to measure"
    assert not normalize(decoded_frames(path)[0], ImageOptions()).pixels.any()


# One range for all frames


@pytest.mark.parametrize("frames", [2, 8, 40])
def test_all_frames_share_one_range_that_spans_them(frames: int, path: Path) -> None:
    volume = np.stack([np.full((32, 32), 100 * index) for index in range(frames)]).astype(np.uint16)
    volume += np.random.default_rng(6).integers(0, 9, volume.shape).astype(np.uint16)
    found = range_of(path, volume, Modality="MR")
    assert found.low < 10
    assert found.high > 100 * (frames - 1) - 1


def test_each_frame_is_rescaled_by_its_own_rule_before_it_is_measured(path: Path) -> None:
    groups = [
        {"PixelValueTransformationSequence": [{"RescaleSlope": slope, "RescaleIntercept": 0, "RescaleType": "US"}]}
        for slope in (1, 10)
    ]
    found = range_of(path, np.stack([TISSUE, TISSUE]), Modality="PT", PerFrameFunctionalGroupsSequence=groups)
    assert found.high == pytest.approx(10 * TISSUE.max(), rel=0.02)


# A window that was asked for


def test_with_a_window_given_nothing_is_measured(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> ValueRange:
        raise AssertionError

    monkeypatch.setattr(frame_reader, "measure_range", never)
    make_dicom(path, np.stack([TISSUE] * 3), **HU)
    assert vois_of(path, ImageOptions(window="40/400")) == [Window(40, 400)] * 3
    with pytest.raises(AssertionError):
        vois_of(path)


def test_a_stated_window_is_taken_as_it_is(path: Path) -> None:
    make_dicom(path, TISSUE, **HU, WindowCenter=40, WindowWidth=400)
    assert vois_of(path) == [Window(40, 400)]


# Frames of which only some have a window


def test_a_frame_without_a_window_gets_the_measured_range_though_the_first_has_one(path: Path) -> None:
    groups = [{"FrameVOILUTSequence": [{"WindowCenter": 40, "WindowWidth": 400}]}, {"FrameVOILUTSequence": [{}]}]
    make_dicom(path, np.stack([TISSUE, TISSUE]), **HU, PerFrameFunctionalGroupsSequence=groups)
    first, second = vois_of(path)
    assert first == Window(40, 400)
    assert isinstance(second, ValueRange)
    assert second == vois_of(make_dicom(path, TISSUE, **HU))[0]


def test_a_hot_pixel_beside_an_empty_middle_does_not_decide(path: Path) -> None:
    """With a dark column wherever one looks at regular distances."""
    frame = np.zeros((256, 256), np.uint16)
    frame[:, 20:110] = frame[:, 150:240] = np.random.default_rng(3).integers(200, 900, (256, 90))
    frame[100, 50] = 30_000
    assert range_of(path, np.stack([frame] * 8), Modality="MR").high < 1000
