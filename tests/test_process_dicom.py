"""`dicomprep.process_dicom`: one file in, drawn frames out, or the reason why not."""

import json
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import ImageCms
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

from dicomprep import ConfigError, ErrorCode, InputError, process_dicom
from tests.building import gradient, make_dicom
from tests.reference_table import FOLDER, REFERENCE


def failure(path: Path, **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        process_dicom(path, **options)
    return caught.value


# Names and shapes


def test_one_frame(tmp_path: Path) -> None:
    (frame,) = process_dicom(make_dicom(tmp_path / "study_001/image_a.dcm"))
    assert (frame.name, frame.frame_number) == ("study_001/image_a", 0)
    assert (frame.array.shape, frame.array.dtype) == ((224, 224), np.uint8)
    assert frame.transform.geometry.scaled_shape == (224, 168)
    assert not list(tmp_path.rglob("*.png"))


def test_several_frames(tmp_path: Path) -> None:
    pixels = np.stack([np.full((20, 30), 10 * n, np.uint8) for n in range(12)])
    frames = process_dicom(str(make_dicom(tmp_path / "study_001/image_b.dcm", pixels)), fit="stretch")
    assert [frame.name for frame in frames] == [f"study_001/image_b_frame{n:04d}" for n in range(12)]
    assert [frame.frame_number for frame in frames] == list(range(12))
    assert [int(frame.array[0, 0]) for frame in frames] == list(range(0, 120, 10))


@pytest.mark.parametrize(
    ("frames", "chosen"),
    [
        ("all", list(range(10))),
        ("first", [0]),
        ("middle", [5]),
        ("every=3", [0, 3, 6, 9]),
        ("every=20", [0]),
        ("max=2", [2, 7]),
        ("max=3", [1, 5, 8]),
        ("max=10", list(range(10))),
        ("max=99", list(range(10))),
    ],
)
def test_chosen_frames_keep_their_numbers(tmp_path: Path, frames: str, chosen: list[int]) -> None:
    pixels = np.stack([np.full((8, 8), 10 * n, np.uint8) for n in range(10)])
    drawn = process_dicom(make_dicom(tmp_path / "s/a.dcm", pixels), frames=frames)
    assert [frame.frame_number for frame in drawn] == chosen
    assert [frame.name for frame in drawn] == [f"s/a_frame{n:04d}" for n in chosen]
    assert [int(frame.array[0, 0]) for frame in drawn] == [10 * n for n in chosen]


@pytest.mark.parametrize("size", [8, 100, 224])
@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", ["gray", "color", "three windows"])
def test_shapes(tmp_path: Path, kind: str, depth: int, fit: str, size: int) -> None:
    color = kind == "color"
    pixels = np.full((60, 30, 3) if color else (60, 30), 255, np.uint8)
    path = make_dicom(tmp_path / "a.dcm", pixels, color=color, WindowCenter=100, WindowWidth=50)
    window = "100/50,90/50,80/50" if kind == "three windows" else "auto"
    (frame,) = process_dicom(path, size=size, fit=fit, depth=depth, window=window)
    channels = () if kind == "gray" else (3,)
    assert frame.array.shape == (size, size, *channels)
    assert frame.array.dtype == (np.uint8 if depth == 8 else np.uint16)
    picture = frame.array[:, size // 4 : size - size // 4] if fit == "pad" else frame.array
    assert picture.min() == 2**depth - 1
    if fit == "pad":
        assert not frame.array[:, : size // 4].any()
        assert not frame.array[:, size - size // 4 :].any()


def test_the_transform_leads_from_a_point_back_to_its_pixel(tmp_path: Path) -> None:
    pixels = np.zeros((100, 60), np.uint8)
    pixels[70:72, 20:22] = 255
    path = make_dicom(tmp_path / "a.dcm", pixels, PixelSpacing=[0.5, 1])
    for fit in ("pad", "crop", "stretch"):
        (frame,) = process_dicom(path, fit=fit)
        brightest = np.argwhere(frame.array > 200).mean(axis=0) + 0.5
        source = frame.transform.to_source(brightest[np.newaxis])[0]
        np.testing.assert_allclose(source, [71, 21], atol=0.3)


# Gray


def test_the_file_s_window_is_used(tmp_path: Path) -> None:
    path = make_dicom(
        tmp_path / "a.dcm", gradient(64, 64), RescaleIntercept=-1024, RescaleSlope=1, WindowCenter=40, WindowWidth=400
    )
    (frame,) = process_dicom(path, size=64)
    hounsfield = gradient(64, 64).astype(float) - 1024
    expected = np.clip((hounsfield - 39.5) / 399 + 0.5, 0, 1) * 255
    np.testing.assert_allclose(frame.array, expected, atol=0.51)
    assert frame.transform["intensity"]["voi"] == {"center": 40, "width": 400, "function": "LINEAR"}


@pytest.mark.parametrize(
    ("window", "center", "width"), [("lung", -600, 1500), ("brain", 40, 80), ("-50/300", -50, 300), ("12.5/1", 12.5, 1)]
)
def test_the_user_s_window_stands_over_the_file_s(tmp_path: Path, window: str, center: float, width: float) -> None:
    pixels = gradient(64, 64).astype(np.int16) - 1024
    path = make_dicom(tmp_path / "a.dcm", pixels, WindowCenter=1, WindowWidth=2, VOILUTFunction="SIGMOID")
    (frame,) = process_dicom(path, size=64, window=window, depth=16)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.clip((pixels - (center - 0.5)) / (width - 1) + 0.5, 0, 1) if width > 1 else pixels > center - 0.5
    np.testing.assert_allclose(frame.array, expected * 65535.0, atol=0.51)


def test_three_presets_are_red_green_blue(tmp_path: Path) -> None:
    pixels = gradient(64, 64).astype(np.int16) - 1024
    path = make_dicom(tmp_path / "a.dcm", pixels)
    (frame,) = process_dicom(path, window="lung,mediastinum, bone")
    for channel, preset in enumerate(["lung", "mediastinum", "bone"]):
        (alone,) = process_dicom(path, window=preset)
        assert alone.array.ndim == 2
        np.testing.assert_allclose(frame.array[..., channel].astype(int), alone.array, atol=1)
    centers = [channel["voi"]["center"] for channel in frame.transform["intensity"]["channels"]]
    assert centers == [-600, 50, 400]
    assert frame.array[..., 0].mean() > frame.array[..., 2].mean() > 0


def test_low_values_of_monochrome1_are_bright(tmp_path: Path) -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    (plain,) = process_dicom(make_dicom(tmp_path / "a.dcm", **window), size=64)
    path = make_dicom(tmp_path / "b.dcm", PhotometricInterpretation="MONOCHROME1", **window)
    (inverted,) = process_dicom(path, size=64)
    inside = slice(8, 56)
    assert (plain.array[0, 8], inverted.array[0, 8]) == (0, 255)
    np.testing.assert_allclose(inverted.array[:, inside].astype(int), 255 - plain.array[:, inside].astype(int), atol=1)
    assert not inverted.array[:, :8].any()  # the canvas stays black


def test_nothing_stretches_a_picture_of_8_bits(tmp_path: Path) -> None:
    pixels = np.full((32, 32), 100, np.uint8)
    pixels[:16] = 120
    (frame,) = process_dicom(make_dicom(tmp_path / "a.dcm", pixels, Modality="US"), size=32)
    np.testing.assert_array_equal(frame.array, pixels)


@pytest.mark.parametrize(("modality", "darkest"), [("PT", 50), ("NM", 50), ("MR", 0)])
def test_counts_are_black_at_zero(tmp_path: Path, modality: str, darkest: int) -> None:
    pixels = np.linspace(50, 255, 64 * 64).reshape(64, 64).astype(np.uint16)
    (frame,) = process_dicom(make_dicom(tmp_path / "a.dcm", pixels, Modality=modality), size=64)
    assert abs(int(frame.array.min()) - darkest) <= 1
    assert frame.array.max() == 255


def test_padding_is_background(tmp_path: Path) -> None:
    pixels = gradient(64, 64).astype(np.int16)
    pixels[:20] = -2000
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        path = make_dicom(tmp_path / "a.dcm", pixels, PixelPaddingValue=-2000, PhotometricInterpretation=photometric)
        (frame,) = process_dicom(path, size=64)
        assert not frame.array[:20].any()
        assert frame.array[20:].max() > 240
        assert frame.transform["intensity"]["voi"]["low"] > 1000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_pixels(tmp_path: Path, dtype: type) -> None:
    pixels = np.linspace(-1, 1, 64 * 64).reshape(64, 64).astype(dtype)
    pixels[0, :3] = np.nan, np.inf, -np.inf
    (frame,) = process_dicom(
        make_dicom(tmp_path / "a.dcm", pixels, WindowCenter=0, WindowWidth=2, VOILUTFunction="LINEAR_EXACT"), size=64
    )
    assert frame.array[0, :3].tolist() == [0, 255, 0]
    np.testing.assert_allclose(frame.array[1:], (pixels[1:] + 1) / 2 * 255, atol=0.51)


def test_float_pixels_with_a_table(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16), np.float32)
    pixels[0] = np.nan
    pixels[1:3] = 1
    table = {"LUTDescriptor": [2, 0, 8], "LUTData": b"\x00\x00\xff\x00"}
    (frame,) = process_dicom(make_dicom(tmp_path / "a.dcm", pixels, VOILUTSequence=[table]), size=16)
    assert frame.array[:4, 0].tolist() == [0, 255, 255, 0]


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.uint64, np.int64])
def test_deep_integers(tmp_path: Path, dtype: type) -> None:
    low = -1_000_000 if np.dtype(dtype).kind == "i" else 0
    pixels = np.linspace(low, 2_000_000, 64 * 64).reshape(64, 64).astype(dtype)
    (frame,) = process_dicom(make_dicom(tmp_path / "a.dcm", pixels), size=64)
    assert frame.array[0, 0] == 0
    assert frame.array[-1, -1] == 255
    assert abs(int(frame.array[32, 0]) - 128) <= 2


@pytest.mark.parametrize("rows", [7, 9])
def test_masks_of_single_bits(tmp_path: Path, rows: int) -> None:
    masks = np.random.default_rng(4).integers(0, 2, (6, rows, 9)).astype(bool)  # frames begin within bytes
    frames = process_dicom(make_dicom(tmp_path / "a.dcm", masks), size=9)
    top = (9 - rows) // 2
    for frame, mask in zip(frames, masks, strict=True):
        np.testing.assert_array_equal(frame.array[top : top + rows], mask * 255)


# Color and encodings

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("color", [False, True])
def test_encodings_draw_the_same(tmp_path: Path, syntax: str, dtype: type, color: bool) -> None:
    shape = (2, 15, 15, 3) if color else (2, 15, 15)
    pixels = np.random.default_rng(6).integers(0, 256, shape).astype(dtype)
    depth = 8 * pixels.itemsize
    window = {} if color else {"WindowCenter": 2 ** (depth - 1), "WindowWidth": 2**depth}
    frames = process_dicom(
        make_dicom(tmp_path / "a.dcm", pixels, transfer_syntax=syntax, **window), size=15, depth=depth
    )
    for frame, reference in zip(frames, pixels, strict=True):
        np.testing.assert_array_equal(frame.array, reference)


COLORS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 100, 50]]], np.uint8)


