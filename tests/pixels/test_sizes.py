"""Sizes and spacings: what each gives, what is refused, and what existing data sets are known by."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicomprep import ConfigError, InputError, process_dicom
from dicomprep.config import Config, ImageOptions
from tests.building import dataset_of, make_dicom
from tests.running import Place, cli


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, 224), ({"size": 64}, 64), ({"size": "64"}, 64), ({"size": "64x64"}, 64), ({"size": "512x256"}, "512x256"),
        ({"size": " 1024X512"}, "1024x512"), ({"size": "1024×512"}, "1024x512"), ({"size": "native"}, "native"),
        ({"size": "max=1536"}, "max=1536"), ({"spacing": 0.2}, "native"), ({"spacing": 0.2, "size": 224}, 224),
    ],
)  # fmt: skip
def test_a_size_has_one_name(given: dict[str, Any], named: int | str) -> None:
    options = Config.of(".", **given).image
    assert (options.size, options.spacing) == (named, given.get("spacing"))
    assert Config.of(".", **{**given, "size": named}).image == options


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"size": 7}, "--size 7: choose from 8 to 8192 pixels"),
        ({"size": "512x9000"}, "--size 512x9000: choose from 8 to 8192"),
        ({"size": "max=7"}, "--size max=7: choose from 8 to 65535"),
        ({"size": "512x"}, "--size 512x: choose a square such as 224, rows x columns such as 1024x512, max=1536 or"),
        ({"size": (512, 256)}, "choose a square such as 224"),
        ({"size": "-5"}, "--size -5: choose a square"),
        ({"size": 64.5}, "--size 64.5: choose a square"),
        ({"spacing": 0.0}, "--spacing 0.0: give mm a pixel, from 0.0001 to 100"),
        ({"spacing": float("nan")}, "--spacing nan: give mm"),
        ({"spacing": "0.2"}, "--spacing 0.2: give mm"),
        ({"spacing": 0.2, "fit": "stretch"}, "--spacing makes pixels square, --fit stretch does not"),
    ],
)
def test_what_is_no_size_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Config.of(".", **given)


@pytest.mark.parametrize(
    ("given", "known_by"),
    [
        ({}, ("3f13565e1a6bbd70", "14a4d3d9d991c738")),
        ({"size": 512}, ("c0cbea04f2d58670", "88165d8cb5e2991a")),
        (
            {"size": 64, "fit": "crop", "depth": 16, "window": "40/400", "frames": "max=3", "fidelity": "exact",
             "names": "hash"},
            ("5e3275f10665343a", "ae29f43ed00bd2ac"),
        ),
    ],
)  # fmt: skip
def test_existing_data_sets_are_known_by_what_they_were(given: dict[str, Any], known_by: tuple[str, str]) -> None:
    """Before there was a spacing: none of their files is processed again. Change it with RULES_VERSION alone."""
    assert Config.of(".", **given).fingerprint() == known_by[0]
    assert Config.of(".", tag=["KVP"], **given).fingerprint() == known_by[1]


def test_every_size_and_spacing_is_another_fingerprint() -> None:
    given = [{"size": "native"}, {"size": "max=512"}, {"size": "512x256"}, {"size": "256x512"}, {"spacing": 0.2},
             {"spacing": 0.3}, {"spacing": 0.2, "size": 512}, {"size": 512}, {}]  # fmt: skip
    assert len({ImageOptions(**one).fingerprint() for one in given}) == len(given)


@pytest.mark.parametrize(
    ("options", "shape", "drawn"),
    [  # of 300 × 200 pixels of 0.5 × 0.25 mm
        ({"size": "90x40"}, (90, 40), (90, 30)),
        ({"size": "90x40", "fit": "crop"}, (90, 40), (90, 40)),
        ({"size": "native"}, (600, 200), (600, 200)),
        ({"size": "native", "fit": "stretch"}, (300, 200), (300, 200)),
        ({"size": "max=150"}, (150, 50), (150, 50)),
        ({"size": "max=5000"}, (600, 200), (600, 200)),
        ({"spacing": 1}, (150, 50), (150, 50)),
        ({"spacing": 0.125}, (1200, 400), (1200, 400)),
        ({"spacing": 1, "size": "max=75"}, (75, 25), (75, 25)),
        ({"spacing": 1, "size": "100x80"}, (100, 80), (100, 50)),
    ],
)
@pytest.mark.parametrize("fidelity", ["high", "exact"])
def test_each_size_gives_what_it_says(
    tmp_path: Path, options: dict[str, Any], shape: tuple[int, int], drawn: tuple[int, int], fidelity: str
) -> None:
    path = make_dicom(tmp_path / "a.dcm", np.full((300, 200), 4000, np.uint16), PixelSpacing=[0.5, 0.25])
    (frame,) = process_dicom(path, window="2000/100", fidelity=fidelity, **options)
    assert frame.array.shape == frame.transform.geometry.canvas_shape == shape
    assert np.count_nonzero(frame.array) == drawn[0] * drawn[1]
    corners = np.array([[0.0, 0.0], [300.0, 200.0]])
    np.testing.assert_allclose(frame.to_source(frame.to_thumbnail(corners)), corners, atol=1e-6)


@pytest.mark.parametrize("size", ["native", "max=200"])
def test_an_image_of_its_own_size_is_the_source(tmp_path: Path, size: str) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (120, 200)).astype(np.uint8)
    (frame,) = process_dicom(make_dicom(tmp_path / "a.dcm", pixels), size=size, window="127.5/255")
    assert (frame.array.astype(int) - pixels).max() <= 1
    (labels,) = process_dicom(make_dicom(tmp_path / "b.dcm", pixels, SegmentationType="LABELMAP"), size=size)
    assert labels.array.shape == (120, 200)


@pytest.mark.parametrize("size", ["native", 64])
@pytest.mark.parametrize("color", [False, True])
def test_an_image_is_the_callers_own(tmp_path: Path, size: int | str, *, color: bool) -> None:
    pixels = np.full((64, 64, 3) if color else (64, 64), 9, np.uint8)
    path = make_dicom(tmp_path / "a.dcm", pixels, color=color)
    (frame,) = process_dicom(path, size=size)
    frame.array[:] = 0
    assert not frame.array.any()


REGION = {"RegionSpatialFormat": 1, "PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3,
          "PhysicalDeltaX": 0.05, "PhysicalDeltaY": -0.05}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "columns"),
    [
        ({"ImagerPixelSpacing": [0.25, 0.25]}, 12),
        ({"NominalScannedPixelSpacing": [0.25, 0.25]}, 12),
        ({"ImagerPixelSpacing": [0.25, 0.25], "PixelSpacing": [0.5, 0.5]}, 24),
        ({"SharedFunctionalGroupsSequence": [{"PixelMeasuresSequence": [{"PixelSpacing": [0.5, 0.5]}]}]}, 24),
        ({"SequenceOfUltrasoundRegions": [REGION, {**REGION, "RegionSpatialFormat": 3, "PhysicalDeltaX": 7}]}, 24),
        ({"SequenceOfUltrasoundRegions": [REGION, {**REGION, "PhysicalDeltaX": 0.02}]}, None),
        ({"SequenceOfUltrasoundRegions": [{**REGION, "PhysicalUnitsXDirection": 4}]}, None),
        ({"SequenceOfUltrasoundRegions": [{**REGION, "PhysicalDeltaY": 0.01}]}, None),
        ({"SequenceOfUltrasoundRegions": [{**REGION, "PhysicalDeltaX": 0.0}]}, None),
        ({"PixelAspectRatio": [1, 1]}, None),
        ({"PixelSpacing": [0, 0]}, None),
        ({"PixelSpacing": ["1e308", "1e308"]}, None),
        ({"ImagerPixelSpacing": ["1e-308", "1e-308"]}, None),
        ({"SequenceOfUltrasoundRegions": [{**REGION, "PhysicalDeltaX": float("nan")}]}, None),
        ({"SequenceOfUltrasoundRegions": [{**REGION, "PhysicalDeltaX": float("inf")}]}, None),
        ({}, None),
    ],
)
def test_the_spacing_is_what_the_header_says(tmp_path: Path, said: dict[str, Any], columns: int | None) -> None:
    path = make_dicom(tmp_path / "a.dcm", **said)
    if columns is not None:
        (frame,) = process_dicom(path, spacing=1)
        assert frame.array.shape == (columns * 64 // 48, columns)
        return
    with pytest.raises(InputError, match=r"no pixel spacing in mm in the header, which --spacing needs") as caught:
        process_dicom(path, spacing=1)
    assert caught.value.code == "no_spacing"
    assert len(process_dicom(path, size="native")) == 1


def test_a_spacing_that_makes_images_without_bounds_is_refused(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", PixelSpacing=[9000, 9000])
    with pytest.raises(InputError, match="too large; limit it with --size max=") as caught:
        process_dicom(path, spacing=0.2)
    assert caught.value.code == "limit_exceeded"
    for size, shape in (("max=300", (300, 225)), ("300x200", (300, 200))):
        (frame,) = process_dicom(path, spacing=0.2, size=size)
        assert frame.array.shape == shape


def test_a_frame_without_spacing_fails_alone(tmp_path: Path) -> None:
    measures = [{"PixelMeasuresSequence": [{"PixelSpacing": [0.5, 0.5]}]}, {}]
    pixels = np.zeros((2, 64, 48), np.uint16)
    place = Place(tmp_path)
    make_dicom(place.source / "a/x.dcm", pixels, PerFrameFunctionalGroupsSequence=[dataset_of(**m) for m in measures])
    make_dicom(place.source / "a/y.dcm", PixelSpacing=[1, 1])
    make_dicom(place.source / "a/z.dcm")
    place.run(spacing=2, size=None)
    rows = place.rows("SELECT path, status, error_code FROM inputs ORDER BY path")
    assert [(Path(path).name, *rest) for path, *rest in rows] == [
        ("x.dcm", "partial", "no_spacing"), ("y.dcm", "done", None), ("z.dcm", "failed", "no_spacing"),
    ]  # fmt: skip
    assert set(place.rows("SELECT height, width FROM images")) == {(16, 12), (32, 24)}


def test_other_sizes_are_said_and_made_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_dicom(place.source / "a/x.dcm", PixelSpacing=[1, 1])
    given = ("preprocess", "in", "--output-dir", "out", "--db", place.db, "--workers", "1")
    (place.source / "dicomprep.toml").write_text('size = "96x40"\nspacing = 2.0\n')
    assert "rendered again" not in cli(tmp_path, *given).stderr
    assert place.rows("SELECT height, width FROM images") == [(96, 40)]
    make_dicom(place.source / "a/y.dcm", PixelSpacing=[2, 1])
    said = cli(tmp_path, *given, "--size", "native")
    assert "Sizes     32 to 64 rows, 24 columns" in said.stdout
    assert "size 96x40 → native: 1 image of 1 file is rendered again" in said.stderr
    (place.source / "dicomprep.toml").unlink()
    said = cli(tmp_path, *given, "--size", "224", "--spacing", "none")
    assert "size native → 224, spacing 2.0 → none: 2 images of 2 files are rendered again" in said.stderr
    assert "rendered again" not in cli(tmp_path, *given).stderr
    shown = cli(tmp_path, "inspect", "in/a/x.dcm", "--spacing", "2", "--size", "96x40").stdout
    assert "64×48 to 32×24 (area averaging); 2 mm per pixel" in shown
    assert "at row 32, column 8 of 96×40" in shown
