"""What of a header is recorded, and what of it is not let through."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.header import read_header
from dicomprep.dicom.numbers import _read_short, read_numbers
from dicomprep.dicom.recorded_tags import _age
from dicomprep.privacy.allow_list import Tags
from dicomprep.storage.local_source import LocalSource
from tests.building import gradient, make_dicom
from tests.running import Place, frames_of

AXIAL, CORONAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]


def tags_of(path: Path, **attributes: Any) -> Tags:
    with LocalSource.at(make_dicom(path, **attributes)).open() as file:
        return read_header(file, max_bytes=2**20).instance().tags


@pytest.mark.parametrize(
    ("field", "attributes", "value"),
    [
        ("body_part", {"BodyPartExamined": "chest"}, "CHEST"),
        ("body_part", {"BodyPartExamined": "C SPINE"}, "CSPINE"),
        ("body_part", {"BodyPartExamined": "CHEST_TO_PELVIS"}, "CHEST_TO_PELVIS"),
        ("body_part", {"BodyPartExamined": "JOHN DOE"}, None),
        ("body_part", {"BodyPartExamined": "CHEST DOE"}, None),
        ("laterality", {"ImageLaterality": "L", "Laterality": "R"}, "L"),
        ("laterality", {"Laterality": "LEFT DOE"}, None),
        ("view_position", {"ViewPosition": "MLO"}, "MLO"),
        ("view_position", {"ViewPosition": "DOE"}, None),
        ("image_type", {"ImageType": ["ORIGINAL", "PRIMARY", "JOHN DOE", "AXIAL"]}, "ORIGINAL\\PRIMARY\\OTHER\\AXIAL"),
        ("manufacturer", {"Manufacturer": "GE MEDICAL SYSTEMS"}, "GE MEDICAL SYSTEMS"),
        ("manufacturer", {"Manufacturer": "Doe^John"}, None),
        ("manufacturer_model", {"ManufacturerModelName": "SOMATOM Definition AS+"}, "SOMATOM Definition AS+"),
        ("manufacturer_model", {"ManufacturerModelName": "SN 1234567"}, None),
        ("kvp", {"KVP": "120"}, 120.0),
        ("row_spacing_mm", {"PixelSpacing": [0.5, 0.25]}, 0.5),
        ("column_spacing_mm", {"ImagerPixelSpacing": [0.5, 0.25]}, 0.25),
        ("slice_thickness_mm", {"SliceThickness": "2.5"}, 2.5),
        ("patient_sex", {"PatientSex": "F"}, "F"),
        ("patient_sex", {"PatientSex": "DOE"}, None),
        ("study_year", {"StudyDate": "20190412"}, 2019),
        ("rows", {}, 64),
        ("recognisable_face", {"Modality": "MR", "BodyPartExamined": "BRAIN"}, 1),
        ("recognisable_face", {"Modality": "CT", "SeriesDescription": "Kopf nativ"}, 1),
        ("recognisable_face", {"Modality": "CT", "BodyPartExamined": "CHEST", "StudyDescription": "head"}, 0),
        ("recognisable_face", {"Modality": "DX", "BodyPartExamined": "SKULL"}, 0),
    ],
)
def test_a_value_is_what_it_should_be_or_nothing(
    tmp_path: Path, field: str, attributes: dict[str, Any], value: object
) -> None:
    assert getattr(tags_of(tmp_path / "a.dcm", **attributes), field) == value


@pytest.mark.parametrize(
    ("stated", "born", "day", "years"),
    [
        ("045Y", "", "", 45),
        ("095Y", "", "", 89),
        ("018M", "", "", 1),
        ("003W", "", "", 0),
        ("", "19800615", "20200614", 39),
        ("", "19800615", "20200615", 40),
        ("", "1920.01.01", "20200615", 89),
        ("", "20210101", "20200615", None),
        ("DOE", "", "20200615", None),
        *[
            (text, "", "", 42)
            for text in ("42", "042", "42 Y", "042Y\0", "42y", " 42 ", "42 years", "042.0Y", "42YR", "0042Y")
        ],
        *[(text, "", "", 1) for text in ("18 M", "18m", "18 MONTHS", "60W", "60 weeks", "400D", "400 days")],
        *[(text, "", "", 0) for text in ("000Y", "6M", "6mo", "3 W", "10d")],
        *[(text, "", "", 89) for text in ("90", "90 Y", "089", "120", "1100M")],
        *[
            (text, "", "", None)
            for text in ("999Y", "999", "0", "000", "Y", "042X", "42 42", "-42Y", "42Y DOE", "4-2", "1e2")
        ],
        ("999Y", "19800615", "20200615", 40),
        ("000", "19800615", "20200615", 40),
    ],
)
def test_age_is_in_full_years_and_capped(stated: str, born: str, day: str, years: int | None) -> None:
    assert _age(stated.encode(), born.encode(), day.encode()) == years


def test_slices_can_be_put_in_order(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for number, z in enumerate([30, -10, 20, 0, 10]):
        attributes = {"ImagePositionPatient": [5, 7, z], "ImageOrientationPatient": AXIAL, "InstanceNumber": 1}
        make_dicom(place.source / f"{number}.dcm", gradient() + number, **attributes)
    place.run()
    rows = place.rows(
        "SELECT filename, slice_position_mm FROM tags JOIN images USING (id) ORDER BY series_key, slice_position_mm"
    )
    assert [(name[-1], z) for name, z in rows] == [("1", -10), ("3", 0), ("4", 10), ("2", 20), ("0", 30)]
    assert len(set(place.rows("SELECT series_key FROM tags"))) == 1


@pytest.mark.parametrize(("length", "read"), [(2**17, 2**17), (2**17 + 2, 0)])
def test_long_values_are_not_parsed(length: int, read: int) -> None:
    tag = BaseTag(0x00200037)
    element = RawDataElement(tag, "DS", length, b"1\\" * (length // 2), 0, is_implicit_VR=False, is_little_endian=True)
    value = Attributes.of(Dataset({tag: element})).raw("ImageOrientationPatient")
    parsed = _read_short.cache_info().misses
    assert (len(value), read_numbers(value)) == (read, ())
    assert _read_short.cache_info().misses - parsed <= (read == 0)  # an empty value is short


@pytest.mark.parametrize(
    ("offsets", "places"),
    [
        (["0", "-2.5", "-5"], [12.5, 10, 7.5]),  # from the first frame
        (["12.5", "15", "17.5"], [12.5, 15, 17.5]),  # the places themselves
        (["0", "1"], [None, None, None]),
        (None, [None, None, None]),
    ],
)
def test_frames_of_a_dose_stand_apart(tmp_path: Path, offsets: list[str] | None, places: list[float | None]) -> None:
    place = Place(tmp_path)
    attributes: dict[str, Any] = {"ImagePositionPatient": [5, 7, 12.5], "ImageOrientationPatient": AXIAL}
    if offsets is not None:
        attributes["GridFrameOffsetVector"] = offsets
    make_dicom(place.source / "dose.dcm", frames_of(3), **attributes)
    place.run()
    rows = place.rows("SELECT slice_position_mm FROM tags ORDER BY frame_number")
    assert rows == places


def test_frames_stand_where_their_functional_groups_say(tmp_path: Path) -> None:
    place = Place(tmp_path)
    groups = [
        {
            "PlanePositionSequence": [{"ImagePositionPatient": [0, y, 0]}],
            "FrameContentSequence": [{"InStackPositionNumber": 3 - index, "TemporalPositionIndex": 1}],
        }
        for index, y in enumerate([8, 4, 0])
    ]
    shared = [
        {
            "PlaneOrientationSequence": [{"ImageOrientationPatient": CORONAL}],
            "PixelMeasuresSequence": [{"PixelSpacing": [0.7, 0.7], "SliceThickness": 4}],
        }
    ]
    make_dicom(
        place.source / "a.dcm",
        frames_of(3),
        PerFrameFunctionalGroupsSequence=groups,
        SharedFunctionalGroupsSequence=shared,
    )
    place.run()
    columns = (
        "frame_number, slice_position_mm, image_orientation, stack_position, temporal_position, row_spacing_mm,"
        " slice_thickness_mm"
    )
    plane = "\\".join(map(str, CORONAL))
    assert place.rows(f"SELECT {columns} FROM tags ORDER BY slice_position_mm") == [
        (2, 0.0, plane, 1, 1, 0.7, 4.0),
        (1, 4.0, plane, 2, 1, 0.7, 4.0),
        (0, 8.0, plane, 3, 1, 0.7, 4.0),
    ]