def ybr_full(rgb: Any) -> Any:
    """PS3.3 C.7.6.3.1.2."""
    matrix = [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]]
    return np.clip(np.rint(rgb @ np.array(matrix).T + [0, 128, 128]), 0, 255).astype(np.uint8)


def ybr_partial(rgb: Any) -> Any:
    matrix = [[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]]
    return np.rint(rgb @ np.array(matrix).T + [16, 128, 128]).astype(np.uint8)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize(("label", "convert"), [("RGB", lambda rgb: rgb), ("YBR_FULL", ybr_full)])
def test_colors_arrive(tmp_path: Path, label: str, convert: Any, planar: int) -> None:
    blocks = COLORS.repeat(4, axis=1).repeat(16, axis=0)
    pixels = convert(blocks)
    stored = np.moveaxis(pixels, -1, 0) if planar else pixels
    path = make_dicom(
        tmp_path / "a.dcm",
        pixels,
        PhotometricInterpretation=label,
        PlanarConfiguration=planar,
        PixelData=stored.tobytes(),
    )
    (frame,) = process_dicom(path, size=16)
    np.testing.assert_allclose(frame.array.astype(int), blocks, atol=3)


@pytest.mark.parametrize(("label", "convert"), [("YBR_FULL_422", ybr_full), ("YBR_PARTIAL_422", ybr_partial)])
def test_subsampled_colors_arrive(tmp_path: Path, label: str, convert: Any) -> None:
    ybr = convert(COLORS[0])
    row = b"".join(bytes([y, y, cb, cr]) for y, cb, cr in ybr.tolist())
    path = make_dicom(
        tmp_path / "a.dcm", np.zeros((8, 8, 3), np.uint8), PhotometricInterpretation=label, PixelData=row * 8
    )
    (frame,) = process_dicom(path, size=8)
    np.testing.assert_allclose(frame.array[0, ::2].astype(int), COLORS[0], atol=3)


