"""Those who read a series as a whole see what is hidden as a duplicate."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dicomprep
from dicomprep.exchange.predictions import Unit, export_predictions, import_predictions
from dicomprep.exchange.pseudonyms import Shown
from tests import faulty
from tests.building import make_dicom
from tests.pipeline.test_duplicates import noise, twins
from tests.running import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def add_slice(place: Place, name: str, pixels: np.ndarray, *, series: str, number: int, **more: Any) -> None:
    """A slice of a series, its number times 2 mm high."""
    values = {
        "SeriesInstanceUID": f"1.2.{series}",
        "StudyInstanceUID": "1.2.3",
        "InstanceNumber": number,
        "ImagePositionPatient": [0, 0, 2.0 * number],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.5, 0.5],
        "WindowCenter": 2048,
        "WindowWidth": 4096,
    }
    make_dicom(place.source / f"{name}.dcm", pixels, **(values | more))


def two_series(place: Place) -> None:
    """Series 8 has four slices; series 9 the same second one, its third again as the fourth, and its first twice."""
    for number in range(4):
        add_slice(place, f"a{number}", noise(number), series="8", number=number)
        add_slice(place, f"b{number}", noise(1 if number == 1 else 10 + min(number, 2)), series="9", number=number)
    add_slice(place, "copy_of_b0", noise(10), series="9", number=0)
    add_slice(place, "copy_of_b1", noise(1), series="9", number=1)


def test_a_volume_has_the_slices_that_are_hidden(place: Place) -> None:
    two_series(place)
    place.run()
    assert twins(place) == {
        "b1.dcm": "a1.dcm",
        "b3.dcm": "b2.dcm",
        "copy_of_b0.dcm": "b0.dcm",
        "copy_of_b1.dcm": "a1.dcm",
    }
    first, second = (dicomprep.volume(f"1.2.{series}", db=place.db) for series in "89")
    assert first.filenames == tuple(f"in/a{number}" for number in range(4))
    assert second.filenames == tuple(f"in/b{number}" for number in range(4))
    assert second.positions_mm.tolist() == [0, 2, 4, 6]
    assert (second.array[1] == first.array[1]).all()
    assert (second.array[3] == second.array[2]).all()


def test_a_volume_of_hidden_slices_alone(place: Place) -> None:
    """A series that was sent again under other UIDs."""
    for number in range(3):
        add_slice(place, f"a{number}", noise(number), series="8", number=number)
        add_slice(place, f"b{number}", noise(number), series="9", number=number, SOPInstanceUID=f"1.3.{number}")
    place.run()
    assert len(twins(place)) == 3
    assert dicomprep.volume("1.2.9", db=place.db).filenames == ("in/b0", "in/b1", "in/b2")


def exported(place: Place, unit: Unit) -> dict[str, tuple[int, float, float]]:
    """(images, max, mean) by unit."""
    file = place.base / f"{unit}.csv"
    export_predictions(place.workspace, file, model=None, unit=unit, threshold=0.5, shown=Shown())
    with file.open(newline="") as table:
        rows = list(csv.DictReader(table))
    return {row[f"{unit}_key"]: (int(row["images"]), float(row["max"]), float(row["mean"])) for row in rows}


def test_scores_of_a_series_count_what_is_hidden_in_it(place: Place) -> None:
    two_series(place)
    place.run()
    table = place.base / "scores.csv"
    scores = {"a0": 0.1, "a1": 0.9, "a2": 0.1, "a3": 0.1, "b0": 0.2, "b2": 0.3}
    table.write_text("filename,mass\n" + "".join(f"in/{name},{score}\n" for name, score in scores.items()))
    import_predictions(place.workspace, table, model="m")
    found = sorted(exported(place, Unit.SERIES).values())
    assert found == [(4, 0.9, pytest.approx(0.3)), (4, 0.9, pytest.approx((0.2 + 0.9 + 0.3 + 0.3) / 4))]
    assert list(exported(place, Unit.STUDY).values()) == [(6, 0.9, pytest.approx(1.7 / 6))]
    assert [count for count, *_ in exported(place, Unit.PATIENT).values()] == [6]


def test_held_slices_make_no_shorter_volume(place: Place) -> None:
    for number in range(4):
        add_slice(place, f"a{number}", noise(number), series="8", number=number)
    add_slice(place, "a4", noise(4), series="8", number=4, BurnedInAnnotation="YES")
    place.run(hold_burned_in=True)
    with pytest.raises(dicomprep.ExportError, match=r"in/a4 is held back .*dicomprep release"):
        dicomprep.volume("1.2.8", db=place.db)
    place.run(hold_burned_in=False)
    assert len(dicomprep.volume("1.2.8", db=place.db).filenames) == 5


def cut_in_the_header(content: bytes) -> bytes:
    return content[: content.index(b"\x28\x00\x10\x00") + 5]


def damage_the_header(content: bytes) -> bytes:
    at = content.index(b"\x28\x00\x02\x00")
    return content[:at] + b"\xff" * 40 + content[at + 40 :]


def without_rows(content: bytes) -> bytes:
    at = content.index(b"\x28\x00\x10\x00")
    return content[:at] + content[at + 10 :]


def without_pixels(content: bytes) -> bytes:
    return content[: content.index(b"\xe0\x7f\x10\x00")]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
@pytest.mark.parametrize("damage", [cut_in_the_header, damage_the_header, without_rows, without_pixels])
def test_a_slice_whose_header_fails_is_missed(place: Place, damage: Any, syntax: str) -> None:
    for number in range(4):
        add_slice(place, f"a{number}", noise(number), series="8", number=number, transfer_syntax=syntax)
    last = place.source / "a3.dcm"
    last.write_bytes(damage(last.read_bytes()))
    place.run()
    assert place.rows("SELECT series_instance_uid FROM files WHERE path = 'a3.dcm'") == ["1.2.8"]
    with pytest.raises(dicomprep.ExportError, match=r"a3\.dcm \(Instance Number 3\) failed"):
        dicomprep.volume("1.2.8", db=place.db)


@pytest.mark.parametrize("name", ["segfault", "memory"])
def test_a_slice_that_takes_its_worker_along_is_missed(place: Place, name: str) -> None:
    for number in range(3):
        add_slice(place, f"a{number}", noise(number), series="8", number=number)
    add_slice(place, name, noise(3), series="8", number=3)
    place.run(work=faulty.PROCESS, max_memory=256)
    with pytest.raises(dicomprep.ExportError, match=rf"{name}\.dcm \(Instance Number 3\) failed"):
        dicomprep.volume("1.2.8", db=place.db)


def test_a_failed_file_of_nobody_knows_which_series_is_warned_of(place: Place) -> None:
    for number in range(3):
        add_slice(place, f"a{number}", noise(number), series="8", number=number)
    (place.source / "a3.dcm").write_bytes((place.source / "a2.dcm").read_bytes()[:300])
    (place.source / "elsewhere").mkdir()
    (place.source / "elsewhere" / "a4.dcm").write_bytes(b"no DICOM")
    place.run()
    with pytest.warns(UserWarning, match=r"^a3\.dcm failed \(truncated\) and may be a slice of 1\.2\.8"):
        assert len(dicomprep.volume("1.2.8", db=place.db).filenames) == 3


def test_a_report_in_the_folder_of_a_series_is_no_slice(place: Place) -> None:
    for number in range(3):
        add_slice(place, f"a{number}", noise(number), series="8", number=number)
    add_slice(place, "report", noise(3), series="8", number=9, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    report = place.source / "report.dcm"
    report.write_bytes(without_pixels(report.read_bytes()))
    place.run()
    assert len(dicomprep.volume("1.2.8", db=place.db).filenames) == 3
