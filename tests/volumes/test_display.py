"""`dicomprep.volume`: slices in their order, and reasons where there is no volume."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import generate_uid

import dicomprep
from dicomprep.exchange.options import ExportOptions
from dicomprep.exchange.pseudonyms import Pseudonyms
from dicomprep.exchange.rows import read_rows
from dicomprep.pixels.geometry import plan_geometry, to_source, to_thumbnail
from dicomprep.pixels.sizes import Size
from dicomprep.pixels.stacking import compute_affine, compute_shear, find_odd_step, is_even, orient_as_drawn
from tests.building import make_dicom
from tests.running import SIZE, Place

WINDOW = {"WindowCenter": 500, "WindowWidth": 1000}


def make_series(place: Place, count: int = 4, *, changes: dict[int, dict[str, Any]] | None = None) -> str:
    """Slices 2 mm apart whose gray says which they are, in files whose names say nothing of it; the series' UID."""
    uid = generate_uid(entropy_srcs=["volume"])
    for number in range(count):
        attributes: dict[str, Any] = {
            "SeriesInstanceUID": uid,
            "InstanceNumber": number + 1,
            "ImagePositionPatient": [0, 0, 2.0 * number],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [0.5, 0.5],
            **WINDOW,
        }
        attributes |= (changes or {}).get(number, {})
        pixels = attributes.pop("pixels", np.full((32, 32), 100 * number, np.uint16))
        make_dicom(place.source / f"s/{(number * 7) % 10}.dcm", pixels, **attributes)
    place.run()
    return uid


def test_slices_are_stacked_in_their_order(tmp_path: Path) -> None:
    place = Place(tmp_path)
    uid = make_series(place)
    volume = dicomprep.volume(uid, db=place.db)
    assert volume.array.shape == (4, SIZE, SIZE)
    means = volume.array.reshape(4, -1).mean(1)
    assert (np.diff(means) > 0).all()
    assert len(volume.filenames) == 4
    assert volume.positions_mm.tolist() == [0, 2, 4, 6]
    assert volume.spacing_mm == (2.0, 1.0, 1.0)
    assert volume.orientation.tolist() == [[1, 0, 0], [0, 1, 0]]
    with pytest.raises(dicomprep.ExportError, match="contains no series"):
        dicomprep.volume("1.2", db=place.db)


def test_a_series_is_found_by_its_pseudonym(tmp_path: Path) -> None:
    place = Place(tmp_path)
    uid = make_series(place)
    pseudonyms = Pseudonyms(place.workspace.key)
    key = read_rows(place.workspace, ExportOptions(), pseudonyms).value("series_key", 0)
    assert (dicomprep.volume(key, db=place.db).array == dicomprep.volume(uid, db=place.db).array).all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"pixels": np.zeros((16, 32), np.uint16)},
            "differ in shape: .*16×32",
        ),
        ({"WindowWidth": 900}, "differ in window: .*--window CENTER/WIDTH"),
        ({"InstanceNumber": 1, "ImagePositionPatient": [0, 0, 0]}, "Instance Number 1 and|the same position"),
        ({"ImagePositionPatient": [0, 0, 3.0]}, "is [13].00 mm, elsewhere"),
        ({"PixelSpacing": [0.7, 0.7]}, "differ in spacing"),
        (
            {
                "ImageOrientationPatient": [0, 1, 0, 0, 0, 1],
                "ImagePositionPatient": [2.0, 0, 0],
            },
            "differ in orientation",
        ),
    ],
)
def test_what_is_no_volume_is_refused_with_the_reason(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    place = Place(tmp_path)
    uid = make_series(place, changes={1: changes})
    with pytest.raises(dicomprep.ExportError, match=f"is not a volume: .*({reason})"):
        dicomprep.volume(uid, db=place.db)


def test_rescaling_may_differ_from_slice_to_slice(tmp_path: Path) -> None:
    place = Place(tmp_path)
    uid = make_series(place, changes={1: {"RescaleSlope": 2, "RescaleIntercept": 0}})
    assert dicomprep.volume(uid, db=place.db).array.shape[0] == 4


def test_planes_may_jitter_as_scanners_write_them(tmp_path: Path) -> None:
    place = Place(tmp_path)
    uid = make_series(place, changes={1: {"ImageOrientationPatient": [0.99999996, 0.00021, 0, 0, 1, 0]}})
    assert dicomprep.volume(uid, db=place.db).array.shape[0] == 4


def test_frames_of_one_file_are_slices(tmp_path: Path) -> None:
    place = Place(tmp_path)
    pixels = np.arange(5, dtype=np.uint16)[:, None, None] * np.full((5, 8, 8), 10, np.uint16)
    make_dicom(place.source / "cine.dcm", pixels, SeriesInstanceUID="1.2.3", **WINDOW)
    place.run()
    volume = dicomprep.volume("1.2.3", db=place.db)
    assert [name[-1] for name in volume.filenames] == list("01234")
    assert volume.spacing_mm[0] is None
    assert volume.orientation is None


AXIAL, CORONAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]
OBLIQUE = [1, 0, 0, 0, 0.8, -0.6]


