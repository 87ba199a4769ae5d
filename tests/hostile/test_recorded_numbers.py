"""A telephone number in any numeric attribute reaches nothing that a run leaves, gives away, shows or says."""

import re
import sqlite3
import struct
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.config import disable_value_validation
from pydicom.datadict import DicomDictionary, dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import RTDoseStorage

from dicomprep.database.connection import connect
from dicomprep.database.migrations import m0014_numbers
from dicomprep.dicom.fast_scan import TAGS
from dicomprep.dicom.header import read_header
from dicomprep.exchange.export import export_frames
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.pixels.intensity import GrayscaleTransform, Rescale, ValueRange, Window
from dicomprep.pixels.transform import GrayscaleRecord, record_grayscale
from dicomprep.privacy.allow_list import LIMITS, Position, Tags
from dicomprep.storage.local_source import LocalSource
from dicomprep.web.connections import ConnectionLimits
from dicomprep.web.guard import ServerAddress
from tests.building import dataset_of, make_dicom
from tests.hostile.serving_pages import served_pages
from tests.pages import Pages, free_port
from tests.running import Place, cli, frames_of, set_labels

NUMERIC = frozenset(("IS", "DS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AS"))
NEEDLE = re.compile(
    rb"4[,.' _]?917[,.' _]?155[,.' _]?[35]\d\d|1[,.' _]?715[,.' _]?550[,.' _]?[01]\d\d"
    rb"|4\.9171\d*e\+?0?9|1\.7155\d*e\+?0?9|4\.9171\d*E|1\.7155\d*E"
)
"""The two numbers, also with separators, rounded to single precision, and in powers of ten."""

TEXTS = {"zero": "01715550123", "country": "4917155501", "minus": "-4917155501", "unit": "4917155501 HU"}
DATES = ("PatientAge", "PatientBirthDate", "StudyDate")
AXIAL = [1, 0, 0, 0, 1, 0]
COMPANIONS: dict[str, dict[str, Any]] = {
    "WindowCenter": {"WindowWidth": "400"},
    "WindowWidth": {"WindowCenter": "40"},
    "RescaleSlope": {"RescaleIntercept": "0"},
    "RescaleIntercept": {"RescaleSlope": "1"},
    "PixelPaddingRangeLimit": {"PixelPaddingValue": 0},
    "ImagePositionPatient": {"ImageOrientationPatient": AXIAL},
    "GridFrameOffsetVector": {"ImageOrientationPatient": AXIAL, "ImagePositionPatient": [0, 0, 0]},
    "MaximumFractionalValue": {"SegmentationType": "FRACTIONAL"},
    "DoseGridScaling": {"Modality": "RTDOSE", "SOPClassUID": RTDoseStorage},
}
"""Without which an attribute would not be looked at."""

GROUPED = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "FrameContentSequence": ("InStackPositionNumber", "TemporalPositionIndex"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
}
NUMERIC_KEYWORDS = {
    entry[4]
    for tag, entry in DicomDictionary.items()
    if entry[4] and entry[0].split()[0] in NUMERIC and 0x0008 <= tag >> 16 < 0x7FE0
} | set(DATES)
READ = [keyword for keyword, tag in TAGS.items() if dictionary_VR(tag).split()[0] in NUMERIC or keyword in DATES]


