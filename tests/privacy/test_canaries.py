"""No header text gets out: every attribute that PS3.15 Table E.1-1 names carries a canary, and all is searched."""

import json
import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.config import disable_value_validation
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomprep.dicom.confidentiality import confidential_actions
from tests.building import gradient, make_dicom
from tests.running import Place, cli, make_files

CANARY = "QZXKANARY"
NEEDLE = re.compile(rb"Q\0?Z\0?X\0?K\0?A\0?N\0?A\0?R\0?Y|19370425|1937-04-25|25\.04\.1937|\b937042", re.IGNORECASE)
"""The canary, also in UTF-16, and the dates and numbers that stand where no text can."""


ALLOWED = {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"}
"""What the table calls identifying and the working database holds nevertheless."""

NUMBER, NO_NUMBER = "777777777777", f"40 {CANARY}"
"""What pydicom lets a number be, and what stands in the file in its place."""


def canary_of(keyword: str, vr: str, number: int) -> object:
    """A value that is recognized wherever it turns up."""
    if vr in ("OB", "OW", "UN"):
        return f"{CANARY}{number:04d}A".encode()
    if vr in ("LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"):
        return f"{CANARY}{number}"
    short = {"DA": "19370425", "DT": "19370425101010", "TM": "101010.937042", "UI": f"1.2.3.937042.{number}"}
    texts = {"AE": f"{CANARY}{number}", "CS": f"{CANARY}{number}", "AS": "089Y", "IS": "937042", "DS": "937042"}
    return (short | texts).get(vr, 9370)


def burden(dataset: Dataset) -> int:
    """Give a data set every attribute of the table, private ones, and sequences that hold them again."""
    count = 0
    with disable_value_validation():
        for number, keyword in enumerate(confidential_actions()):
            tag = tag_for_keyword(keyword)
            if tag is None or keyword in ALLOWED or tag >> 16 < 0x0008 or tag >> 16 == 0x7FE0:
                continue
            vr = dictionary_VR(tag).split()[0]
            if vr == "SQ":
                item = Dataset()
                item.PatientName = item.LongCodeValue = item.CodeMeaning = f"{CANARY}{number}"
                dataset.add(DataElement(tag, "SQ", [item]))
                count += 1
                continue
            dataset.add(DataElement(tag, vr, canary_of(keyword, vr, number)))
            count += 1
        for keyword in ("BodyPartExamined", "ViewPosition", "Laterality", "ImageLaterality", "PatientPosition"):
            dataset.add(DataElement(tag_for_keyword(keyword), "CS", CANARY))
        dataset.ImageType = ["ORIGINAL", "PRIMARY", CANARY]
        dataset.Manufacturer = f"{CANARY}^JOHN"
        dataset.ManufacturerModelName = f"{CANARY} 19370425"
        block = dataset.private_block(0x0009, f"{CANARY} PRIVATE", create=True)
        block.add_new(0x01, "LO", f"{CANARY}private")
        block.add_new(0x02, "PN", f"{CANARY}^private")
        overlay = Tag(0x6000, 0x4000)
        dataset.add(DataElement(overlay, "LT", f"{CANARY}overlay"))
    return count


def rewrite(path: Path, **changes: Any) -> None:
    """Burden a file that is there already, then change some attributes."""
    dataset = dcmread(path)
    assert burden(dataset) > 400
    dataset.file_meta.SourceApplicationEntityTitle = CANARY
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.3"
    dataset.file_meta.PrivateInformation = CANARY.encode() + b"0"
    dataset.preamble = (CANARY.encode() * 15)[:128]
    with disable_value_validation(), warnings.catch_warnings(action="ignore"):
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
        dcmwrite(path, dataset, enforce_file_format=True)
    path.write_bytes(path.read_bytes().replace(NUMBER.encode(), NO_NUMBER.encode()))


FAULTS: dict[str, dict[str, Any]] = {
    "photometric": {"PhotometricInterpretation": f"{CANARY} X"},
    "colors": {"PhotometricInterpretation": f"RGB {CANARY}"},
    "voi": {"VOILUTFunction": CANARY, "WindowCenter": 40, "WindowWidth": 400},
    "modality": {"Modality": CANARY},
    "uids": {"SOPInstanceUID": CANARY, "StudyInstanceUID": CANARY, "SeriesInstanceUID": CANARY, "SOPClassUID": CANARY},
    "shape": {"PresentationLUTShape": CANARY, "RescaleType": CANARY, "Units": CANARY},
    "explained": {"WindowCenterWidthExplanation": CANARY, "LossyImageCompressionMethod": CANARY},
    "charset": {"SpecificCharacterSet": CANARY},
    "elsewhere": {"PixelDataProviderURL": f"http://{CANARY}/"},
}
"""Files each of which says something in a place that is read."""

BYTES = {
    "rows": (b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x10\x00PN\x02\x00"),
    "vr": (b"\x08\x00\x60\x00CS", b"\x08\x00\x60\x00QQ"),
    "window": (b"\x28\x00\x50\x10DS", b"\x28\x00\x50\x10LO"),
}
"""Files whose bytes are damaged: what stands there, and what is put in its place."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run over files full of canaries, its output kept."""
    place = Place(tmp_path_factory.mktemp("canaries"))
    for name, changes in FAULTS.items():
        rewrite(make_dicom(place.source / f"{name}.dcm", gradient()), **changes)
    salvaged = rewrite_numbers(make_dicom(place.source / "numbers.dcm", gradient()))
    assert CANARY.encode() in salvaged.read_bytes()
    for name, (found, put) in BYTES.items():
        path = make_dicom(place.source / f"{name}.dcm", gradient())
        rewrite(path, WindowCenter=NUMBER, WindowWidth="400")
        content = path.read_bytes()
        assert found in content
        path.write_bytes(content.replace(found, put))
    plain = make_dicom(place.source / "plain.dcm", gradient(), NumberOfFrames=None)
    rewrite(plain)
    content = plain.read_bytes()
    (place.source / "cut.dcm").write_bytes(content[: len(content) - 3000])
    (place.source / "header.dcm").write_bytes(content[:900])
    (place.source / "text.dcm").write_text(f"{CANARY} is no DICOM")
    for name, value in {"rowless": 0, "huge": 65535}.items():
        rewrite(make_dicom(place.source / f"{name}.dcm", gradient()), Rows=value, Columns=value or 48)
    frames = make_dicom(place.source / "frames.dcm", gradient())
    rewrite(frames, NumberOfFrames=NUMBER)
    syntax = plain.read_bytes().replace(b"1.2.840.10008.1.2.1\0", f"{CANARY:.<20}".encode())
    (place.source / "syntax.dcm").write_bytes(syntax)
    done = cli(place.base, "preprocess", place.source, "--output-dir", place.output, "--db", place.db, "--size", 32)
    (place.base / "terminal.txt").write_text(done.stdout + done.stderr, errors="surrogateescape")
    return place


def rewrite_numbers(path: Path) -> Path:
    """Numbers with words beside them, as they are put up with elsewhere."""
    rewrite(path, WindowCenter=NUMBER, WindowWidth=NUMBER, RescaleSlope=NUMBER, RescaleIntercept="0")
    return path


def contents(place: Place) -> Iterator[tuple[str, bytes]]:
    """All that the run left, but its sources: files byte by byte, and what commands say of them."""
    for path in sorted(place.base.rglob("*")):
        if path.is_file() and not path.is_relative_to(place.source):
            yield path.relative_to(place.base).as_posix(), path.read_bytes()
    for command in (["status"], ["status", "--failures"], ["release"]):
        done = cli(place.base, *command, "--db", place.db)
        yield " ".join(command), (done.stdout + done.stderr).encode("utf-8", "surrogateescape")
    with closing(sqlite3.connect(place.db)) as connection:
        yield "dump", "\n".join(connection.iterdump()).encode()


def test_no_canary_gets_out(place: Place) -> None:
    found = {name: sorted({m[0] for m in NEEDLE.finditer(content)}) for name, content in contents(place)}
    assert len(found) > 8
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_the_files_reached_the_codes_that_they_were_made_for(place: Place) -> None:
    codes = set(place.rows("SELECT error_code FROM inputs WHERE error_code IS NOT NULL"))
    assert {"corrupt_header", "truncated", "not_dicom", "unsupported_pixels"} <= codes
    assert "internal" not in codes
    assert place.rows("SELECT count(*) FROM frames") >= [8]


def test_uids_that_are_some_are_kept_and_others_are_not(place: Place) -> None:
    uids = dict(place.rows("SELECT path, sop_instance_uid FROM files WHERE path IN ('plain.dcm', 'uids.dcm')"))
    assert uids["plain.dcm"].startswith("1.2.826")
    assert uids["uids.dcm"] is None


def test_bugs_are_recorded_without_their_messages(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_dicom(place.source / f"{CANARY.lower()}.dcm", gradient())
    place.run(work="tests.faulty:quoting")
    (detail,) = place.rows("SELECT error_detail FROM inputs")
    assert "in quoting" in detail
    assert detail.rstrip().endswith("ValueError at faulty.py:" + detail.rstrip().rpartition(":")[2])
    assert CANARY not in detail


def test_a_tag_that_was_asked_for_is_recorded_with_a_warning_and_leaves_without_a_trace(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_dicom(place.source / "a.dcm", gradient(), PatientComments=CANARY, ConvolutionKernel="B30f", SliceThickness="2")
    options = ["preprocess", place.source, "--output-dir", place.output, "--db", place.db]
    done = cli(
        place.base, *options, "--tag", "PatientComments", "--tag", "ConvolutionKernel", "--tag", "SliceThickness"
    )
    assert "Patient Comments (0010,4000) can identify patients" in done.stderr
    assert "Convolution Kernel" not in done.stderr
    (text,) = place.rows("SELECT extra_tags FROM tags")
    assert json.loads(text) == {"PatientComments": CANARY, "ConvolutionKernel": "B30f", "SliceThickness": 2.0}
    assert cli(place.base, *options, "--empty-tag").returncode == 0
    assert place.rows("SELECT extra_tags FROM tags") == [None]
    assert CANARY.encode() not in place.db.read_bytes()


@pytest.mark.parametrize("keyword", ["NoSuchThing", "PixelData", "ReferencedImageSequence", "patient name"])
def test_a_tag_that_cannot_be_recorded_is_refused_before_any_work(tmp_path: Path, keyword: str) -> None:
    (tmp_path / "in").mkdir()
    done = cli(tmp_path, "preprocess", "in", "--tag", keyword)
    assert done.returncode == 2
    assert f"--tag {keyword}" in done.stderr
    assert not (tmp_path / "dicomprep.db").exists()


def test_the_table_is_that_of_the_standard() -> None:
    actions = confidential_actions()
    assert len(actions) > 600
    assert {actions[k] for k in ("PatientName", "PatientBirthDate", "StudyDate", "AccessionNumber")} == {"Z"}
    assert (actions["PatientComments"], actions["SOPInstanceUID"]) == ("X", "U")
    assert not {"Modality", "Rows", "KVP", "PixelData", "BodyPartExamined", "SliceThickness"} & actions.keys()


def test_pictures_hold_nothing_but_pixels(place: Place) -> None:
    for content in place.images().values():
        chunks, at = {}, 8
        while at < len(content):
            length = int.from_bytes(content[at : at + 4], "big")
            chunks[content[at + 4 : at + 8]] = content[at + 8 : at + 8 + length]
            at += length + 12
        assert set(chunks) == {b"IHDR", b"dpRM", b"IDAT", b"IEND"}
        assert chunks[b"dpRM"] == b""  # the mark of dicomprep's own, the same in every image


def test_a_canary_would_be_found(place: Place) -> None:
    """The search itself: the sources are full of what it looks for."""
    assert all(NEEDLE.search(path.read_bytes()) for path in place.source.rglob("*.dcm"))
    assert NEEDLE.search(np.frombuffer(CANARY.encode("utf-16-le"), np.uint8).tobytes())


def test_a_key_that_others_may_read_is_named(tmp_path: Path) -> None:
    make_files(tmp_path / "in", "a.dcm")
    key = tmp_path / "dicomprep.db.key"
    assert "key file" not in cli(tmp_path, "preprocess", "in").stderr
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o640)
    done = cli(tmp_path, "preprocess", "in")
    assert (done.returncode, "is readable by others (mode 0640)" in done.stderr) == (0, True)