def make_stack(place: Place, origins: list[list[float]], cosines: list[float], **attributes: Any) -> str:
    changes = {
        number: {"ImagePositionPatient": origin, "ImageOrientationPatient": cosines, **attributes}
        for number, origin in enumerate(origins)
    }
    return make_series(place, len(origins), changes=changes)


@pytest.mark.parametrize(
    ("step", "cosines", "shear"),
    [
        ([0, 0, 2.0], AXIAL, (0, 0)),
        ([0, 0, 2.0], OBLIQUE, (-1.2, 0)),
        ([0, 1.2, 1.6], OBLIQUE, (0, 0)),
        ([0, 2.0, 0.7], CORONAL, (-0.7, 0)),
        ([-2.0, 0.5, 0], SAGITTAL, (0, 0.5)),
        ([0.3, 0, 2.0], AXIAL, (0, 0.3)),
        ([0, 0, -2.0], AXIAL, (0, 0)),
    ],
)
def test_the_affine_leads_where_headers_say(
    tmp_path: Path, step: list[float], cosines: list[float], shear: tuple[float, float]
) -> None:
    """PS3.3 C.7.6.2.1.1, as SimpleITK has it; slices are half as large as their sources and begin in their corner."""
    place = Place(tmp_path)
    origins = (np.array([-20.0, 7, 3]) + np.arange(5)[:, None] * np.array(step)).round(6)
    uid = make_stack(place, origins.tolist(), cosines)
    volume = dicomprep.volume(uid, db=place.db)
    row, column = np.array(cosines).reshape(2, 3)
    ordered = origins[np.argsort(origins @ np.cross(row, column))]
    assert volume.origins_mm == pytest.approx(ordered, abs=1e-3)
    assert volume.shear_mm == pytest.approx(shear, abs=1e-3)
    scale = 32 / SIZE
    for at in ((0, 0, 0), (4, 0, 0), (2, 3, 5)):
        source = (np.array(at[1:]) + 0.5) * scale - 0.5
        expected = ordered[at[0]] + 0.5 * (source[1] * row + source[0] * column)
        assert (volume.affine @ [*at, 1])[:3] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("flipped", [(False, True), (True, False), (True, True)])
def test_flipped_slices_lead_where_headers_say(flipped: tuple[bool, bool]) -> None:
    """Of a tilted stack: the same point of the patient, whichever way its thumbnails are drawn."""
    cosines = np.array([[1.0, 0, 0], [0, 0.8, -0.6]])
    origins = np.array([[-10.0, 5, 20], [-10, 6, 23], [-10, 7, 26]])
    plans = [
        plan_geometry((40, 30), aspect=1.5, size=Size((50, 64)), fit="pad", region=(2, 3, 37, 29), flipped=one)
        for one in ((False, False), flipped)
    ]
    plain, turned = (compute_affine(origins, cosines, (0.6, 0.4), plan) for plan in plans)
    for at in ([3.0, 4.0], [20.0, 11.5]):
        there = to_thumbnail(to_source([at], plans[0]), plans[1])[0] - 0.5
        np.testing.assert_allclose(turned @ [1, *there, 1], plain @ [1, at[0] - 0.5, at[1] - 0.5, 1], atol=1e-9)
    drawn = orient_as_drawn(cosines, plans[1])
    for axis, column in ((1, 0), (0, 1)):  # a step along a row is one column further
        step = turned[:3, 2 - column]
        np.testing.assert_allclose(drawn[column], step / np.linalg.norm(step), atol=1e-9)
        assert (drawn[column] == cosines[column] * (-1 if flipped[axis] else 1)).all()
    assert compute_shear(origins, drawn) == pytest.approx(
        tuple(x * (-1 if f else 1) for x, f in zip(compute_shear(origins, cosines), flipped, strict=True))
    )


def test_one_slice_has_an_affine_and_no_spacing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    volume = dicomprep.volume(make_stack(place, [[1, 2, 3]], CORONAL), db=place.db)
    assert volume.spacing_mm[0] is None
    assert volume.affine[:3, 0].tolist() == [0, 1, 0]
    assert volume.shear_mm == (0, 0)


def test_what_earlier_releases_recorded_is_a_volume_without_affine(tmp_path: Path) -> None:
    place = Place(tmp_path)
    uid = make_series(place)
    place.execute("UPDATE frames SET image_position = NULL")
    volume = dicomprep.volume(uid, db=place.db)
    assert volume.positions_mm.tolist() == [0, 2, 4, 6]
    assert (volume.affine, volume.origins_mm, volume.shear_mm) == (None, None, None)


