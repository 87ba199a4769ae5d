"""What headers say of a picture's place and side, and what is made of it through the pipeline."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1

import dicomprep
from dicomprep.config import ImageOptions
from dicomprep.pixels.transform import Transform
from tests.building import make_dicom
from tests.pixels.drawing_bodies import Drawn, draw_breast
from tests.running import cli

DEEP = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 2048, "WindowWidth": 4096}
CONTENT: dict[str, Any] = {"size": "native", "crop": "content"}


def draw(path: Path, **options: Any) -> dicomprep.Processed:
    return dicomprep.process_dicom(path, **options)[0]


@pytest.fixture(scope="module")
def breast() -> Drawn:
    """A right one: its chest wall is on the right."""
    found = next(one for seed in range(20) if (one := draw_breast(np.random.default_rng(seed))).is_right)
    assert found.pixels.dtype == np.uint16
    return found


def make_breast(folder: Path, breast: Drawn, **attributes: Any) -> Path:
    return make_dicom(folder / "breast.dcm", breast.pixels, **{"Modality": "MG", **DEEP, **attributes})


@pytest.mark.parametrize("syntax", [None, JPEGLosslessSV1, JPEG2000Lossless])
def test_a_breast_is_cut_out_the_same_whatever_its_codec(tmp_path: Path, breast: Drawn, syntax: str | None) -> None:
    encoders = {JPEGLosslessSV1: imagecodecs.ljpeg_encode, JPEG2000Lossless: imagecodecs.jpeg2k_encode}
    options: dict[Any, Any] = {
        JPEGLosslessSV1: {"bitspersample": 12},
        JPEG2000Lossless: {"codecformat": "j2k", "level": 0, "bitspersample": 12},
    }
    path = make_breast(tmp_path, breast)
    if syntax is not None:
        streams = [bytes(encoders[syntax](breast.pixels, **options[syntax]))]
        path = make_breast(tmp_path, breast, transfer_syntax=syntax, codestreams=streams)
    whole, cropped = draw(path, size="native"), draw(path, **CONTENT)
    top, left, bottom, right = cropped.to_source([[0, 0, *cropped.array.shape]])[0].astype(int)
    assert not breast.marker[top:bottom, left:right].any()
    assert breast.tissue[top:bottom, left:right].sum() == breast.tissue.sum()
    assert np.array_equal(cropped.array, whole.array[top:bottom, left:right])


def make_coded_breast(folder: Path, breast: Drawn, *, noise: float = 0) -> Path:
    """In JPEG 2000."""
    noisy = breast.pixels + np.random.default_rng(0).normal(0, noise, breast.pixels.shape)
    pixels = noisy.clip(0, 4095).astype(np.uint16)
    stream = bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", level=0, bitspersample=12))
    return make_breast(folder, breast, transfer_syntax=JPEG2000Lossless, codestreams=[stream])


@pytest.mark.parametrize(("noise", "is_soft"), [(0, True), (20, True), (500, False)])
def test_crops_of_soft_pictures_are_decoded_at_half_their_rows(
    tmp_path: Path, breast: Drawn, noise: int, is_soft: bool
) -> None:
    path = make_coded_breast(tmp_path, breast, noise=noise)
    size = round(max(draw(path, **CONTENT).array.shape) / 2.4)
    high, exact = (draw(path, crop="content", size=size, fidelity=fidelity) for fidelity in ("high", "exact"))
    assert high.transform.geometry == exact.transform.geometry
    assert (high.transform.decoded.reduction == 2) == is_soft
    assert np.square(high.array.astype(float) - exact.array).mean() <= 255**2 / 10**4  # 40 dB
    assert draw(path, size=size).transform.decoded.reduction == 1


def test_damage_is_found_where_a_crop_is_looked_for(tmp_path: Path, breast: Drawn) -> None:
    path = make_coded_breast(tmp_path, breast)
    content = bytearray(path.read_bytes())
    content[-40_000:-39_000] = bytes(1000)
    path.write_bytes(content)
    with pytest.raises(dicomprep.InputError, match="consecutive zero bytes"):
        draw(path, crop="content", size=96)


@pytest.mark.parametrize(
    ("said", "mirrored"),
    [
        ({"ImageLaterality": "R"}, True),
        ({"Laterality": "R"}, True),
        ({"ImageLaterality": "L"}, False),  # which its picture contradicts
        ({"PatientOrientation": ["P", "L"]}, True),
        ({"PatientOrientation": ["P", "FR"], "ImageLaterality": "L"}, True),
        ({"PatientOrientation": ["A", "R"], "ImageLaterality": "R"}, False),
        ({}, False),
    ],
)
def test_chest_walls_come_to_the_left(tmp_path: Path, breast: Drawn, said: dict[str, Any], mirrored: bool) -> None:
    path = make_breast(tmp_path, breast, **said)
    whole, oriented = draw(path, size="native"), draw(path, size="native", orient=True)
    assert np.array_equal(oriented.array, whole.array[:, ::-1] if mirrored else whole.array)
    assert oriented.to_source([[0, 0]])[0].tolist() == [0, breast.pixels.shape[1] if mirrored else 0]


def test_a_left_breast_that_is_called_right_stays(tmp_path: Path, breast: Drawn) -> None:
    left = Drawn(np.ascontiguousarray(breast.pixels[:, ::-1]), breast.tissue[:, ::-1], breast.marker[:, ::-1])
    path = make_breast(tmp_path, left, ImageLaterality="R")
    assert draw(path, size=64, orient=True).transform.geometry.flipped == (False, False)


@pytest.mark.parametrize(
    ("directions", "flipped"),
    [
        (["L", "F"], (False, False)), (["R", "H"], (True, True)), (["L", "H"], (True, False)),
        (["A", "HL"], (True, True)), (["R", "F"], (False, False)), (["H", "L"], (False, False)),
        (["", ""], (False, False)), (["L"], (False, False)),
    ],
)  # fmt: skip
def test_radiographs_are_turned_upright(tmp_path: Path, directions: list[str], flipped: tuple[bool, bool]) -> None:
    path = make_dicom(tmp_path / "a.dcm", Modality="DX", PatientOrientation=directions, **DEEP)
    assert draw(path, size=32, orient=True).transform.geometry.flipped == flipped
    section = make_dicom(tmp_path / "b.dcm", Modality="CT", PatientOrientation=directions, **DEEP)
    assert draw(section, size=32, orient=True).transform.geometry.flipped == (False, False)


def region(top: int, left: int, bottom: int, right: int, kind: int = 1) -> dict[str, int]:
    """An item of Sequence of Ultrasound Regions; its edges are in it."""
    return {
        "RegionLocationMinY0": top, "RegionLocationMinX0": left, "RegionLocationMaxY1": bottom,
        "RegionLocationMaxX1": right, "RegionDataType": kind,
    }  # fmt: skip


def make_ultrasound(path: Path, **attributes: Any) -> Path:
    picture = (30 + np.add.outer(np.arange(300) % 61, np.arange(400) % 83) // 2).astype(np.uint8)
    picture[:40] = 0
    cv2.putText(picture, "DOE, JANE 1964", (10, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 1, cv2.LINE_AA)
    regions = [region(40, 20, 279, 359), region(60, 370, 200, 380, kind=14)]
    return make_dicom(path, picture, **{"Modality": "US", "SequenceOfUltrasoundRegions": regions, **attributes})


def test_ultrasound_is_cut_to_its_regions_and_writing_beside_them_is_black(tmp_path: Path) -> None:
    path = make_ultrasound(tmp_path / "us.dcm")
    whole, cropped = draw(path, size="native"), draw(path, **CONTENT)
    assert np.array_equal(cropped.array, whole.array[40:280, 20:360])
    blanked = draw(path, size="native", blank_text=True)
    expected = np.zeros_like(whole.array)
    for rows, columns in ((slice(40, 280), slice(20, 360)), (slice(60, 201), slice(370, 381))):
        expected[rows, columns] = whole.array[rows, columns]
    assert np.array_equal(blanked.array, expected)
    assert Transform.from_json(blanked.transform.to_json()).blanked == blanked.transform.blanked != ()


def test_a_shutter_is_taken_unless_the_picture_lies_elsewhere(tmp_path: Path) -> None:
    edges = {
        "ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 20, "ShutterRightVerticalEdge": 181,
        "ShutterUpperHorizontalEdge": 10, "ShutterLowerHorizontalEdge": 191,
    }  # fmt: skip
    noise = np.random.default_rng(0).integers(0, 4095, (200, 200)).astype(np.uint16)
    path = make_dicom(tmp_path / "a.dcm", noise, Modality="DX", **DEEP, **edges)
    assert draw(path, **CONTENT).array.shape == (180, 160)
    elsewhere = np.zeros((800, 800), np.uint16)
    elsewhere[300:700, 300:700] = 2000
    path = make_dicom(tmp_path / "b.dcm", elsewhere, Modality="DX", **DEEP, **edges)
    assert draw(path, **CONTENT).transform.to_thumbnail([[300, 300]]).min() > 0
    assert draw(path, **CONTENT).array.shape[0] < 450


def test_frames_of_a_file_share_their_crop_and_masks_are_never_cropped(tmp_path: Path) -> None:
    stack = np.zeros((3, 300, 300), np.uint16)
    for index in range(3):
        stack[index, 100 - 20 * index : 200, 100 : 200 + 20 * index] = 900
    path = make_dicom(tmp_path / "mr.dcm", stack, Modality="MR", **DEEP)
    shapes = {(f.array.shape, f.transform.geometry.crop_origin) for f in dicomprep.process_dicom(path, **CONTENT)}
    assert len(shapes) == 1
    ((_, (top, left)),) = shapes
    assert 50 < top < 60
    assert 90 < left < 100
    mask = make_dicom(tmp_path / "seg.dcm", stack, Modality="SEG", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", **DEEP)
    assert draw(mask, **CONTENT).array.shape == (300, 300)


def test_the_summary_counts_and_blanked_banners_are_no_risk(tmp_path: Path, breast: Drawn) -> None:
    data = tmp_path / "data"
    make_breast(data / "a", breast, ImageLaterality="R")
    noise = np.random.default_rng(0).integers(0, 4095, (300, 300)).astype(np.uint16)
    make_dicom(data / "b" / "noise.dcm", noise, **DEEP)
    make_ultrasound(data / "c" / "us.dcm")
    options = ("--crop", "content", "--orient", "--blank-text", "--size", "64x32", "--workers", 1)
    done = cli(tmp_path, "preprocess", data, *options)
    text = " ".join(done.stdout.split())
    assert "cropped to content: 2 of 3 images; 1 kept whole: 1 (no even background at the border)" in text
    assert "oriented: 1 image flipped or turned" in text
    assert "writing blanked in" in text
    with closing(sqlite3.connect(tmp_path / "dicomprep.db")) as database:
        reasons = database.execute("SELECT burned_in_reasons FROM tags WHERE burned_in_reasons IS NOT NULL").fetchall()
    assert reasons
    assert not any("banner" in reason or "text" in reason for (reason,) in reasons)
    again = cli(tmp_path, "preprocess", data, *options)
    assert "3 unchanged" in again.stdout


def test_data_sets_made_before_keep_their_images() -> None:
    plain = ImageOptions()
    assert ImageOptions(crop="none", orient=False, crop_margin=2.0).fingerprint() == plain.fingerprint()  # type: ignore[arg-type]
    others = [ImageOptions(crop="content"), ImageOptions(orient=True), ImageOptions(blank_text=True)]  # type: ignore[arg-type]
    assert len({plain.fingerprint(), *(one.fingerprint() for one in others)}) == 4
    for wrong in ({"crop": "body"}, {"crop_margin": -1}, {"crop_margin": 101}):
        with pytest.raises(dicomprep.ConfigError):
            ImageOptions(**wrong)  # type: ignore[arg-type]


def test_inspect_says_what_was_cropped_and_blanked(tmp_path: Path) -> None:
    path = make_ultrasound(tmp_path / "us.dcm")
    shown = cli(tmp_path, "inspect", path, "--crop", "content", "--blank-text", "--size", "64x32").stdout
    assert "Placement" in shown
    assert "cropped" in shown
    assert "9 areas of writing" in shown


@pytest.mark.parametrize("size", ["64x32", "native", "max=50", "40"])
@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("spacing", [[0.1, 0.1], [0.3, 0.1]])
def test_points_come_back_through_crops_and_flips(
    tmp_path: Path, breast: Drawn, size: str, fit: str, spacing: list[float]
) -> None:
    path = make_breast(tmp_path, breast, ImageLaterality="R", PixelSpacing=spacing)
    drawn = draw(path, size=size, fit=fit, crop="content", orient=True, crop_margin=5)
    geometry = drawn.transform.geometry
    assert geometry.flipped == (False, True)
    top, left = geometry.crop_origin
    region = [[top, left, top + geometry.crop_shape[0], left + geometry.crop_shape[1]]]
    (shown,) = drawn.to_thumbnail(region)
    assert np.allclose(shown, [*geometry.offset, *np.add(geometry.offset, geometry.scaled_shape)], atol=1e-6)
    points = np.random.default_rng(0).uniform(0, 832, (50, 2))
    assert np.abs(drawn.to_source(drawn.to_thumbnail(points)) - points).max() < 1e-6