def test_colors_of_12_bits_fill_the_range(tmp_path: Path) -> None:
    pixels = np.tile(np.array([4095, 2048, 0], np.uint16), (8, 8, 1))
    path = make_dicom(tmp_path / "a.dcm", pixels, color=True, BitsStored=12, HighBit=11)
    assert process_dicom(path, size=8)[0].array[0, 0].tolist() == [255, 128, 0]
    assert process_dicom(path, size=8, depth=16)[0].array[0, 0].tolist() == [65535, 32776, 0]


def test_color_profiles_are_applied_where_they_can_be(tmp_path: Path) -> None:
    pixels = np.random.default_rng(9).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")
    drawn = {}
    for name, profile in {"none": None, "srgb": srgb, "swapped": swapped, "broken": b"no profile"}.items():
        path = make_dicom(tmp_path / f"{name}.dcm", pixels, color=True, ICCProfile=profile)
        (drawn[name],) = process_dicom(path, size=8)
    np.testing.assert_array_equal(drawn["none"].array, pixels)
    np.testing.assert_array_equal(drawn["broken"].array, pixels)
    np.testing.assert_allclose(drawn["srgb"].array.astype(int), pixels, atol=1)
    np.testing.assert_allclose(drawn["swapped"].array.astype(int), pixels[..., ::-1], atol=1)
    said = {name: frame.transform["intensity"].get("icc", "") for name, frame in drawn.items()}
    assert said["swapped"] == "to sRGB"
    assert "cannot be applied" in said["broken"]
    assert not said["none"]


