"""`dicomprep.volume`: slices in their order, and reasons where there is no volume."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import generate_uid

import dicomprep
from dicomprep.export.options import ExportOptions
from dicomprep.export.pseudonyms import open_pseudonyms
from dicomprep.export.rows import read_rows
from tests.building import make_dicom
from tests.running import SIZE, Place

WINDOW = {"WindowCenter": 500, "WindowWidth": 1000}


def make_series(place: Place, count: int = 4, *, changes: dict[int, dict[str, Any]] | None = None) -> str:
    """Slices 2 mm apart whose grey says which they are, in files whose names say nothing of it; the series' UID."""
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
    with pytest.raises(dicomprep.ExportError, match="holds no series"):
        dicomprep.volume("1.2", db=place.db)


def test_a_series_is_found_by_its_pseudonym(tmp_path: Path) -> None:
    place = Place(tmp_path)
    uid = make_series(place)
    pseudonyms = open_pseudonyms(str(place.db), place.output)
    key = read_rows(str(place.db), ExportOptions(), pseudonyms).value("series_key", 0)
    assert (dicomprep.volume(key, db=place.db).array == dicomprep.volume(uid, db=place.db).array).all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"pixels": np.zeros((16, 32), np.uint16)},
            "have other shapes: .*16×32",
        ),
        ({"WindowWidth": 900}, "have other windows.*--window CENTER/WIDTH"),
        ({"InstanceNumber": 1, "ImagePositionPatient": [0, 0, 0]}, "Instance Number 1 and|at one place"),
        ({"ImagePositionPatient": [0, 0, 3.0]}, "are [13].00 mm, elsewhere"),
        ({"PixelSpacing": [0.7, 0.7]}, "other spacings"),
        (
            {
                "ImageOrientationPatient": [0, 1, 0, 0, 0, 1],
                "ImagePositionPatient": [2.0, 0, 0],
            },
            "have other orientations",
        ),
    ],
)
def test_what_is_no_volume_is_refused_with_the_reason(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    place = Place(tmp_path)
    uid = make_series(place, changes={1: changes})
    with pytest.raises(dicomprep.ExportError, match=f"is no volume: .*({reason})"):
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