@pytest.mark.parametrize(
    "shifts", [[0, 40, 0, 40, 0], [0, 0, 0, 7, 7], [0, 1.3, -0.4, 0.9, 2.2], [0, 0, 0.3, 0, 0], [0, 1, 2, 3, 5]]
)
@pytest.mark.parametrize("axis", [0, 1])
def test_origins_that_jump_sideways_are_refused(tmp_path: Path, shifts: list[float], axis: int) -> None:
    place = Place(tmp_path)
    origins = [[0.0, 0.0, 2.0 * number] for number in range(5)]
    for origin, shift in zip(origins, shifts, strict=True):
        origin[axis] = shift
    with pytest.raises(dicomprep.ExportError, match=r"Image Position moves by .* mm, elsewhere by"):
        dicomprep.volume(make_stack(place, origins, AXIAL), db=place.db)


@pytest.mark.parametrize("step", [1.25, 0.625, 3.33, 5.0])
def test_positions_rounded_to_a_tenth_are_even(step: float) -> None:
    exact = np.arange(60) * step + 0.017
    positions = exact.round(1)
    assert is_even(positions)
    assert is_even(np.stack([exact, exact * 0.31, -exact], axis=1).round(1))
    missing, half = np.delete(positions, 30), positions + np.where(np.arange(60) > 30, step / 2, 0)
    assert not is_even(missing)
    assert not is_even(half)
    assert find_odd_step(missing)[0] == 29


@pytest.mark.parametrize("positions", [[0, 2, 6], [0, 2, 5], [0, 4, 6, 8], [0, 0.4, 1.0], [0, 3, 5]])
def test_missing_slices_and_halves_are_found_in_the_shortest_stacks(positions: list[float]) -> None:
    assert not is_even(np.array(positions, float))


def test_rounded_positions_make_a_volume(tmp_path: Path) -> None:
    place = Place(tmp_path)
    origins = [[0.0, 0.0, round(1.25 * number + 0.01, 1)] for number in range(8)]
    volume = dicomprep.volume(make_stack(place, origins, AXIAL), db=place.db)
    assert volume.spacing_mm[0] == pytest.approx(1.25, abs=0.02)


def test_frames_of_one_file_each_say_where_they_are(tmp_path: Path) -> None:
    place = Place(tmp_path)

    def enhanced(name: str, uid: str, origins: list[list[float]]) -> None:
        groups = [{"PlanePositionSequence": [{"ImagePositionPatient": origin}]} for origin in origins]
        shared = {
            "PlaneOrientationSequence": [{"ImageOrientationPatient": AXIAL}],
            "PixelMeasuresSequence": [{"PixelSpacing": [1, 1]}],
        }
        make_dicom(
            place.source / name,
            np.zeros((len(origins), 8, 8), np.uint16),
            SeriesInstanceUID=uid,
            PerFrameFunctionalGroupsSequence=groups,
            SharedFunctionalGroupsSequence=[shared],
            **WINDOW,
        )

    enhanced("sheared.dcm", "1.2.3", [[0, 1.0 * k, 3.0 * k] for k in (3, 2, 1, 0)])
    enhanced("jumps.dcm", "1.2.4", [[9 * (k % 2), 0, 3.0 * k] for k in range(4)])
    place.run()
    volume = dicomprep.volume("1.2.3", db=place.db)
    assert volume.shear_mm == pytest.approx((1, 0))
    assert volume.origins_mm.tolist() == [[0, k, 3 * k] for k in range(4)]
    with pytest.raises(dicomprep.ExportError, match="Image Position moves"):
        dicomprep.volume("1.2.4", db=place.db)


@pytest.mark.parametrize("broken", [1, 3])
def test_a_series_of_which_a_file_failed_is_no_shorter_volume(tmp_path: Path, broken: int) -> None:
    place = Place(tmp_path)
    uid = make_series(place)
    path = place.source / f"s/{(broken * 7) % 10}.dcm"
    path.write_bytes(path.read_bytes()[:-1500])
    place.run()
    with pytest.raises(
        dicomprep.ExportError, match=rf"{(broken * 7) % 10}\.dcm \(Instance Number {broken + 1}\) failed: "
    ):
        dicomprep.volume(uid, db=place.db)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"EchoTime": 9.2}, "echo_time_ms None and 9.2|echo_time_ms 9.2 and None"),
        ({"AcquisitionNumber": 2}, "acquisition_number (None and 2|2 and None)"),
        ({"TemporalPositionIdentifier": 2}, "several time points"),
        ({}, "instance_number [12] and [12]"),
    ],
)
def test_what_divides_slices_at_one_place_is_said(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    place = Place(tmp_path)
    uid = make_series(place, changes={1: {"ImagePositionPatient": [0, 0, 0], **changes}})
    with pytest.raises(dicomprep.ExportError, match=rf"the same position \(.*({said})"):
        dicomprep.volume(uid, db=place.db)