def test_compressed_frames_in_several_fragments(tmp_path: Path) -> None:
    pixels = np.random.default_rng(8).integers(0, 4096, (3, 32, 32)).astype(np.uint16)
    streams = [imagecodecs.jpeg2k_encode(p, reversible=True, codecformat="j2k", bitspersample=12) for p in pixels]
    path = make_dicom(
        tmp_path / "a.dcm", pixels, transfer_syntax=JPEG2000Lossless, codestreams=streams, BitsStored=12, HighBit=11,
        WindowCenter=2048, WindowWidth=4096,
    )  # fmt: skip
    for frame, reference in zip(process_dicom(path, size=32), pixels, strict=True):
        np.testing.assert_allclose(frame.array, reference / 4095 * 255, atol=0.51)


# Failures


@pytest.mark.parametrize("path", sorted(p for p, row in REFERENCE.items() if row.error_code and "TINY" not in p))
def test_bad_files_raise_the_code_that_a_run_records(path: str) -> None:
    assert failure(FOLDER / path).code == REFERENCE[path].error_code


def test_other_files_are_not_dicom(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    assert failure(tmp_path / "notes.txt").code == ErrorCode.NOT_DICOM
    assert failure(tmp_path / "absent.dcm").code == ErrorCode.UNREADABLE
    assert failure(tmp_path).code == ErrorCode.UNREADABLE


def test_an_unsupported_syntax_is_named(tmp_path: Path) -> None:
    error = failure(make_dicom(tmp_path / "a.dcm", transfer_syntax="1.2.840.10008.1.2.4.94", codestreams=[b"\0\0"]))
    assert error.code == ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX
    assert "JPIP Referenced" in error.detail
    assert "1.2.840.10008.1.2.4.94" in error.detail


def test_a_frame_that_is_cut_raises_unless_it_is_left_out(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", np.ones((4, 16, 16), np.uint8))
    path.write_bytes(path.read_bytes()[:-100])
    assert failure(path).code == ErrorCode.TRUNCATED
    assert len(process_dicom(path, frames="first")) == 1


def test_a_damaged_codestream_in_a_good_file(tmp_path: Path) -> None:
    good = imagecodecs.jpeg8_encode(np.full((16, 16), 90, np.uint8))
    pixels = np.zeros((3, 16, 16), np.uint8)
    path = make_dicom(tmp_path / "a.dcm", pixels, transfer_syntax=JPEGBaseline8Bit, codestreams=[good, good[:-2], good])
    assert failure(path).code == ErrorCode.TRUNCATED
    assert [int(frame.array[8, 8]) for frame in process_dicom(path, frames="every=2")] == [90, 90]


def test_memory_is_bounded(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", Rows=8000, Columns=8000)
    assert failure(path, max_memory=64).code == ErrorCode.LIMIT_EXCEEDED
    assert failure(path).code == ErrorCode.TRUNCATED


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "Columns": 47,
            "SamplesPerPixel": 3,
            "PhotometricInterpretation": "YBR_FULL_422",
            "BitsAllocated": 8,
            "BitsStored": 8,
        },
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "Rows": 16, "PixelRepresentation": 1},
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"PhotometricInterpretation": "YBR_FULL"},
        {"PixelRepresentation": None, "HighBit": None, "BitsStored": None, "WindowCenter": [], "WindowWidth": 1},
        {"WindowCenter": 40, "WindowWidth": 0, "VOILUTFunction": "OTHER"},
        {"RescaleSlope": "1e308", "RescaleIntercept": "1e308"},
        {"RescaleSlope": "nan", "WindowCenter": 40, "WindowWidth": 80},
        {"RescaleSlope": "1", "RescaleIntercept": "inf"},
        {"VOILUTSequence": [{"LUTDescriptor": [2, 0], "LUTData": b"\0\0\1\0"}]},
        {"VOILUTSequence": [{"LUTDescriptor": [2, 0, 16], "LUTData": b""}]},
        {"ModalityLUTSequence": [{"LUTDescriptor": [2, 0, 99], "LUTData": b"\0\0\1\0"}]},
        {"PixelPaddingValue": [1, 2]},
        {"PixelSpacing": ["nan", "1"]},
        {"PixelAspectRatio": [0, 0]},
        {"NumberOfFrames": 3},
        {"NumberOfFrames": 0},
        {"PerFrameFunctionalGroupsSequence": []},
        {"SharedFunctionalGroupsSequence": [{"FrameVOILUTSequence": []}]},
    ],
    ids=lambda attributes: "-".join(attributes)[:60],
)
def test_contradictions_end_in_an_image_or_an_input_error(tmp_path: Path, attributes: dict[str, Any]) -> None:
    path = make_dicom(tmp_path / "a.dcm", **attributes)
    try:
        frames = process_dicom(path)
    except InputError as error:
        assert error.code in ("corrupt_header", "unsupported_pixels", "truncated", "corrupt_pixels")
        assert len(error.detail) > 10
    else:
        assert all(frame.array.shape[:2] == (224, 224) for frame in frames)
        assert all(json.dumps(dict(frame.transform), allow_nan=False) for frame in frames)