def number(keyword: str, variant: str) -> DataElement:
    """An attribute that is the number: written as text, or in binary where its kind is."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    count = int(dictionary_VM(tag)[0])
    if variant == "binary":
        is_real = vr_of(keyword) in ("DS", "FD", "FL")
        vr, value = ("FD", 4917155501.0) if is_real else ("UL", 1715550123)
        with disable_value_validation():
            return DataElement(tag, vr, [value] * count if count > 1 else value)
    return DataElement(tag, "LT", "\\".join([TEXTS[variant]] * count))


def vr_of(keyword: str) -> str:
    return dictionary_VR(keyword).split()[0]


def grouped(macro: str, keyword: str, variant: str) -> DataElement:
    """Functional groups of two frames that hold the number."""
    item = dataset_of(**COMPANIONS.get(keyword, {}))
    item.add(number(keyword, variant))
    group = Dataset()
    setattr(group, macro, [item])
    return DataElement(tag_for_keyword("PerFrameFunctionalGroupsSequence"), "SQ", [group, group])


def write(path: Path, pixels: np.ndarray, *elements: DataElement, **companions: Any) -> None:
    """A file with these elements, in which text is what their Value Representation says that it is."""
    make_dicom(path, pixels, patient_id=path.stem, **companions)
    dataset = dcmread(path)
    for element in elements:
        dataset.add(element)
    with disable_value_validation(), warnings.catch_warnings(action="ignore"):
        dcmwrite(path, dataset, enforce_file_format=True)
    path.write_bytes(re.sub(rb"(....)LT", _as_number, path.read_bytes(), flags=re.DOTALL))


def _as_number(found: re.Match[bytes]) -> bytes:
    group, element = struct.unpack("<2H", found[1])
    keyword = keyword_for_tag(group << 16 | element)
    if keyword not in NUMERIC_KEYWORDS:
        return found[0]
    return found[1] + (vr_of(keyword) if vr_of(keyword) in ("DS", "DA", "AS") else "IS").encode()


def make_sources(folder: Path) -> None:
    """A file for each attribute that is read and each way to write the number, and one with all attributes."""
    pixels = iter(frames_of(1000, seed=5).reshape(-1, 2, 12, 10))
    for variant in (*TEXTS, "binary"):
        for keyword in READ:
            write(
                folder / f"{keyword}-{variant}.dcm",
                next(pixels)[: 1 + (keyword == "GridFrameOffsetVector")].squeeze(),
                number(keyword, variant),
                **COMPANIONS.get(keyword, {}),
            )
        for macro, keywords in GROUPED.items():
            for keyword in keywords:
                write(folder / f"{macro}-{keyword}-{variant}.dcm", next(pixels), grouped(macro, keyword, variant))
        item = Dataset()
        for keyword in sorted(NUMERIC_KEYWORDS):
            item.add(number(keyword, variant))
        others = [number(keyword, variant) for keyword in sorted(NUMERIC_KEYWORDS.difference(READ))]
        sequence = DataElement(tag_for_keyword("ReferencedImageSequence"), "SQ", [item])
        write(folder / f"all-{variant}.dcm", next(pixels)[0], sequence, *others)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("numbers"))
    make_sources(place.source)
    done = cli(place.base, "preprocess", place.source, "--output-dir", place.output, "--db", place.db, "--size", 16)
    (place.base / "terminal.txt").write_text(done.stdout + done.stderr)
    set_labels(place, dict.fromkeys(place.rows("SELECT filename FROM images LIMIT 50"), "a"))
    return place


def contents(place: Place) -> Iterator[tuple[str, bytes]]:
    """What the run left and said, what commands say of it, and what they give away."""
    yield "terminal", (place.base / "terminal.txt").read_bytes()
    with closing(sqlite3.connect(place.db)) as connection:
        yield "database", "\n".join(connection.iterdump()).encode()
    for command in (["status"], ["status", "--failures"], ["audit"], ["verify"], ["report", place.base / "r.html"]):
        done = cli(place.base, *command, "--db", place.db)
        yield command[0], (done.stdout + done.stderr).encode()
    yield "report.html", (place.base / "r.html").read_bytes()
    for kind in ("csv", "webdataset", "folder"):
        out = place.base / kind
        export_frames(Format(kind), out, place.workspace, options=ExportOptions(with_uids=True))
        yield from ((f"{kind}/{path.name}", path.read_bytes()) for path in out.rglob("*") if path.is_file())


def test_no_number_gets_out(place: Place) -> None:
    found = {name: sorted({m[0] for m in NEEDLE.finditer(content)}) for name, content in contents(place)}
    assert len(found) > 12
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_no_page_shows_one(place: Place) -> None:
    address = ServerAddress(port=free_port())
    frames = place.rows("SELECT id FROM images")
    failed = place.rows("SELECT id FROM files WHERE status = 'failed'")
    assert len(frames) > 200 < 10 * len(failed)
    with served_pages(place, ConnectionLimits(), address):
        pages = Pages(place, address.port)
        paths = ["/", "/gallery", "/overview", "/failures"] + [f"/frame/{frame}" for frame in frames]
        paths += [f"/original/{frame}/{what}" for frame in frames for what in ("pixels", "tags")]
        paths += [f"/failures/{number}" for number in failed]
        for path in paths:
            assert not (found := NEEDLE.search(pages.ask("GET", path)[1])), (path, found)


def test_the_files_are_what_they_are_meant_to_be(place: Place) -> None:
    assert len(READ) > 35
    statuses = place.statuses()
    assert len(statuses) == len(list(place.source.glob("*.dcm")))
    assert "internal" not in {code for _, code in statuses.values()}
    assert all(re.search(rb"4917155501|1715550123", path.read_bytes()) for path in place.source.glob("*-zero.dcm"))


def test_every_number_that_is_recorded_has_limits() -> None:
    numbers = {name for name, kind in Tags.__annotations__.items() if kind in (int | None, float | None)}
    ours = {"patient_age", "recognisable_face"}
    texts = {"image_position", "image_orientation", "b_values"}
    others = {"instance_number", "measured_value"}
    positions = {"slice_position_mm", "stack_position", "temporal_position"}
    assert set(LIMITS) == numbers - ours | positions | texts | others
    assert len(positions | {"orientation", "point"}) == len(Position._fields)


@pytest.mark.parametrize(
    ("keyword", "value", "column", "recorded"),
    [
        ("SeriesNumber", "999999", "series_number", 999999),
        ("SeriesNumber", "1000000", "series_number", None),
        ("InstanceNumber", "-1", "instance_number", -1),
        ("KVP", "15000", "kvp", 15000.0),
        ("EchoTime", "1234567", "echo_time_ms", None),
        ("MagneticFieldStrength", "7", "magnetic_field_t", 7.0),
        ("MagneticFieldStrength", "1715", "magnetic_field_t", None),
        ("PixelSpacing", "0.48828125\\0.48828125", "row_spacing_mm", 0.48828125),
        ("PixelSpacing", "0.5\\19370425", "row_spacing_mm", None),
        ("StudyDate", "21550123", "study_year", 2155),
        ("StudyDate", "49171201", "study_year", None),
        ("ManufacturerModelName", "Prisma 3.0T 64", "manufacturer_model", "Prisma 3.0T 64"),
        ("ManufacturerModelName", "0171 555-0123", "manufacturer_model", None),
    ],
)
def test_what_a_number_may_be(tmp_path: Path, keyword: str, value: str, column: str, recorded: object) -> None:
    path = make_dicom(tmp_path / "a.dcm", **{keyword: value.split("\\") if "\\" in value else value})
    with LocalSource.at(path).open() as file:
        instance = read_header(file, max_bytes=2**20).instance()
    found = instance.instance_number if column == "instance_number" else getattr(instance.tags, column)
    assert found == recorded


def test_a_scale_says_no_telephone_number() -> None:
    def recorded(scale: Rescale, voi: Window | ValueRange) -> GrayscaleRecord:
        return record_grayscale(GrayscaleTransform(scale, voi, padding=(-4917155501, 5)))

    wide = recorded(Rescale(1.0, -2147483648.0), Window(4917155501.0, 1715550123.0))
    assert wide.modality == Rescale(1.0, -2147483648.0)
    assert wide.voi == Window(4917000000.0, 1716000000.0)
    assert wide.padding == (-4917000000, 5)
    measured = ValueRange(0.0, 1234567.0, "robust")
    assert recorded(Rescale(0.5, 0.0), measured).voi == measured
    assert recorded(Rescale(1234567.0, 0.0), measured).voi == ValueRange(0.0, 1235000.0, "robust")


def test_a_database_of_before_forgets_them_too(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_dicom(place.source / "a.dcm", SeriesNumber=3, TemporalPositionIdentifier=2)
    place.run()
    place.execute("UPDATE files SET instance_number = 1715550123")
    place.execute("UPDATE frames SET stack_position = 1715550123")
    engine = connect(place.workspace.address)
    with engine.begin() as connection:
        m0014_numbers.upgrade(connection)
    engine.dispose()
    assert place.rows("SELECT instance_number, series_number, stack_position, temporal_position FROM tags") == [
        (None, 3, None, 2)
    ]
    assert b"1715550123" not in place.db.read_bytes()