def test_colors_of_single_bits_are_unsupported(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", np.zeros((8, 8, 3), np.uint8), color=True, BitsAllocated=1, BitsStored=1)
    error = failure(path)
    assert error.code == ErrorCode.UNSUPPORTED_PIXELS
    assert "Bits Allocated (0028,0100) 1" in error.detail


@pytest.mark.parametrize("bits", [1, 8, 16, 32, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_pixels_are_drawn_as_what_they_are_or_refused(tmp_path: Path, dtype: type, bits: int) -> None:
    """Their element says how long they are; Bits Allocated can only contradict it."""
    pixels = np.linspace(-5, 5, 256).reshape(16, 16).astype(dtype)
    path = make_dicom(tmp_path / "a.dcm", pixels, BitsAllocated=bits, WindowCenter=0.5, WindowWidth=11)
    try:
        (frame,) = process_dicom(path, size=16)
    except InputError as error:
        assert error.code in ("corrupt_header", "unsupported_pixels")
        assert "Bits Allocated (0028,0100)" in error.detail
        assert bits != 8 * pixels.itemsize
    else:
        np.testing.assert_allclose(frame.array, (pixels / 10 + 0.5) * 255, atol=0.51)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 7},
        {"depth": 12},
        {"fit": "squeeze"},
        {"window": "spleen"},
        {"window": "lung,bone"},
        {"window": "40/0"},
        {"frames": "last"},
        {"frames": "every=0"},
        {"color": True},
    ],
)
def test_wrong_options_are_refused_before_any_work(tmp_path: Path, options: dict[str, Any]) -> None:
    name, value = next(iter(options.items()))
    with pytest.raises(ConfigError, match=name if name == "color" else f"--{name} .*{value}|--{name} "):
        process_dicom(tmp_path / "absent.dcm", **options)
