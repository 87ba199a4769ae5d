"""What files say of images, held against highdicom; and files that say it badly, or far too much."""

import struct
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import EnhancedCTImageStorage, generate_uid

from dicomprep.dicom import contours, presentations, references, reports, segments
from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.clinical_words import clinical_words
from dicomprep.dicom.concepts import read_concept
from dicomprep.dicom.references import describes_images, read_references
from dicomprep.errors import ErrorCode
from dicomprep.privacy.keys import uid_key
from dicomprep.privacy.references import Reference, References
from dicomprep.storage.source import MemoryFile
from tests.building import dataset_of, make_dicom
from tests.describing import (
    make_key_images,
    make_presentation,
    make_report,
    make_segmentation,
    make_series,
    make_structure_set,
    save,
)
from tests.dicom.test_terms import canaries

PLENTY = 2**30


def read_content(content: bytes, sop_class_uid: str) -> References:
    return read_references(MemoryFile(content), sop_class_uid, max_bytes=PLENTY)


def read_file(path: Path) -> References:
    return read_content(path.read_bytes(), str(dcmread(path, stop_before_pixels=True, force=True).SOPClassUID))


def read(dataset: Dataset) -> tuple[Reference, ...]:
    stream = BytesIO()
    dataset.save_as(stream)
    found = read_content(stream.getvalue(), str(dataset.SOPClassUID))
    assert found.error_code is None, found.error_detail
    return found.rows


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    return make_series(tmp_path_factory.mktemp("ct"))


def places_in_highdicom(path: Path) -> set[tuple[int, str]]:
    """(segment, SOP Instance UID) of the images that highdicom finds a mask for."""
    segmentation = hd.seg.segread(path)
    images = [uid for _, _, uid in segmentation.get_source_image_uids()]
    masks = segmentation.get_pixels_by_source_instance(images, ignore_spatial_locations=True)
    numbers = segmentation.segment_numbers
    return {
        (number, uid)
        for place, uid in enumerate(images)
        for column, number in enumerate(numbers)
        if masks[place, :, :, column].any()
    }


def test_segments_lie_where_highdicom_finds_them(tmp_path: Path, sources: list[Dataset]) -> None:
    masks = np.zeros((4, 16, 16, 2), bool)
    masks[:3, 2:9, 3:9, 0] = True
    masks[2:, 4:9, 3:9, 1] = True
    path = save(make_segmentation(sources, masks, labels=("liver", "Smith lung")), tmp_path / "seg.dcm")
    rows = read_file(path).rows
    assert {(row.number, row.target_sop_instance_uid) for row in rows} == places_in_highdicom(path)
    described = {
        (row.number, row.label, row.code, row.meaning, row.category_code, row.category_meaning) for row in rows
    }
    assert described == {
        (1, "LIVER", "SCT:10200004", "Liver", "SCT:91772007", "Organ"),
        (2, None, "SCT:78961009", "Spleen", "SCT:91772007", "Organ"),
    }
    segmentation = hd.seg.segread(path)
    for number, _, code, *_ in described:
        kind = segmentation.get_segment_description(number).segmented_property_type
        assert code == f"{kind.scheme_designator}:{kind.value}"


@pytest.mark.parametrize("name", ["liver_1frame.dcm", "liver_expb_1frame.dcm"])
def test_segments_of_sample_files_lie_where_highdicom_finds_them(pydicom_files: Path, name: str) -> None:
    path = pydicom_files / name
    rows = read_file(path).rows
    groups = dcmread(path, stop_before_pixels=True).PerFrameFunctionalGroupsSequence
    expected = {
        (
            group.SegmentIdentificationSequence[0].ReferencedSegmentNumber,
            group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID,
        )
        for group in groups
    }
    assert {(row.number, row.target_sop_instance_uid) for row in rows} == expected
    if "expb" not in name:  # highdicom refuses big endian
        images = {uid for _, _, uid in hd.seg.segread(path).get_source_image_uids()}
        assert {uid for _, uid in expected} <= images


def test_segments_of_frames_of_one_file(tmp_path: Path) -> None:
    """Frames of a multi-frame source count from 1, as the standard does."""
    frames = [
        {
            "PlanePositionSequence": [{"ImagePositionPatient": [0, 0, 2.5 * number]}],
            "FrameContentSequence": [{"StackID": "1", "InStackPositionNumber": number + 1}],
        }
        for number in range(3)
    ]
    shared = {
        "PlaneOrientationSequence": [{"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}],
        "PixelMeasuresSequence": [{"PixelSpacing": [1, 1], "SliceThickness": 2.5}],
    }
    source = make_dicom(
        tmp_path / "enhanced.dcm",
        np.zeros((3, 16, 16), np.uint16),
        SOPClassUID=EnhancedCTImageStorage,
        FrameOfReferenceUID="1.2.9",
        PositionReferenceIndicator="",
        PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[shared],
        **dict.fromkeys(("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "StudyDate", "StudyTime"), ""),
        ReferringPhysicianName="",
        ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
    )
    rows = read(make_segmentation([dcmread(source)], np.ones((3, 16, 16, 1), bool)))
    assert [(row.source_frame, row.target_frame) for row in rows] == [(1, 3), (2, 2), (3, 1)]  # from feet to head


def test_label_maps_do_not_say_where_each_segment_is(sources: list[Dataset]) -> None:
    kind = hd.seg.SegmentationTypeValues.LABELMAP
    masks = np.zeros((4, 16, 16), np.uint8)
    masks[:2, 2:9], masks[2:, 2:9] = 1, 2
    rows = read(make_segmentation(sources, masks, labels=("liver", "spleen"), segmentation_type=kind))
    placed = [row for row in rows if row.target_sop_instance_uid]
    assert [row.number for row in placed] == [None] * 4
    assert {row.label for row in rows if row.number} == {"LIVER", "SPLEEN"}


def test_segments_without_source_images_are_placed_by_their_planes(sources: list[Dataset]) -> None:
    segmentation = make_segmentation(sources)
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence
    rows = read(segmentation)
    series = sources[0].SeriesInstanceUID
    assert [(row.plane_mm, row.plane_orientation) for row in rows] == [
        (100 - 2.5 * number, "1\\0\\0\\0\\1\\0") for number in range(4)
    ]
    assert {(row.target_sop_instance_uid, row.target_series_instance_uid) for row in rows} == {(None, series)}
    del segmentation.ReferencedSeriesSequence
    assert {row.frame_of_reference_key for row in read(segmentation)} == {uid_key(sources[0].FrameOfReferenceUID)}


def test_measurements_are_those_that_highdicom_reads(tmp_path: Path, sources: list[Dataset]) -> None:
    path = save(make_report(sources), tmp_path / "sr.dcm")
    found: Counter[Any] = Counter()
    content = hd.sr.srread(path).content
    for group in (*content.get_planar_roi_measurement_groups(), *content.get_image_measurement_groups()):
        if isinstance(group, hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations):
            images = [group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID]
        else:
            images = [image.referenced_sop_instance_uid for image in group.source_images]
        for uid in images:
            found.update(
                ("measurement", f"{m.name.scheme_designator}:{m.name.value}", m.value, m.unit.value, uid)
                for m in group.get_measurements()
            )
            found.update(
                ("evaluation", e.name.value, f"{e.value.scheme_designator}:{e.value.value}", None, uid)
                for e in group.get_qualitative_evaluations()
            )
    rows = read_file(path).rows
    assert found == Counter(
        ("measurement", row.code, row.value, row.unit, row.target_sop_instance_uid)
        if row.kind == "measurement"
        else ("evaluation", (row.code or "").partition(":")[2], row.value_code, None, row.target_sop_instance_uid)
        for row in rows
    )
    assert {(row.category_meaning, row.site_meaning, row.shapes) for row in rows if row.category_code} == {
        ("Nodule", "Lung", 1)
    }


def test_key_images(sources: list[Dataset]) -> None:
    rows = read(make_key_images(sources[1:3], description="Nodule right lung"))
    assert [row.target_sop_instance_uid for row in rows] == [source.SOPInstanceUID for source in sources[1:3]]
    assert {(row.kind, row.code, row.meaning, row.label) for row in rows} == {
        ("key_image", "DCM:113004", "For Teaching", "NODULE RIGHT LUNG")
    }


def test_presentation_states(sources: list[Dataset]) -> None:
    rows = read(make_presentation(sources))
    assert [(row.target_sop_instance_uid, row.shapes) for row in rows] == [
        (source.SOPInstanceUID, 2 if number == 0 else 0) for number, source in enumerate(sources)
    ]
    assert {(row.kind, row.meaning) for row in rows} == {("presentation", "Grayscale Softcopy Presentation State")}


@pytest.mark.parametrize(("by_plane", "name", "label"), [(False, "Lung_L", "LUNG L"), (True, "Liver Müller", None)])
def test_contours(tmp_path: Path, sources: list[Dataset], by_plane: bool, name: str, label: str | None) -> None:
    path = make_structure_set(tmp_path / "rs.dcm", sources, name=name, by_plane=by_plane)
    liver, again, ptv = read_file(path).rows
    assert [(row.number, row.label, row.category_meaning, row.shapes) for row in (liver, again, ptv)] == [
        (1, label, "ORGAN", 2),
        (1, label, "ORGAN", 1),
        (2, "PTV", "PTV", 0),
    ]
    if by_plane:
        assert [(row.plane_mm, row.target_series_instance_uid) for row in (liver, again)] == [
            (100.0, sources[0].SeriesInstanceUID),
            (97.5, sources[0].SeriesInstanceUID),
        ]
    else:
        assert [row.target_sop_instance_uid for row in (liver, again)] == [s.SOPInstanceUID for s in sources[:2]]


def test_images_of_a_plain_report(tmp_path: Path) -> None:
    """Also where the report has no groups of measurements; what a circle of references would be is not followed."""
    image = {
        "ValueType": "IMAGE",
        "ReferencedSOPSequence": [{"ReferencedSOPInstanceUID": "1.2.3", "ReferencedFrameNumber": [2, 5]}],
    }
    circle = {"RelationshipType": "INFERRED FROM", "ReferencedContentItemIdentifier": [1, 1]}
    length = {
        "ValueType": "NUM",
        "ConceptNameCodeSequence": [code("410668003", "SCT", "Length")],
        "MeasuredValueSequence": [{"NumericValue": "7.5", "MeasurementUnitsCodeSequence": [code("mm", "UCUM", "mm")]}],
        "ContentSequence": [image, circle],
    }
    path = make_report_file(tmp_path / "sr.dcm", [image, length])
    rows = read_file(path).rows
    assert [(row.kind, row.target_frame, row.value, row.unit) for row in rows] == [
        ("evaluation", 2, None, None),
        ("evaluation", 5, None, None),
        ("measurement", 2, 7.5, "mm"),
        ("measurement", 5, 7.5, "mm"),
    ]


@pytest.mark.parametrize(
    ("stated", "recorded"), [("123456", 123456.0), ("155012345", 155_000_000.0), ("4917155501", None)]
)
def test_long_numbers_that_were_measured_are_rounded(tmp_path: Path, stated: str, recorded: float | None) -> None:
    """They may be somebody's telephone number."""
    volume = {
        "ValueType": "NUM",
        "ConceptNameCodeSequence": [code("118565006", "SCT", "Volume")],
        "MeasuredValueSequence": [
            {"NumericValue": stated, "MeasurementUnitsCodeSequence": [code("mm3", "UCUM", "mm3")]}
        ],
        "ContentSequence": [
            {
                "RelationshipType": "INFERRED FROM",
                "ValueType": "IMAGE",
                "ReferencedSOPSequence": [{"ReferencedSOPInstanceUID": "1.2.3"}],
            }
        ],
    }
    rows = read_file(make_report_file(tmp_path / "sr.dcm", [volume])).rows
    assert [row.value for row in rows if row.kind == "measurement"] == [recorded]


def code(value: str, scheme: str, meaning: str) -> dict[str, str]:
    return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}


def make_report_file(path: Path, content: list[Any], **attributes: Any) -> Path:
    return make_dicom(
        path,
        PixelData=None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33",
        ValueType="CONTAINER",
        ContentSequence=content,
        **attributes,
    )


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (code("T-62000", "SRT", "Liver of Smith"), ("SCT:10200004", "Liver")),
        (code("10200004", "SCT", "Smith"), ("SCT:10200004", "Liver")),
        (code("1715550123", "SCT", "Smith"), (None, None)),
        (code("SMITH", "99LOCAL", "Liver"), (None, "LIVER")),
        (code("138999", "DCM", "Smith"), ("DCM:138999", None)),
        (code("Smith", "DCM", "Smith"), (None, None)),
    ],
)
def test_meanings_are_those_of_the_standard(stated: dict[str, str], expected: tuple[str | None, str | None]) -> None:
    item = Attributes.of(dataset_of(ConceptNameCodeSequence=[stated]))
    found = read_concept(item, "ConceptNameCodeSequence")
    assert found.code == expected[0]
    assert (found.meaning or "").split()[:1] == (expected[1] or "").split()[:1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Smith^John", None),
        ("Jörg Müller, 山田", None),
        ("SMITH_liver-lesion", None),
        ("Head, John", None),
        ("J Head", None),
        ("White", None),
        ("PTV_7000", "PTV"),
        ("Weber GTV metastases", "METASTASES"),
        ("BrainStem", "BRAIN STEM"),
        ("Vertebra L4", "VERTEBRA L4"),
        ("R", None),
        ("Finger R", None),
    ],
)
def test_words_that_people_typed(text: str, expected: str | None) -> None:
    assert clinical_words(text) == expected


def test_no_name_of_ten_thousand_passes_as_a_label() -> None:
    labels = [(text.decode("utf-8", "replace"), word) for text, word in canaries(10_000)]
    assert [text for text, word in labels if clinical_words(text) not in (None, word)] == []


HOSTILE: dict[str, dict[str, Any]] = {
    "no sequences": {},
    "empty sequences": {"SegmentSequence": [], "PerFrameFunctionalGroupsSequence": [], "ReferencedSeriesSequence": []},
    "empty items": {"SegmentSequence": [{}], "PerFrameFunctionalGroupsSequence": [{}, {}]},
    "numbers beyond": {
        "SegmentSequence": [{"SegmentNumber": 65535, "SegmentLabel": "x" * 10_000}],
        "PerFrameFunctionalGroupsSequence": [
            {"PlanePositionSequence": [{"ImagePositionPatient": [1e30, 1e30, 1e30]}]},
        ],
    },
    "no UIDs": {
        "PerFrameFunctionalGroupsSequence": [
            {"DerivationImageSequence": [{"SourceImageSequence": [{"ReferencedSOPInstanceUID": "Smith^John"}]}]}
        ]
    },
}


@pytest.mark.parametrize("attributes", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", ["66.4", "66.7", "481.3", "88.33", "88.59", "11.1"])
def test_what_is_missing_or_malformed_is_not_there(tmp_path: Path, kind: str, attributes: dict[str, Any]) -> None:
    uid = f"1.2.840.10008.5.1.4.1.1.{kind}"
    assert describes_images(uid)
    found = read_file(make_dicom(tmp_path / "x.dcm", SOPClassUID=uid, **attributes))
    assert found.error_code is None
    assert all(row.target_sop_instance_uid is None for row in found.rows)
    assert "Smith" not in repr(found)


@pytest.mark.parametrize("kind", ["66.4", "481.3", "88.33", "88.59", "11.1"])
def test_sequences_that_are_none(tmp_path: Path, kind: str) -> None:
    """Each wanted sequence as a text of the same tag: nothing of it is read, nothing fails."""
    path = make_dicom(tmp_path / "x.dcm", SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{kind}", PixelData=None)
    keywords = {*contours.KEYWORDS, *presentations.KEYWORDS, *reports.KEYWORDS, *segments.KEYWORDS}
    tags = sorted(tag_for_keyword(keyword) or 0 for keyword in keywords)
    texts = (struct.pack("<2H", tag >> 16, tag & 0xFFFF) + b"LO\x08\0Smith^J " for tag in tags)
    found = read_content(path.read_bytes() + b"".join(texts), f"1.2.840.10008.5.1.4.1.1.{kind}")
    assert all(row.target_sop_instance_uid is None for row in found.rows)
    assert "Smith" not in repr(found)


def nested_report(depth: int, *, undefined: bool) -> bytes:
    """The content of a report whose items lie in each other, the innermost of which is an image."""

    def encode(**keywords: Any) -> bytes:
        stream = DicomBytesIO()
        stream.is_little_endian, stream.is_implicit_VR = True, False
        write_dataset(stream, dataset_of(**keywords))
        return stream.getvalue()

    item = encode(ValueType="IMAGE", ReferencedSOPSequence=[{"ReferencedSOPInstanceUID": "1.2.3"}])
    head, sequence, begin = encode(ValueType="CONTAINER"), b"\x40\x00\x30\xa7SQ\0\0", b"\xfe\xff\x00\xe0"
    end = b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)
    for _ in range(depth):
        if undefined:
            item = head + sequence + b"\xff" * 4 + begin + b"\xff" * 4 + item + end
        else:
            inner = begin + struct.pack("<I", len(item)) + item
            item = head + sequence + struct.pack("<I", len(inner)) + inner
    start = encode(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", SOPInstanceUID="1.2.4", Modality="SR")
    return start + item


@pytest.mark.parametrize(
    ("depth", "undefined", "error"),
    [
        (20, False, None),
        (20, True, None),
        (1000, False, ErrorCode.LIMIT_EXCEEDED),
        (1000, True, ErrorCode.CORRUPT_HEADER),
    ],
)
def test_reports_nested_deep(depth: int, undefined: bool, error: ErrorCode | None) -> None:
    found = read_content(nested_report(depth, undefined=undefined), "1.2.840.10008.5.1.4.1.1.88.33")
    assert found.error_code is error
    assert len(found.rows) == (error is None)


def test_many_frames_of_a_hundred_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = generate_uid()
    frames = [
        {
            "SegmentIdentificationSequence": [{"ReferencedSegmentNumber": segment}],
            "DerivationImageSequence": [
                {"SourceImageSequence": [{"ReferencedSOPInstanceUID": source, "ReferencedFrameNumber": frame}]}
            ],
        }
        for segment in range(1, 101)
        for frame in range(1, 11)
    ]
    path = make_dicom(
        tmp_path / "seg.dcm",
        np.zeros((1000, 8, 8), np.uint8),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4",
        SegmentSequence=[{"SegmentNumber": number, "SegmentLabel": "liver"} for number in range(1, 101)],
        PerFrameFunctionalGroupsSequence=frames,
    )
    found = read_file(path)
    assert found.error_code is None
    expected = [(segment, frame) for segment in range(1, 101) for frame in range(1, 11)]
    assert [(row.number, row.target_frame) for row in found.rows] == expected
    monkeypatch.setattr(references, "MAX_REFERENCES", 500)
    found = read_file(path)
    assert (len(found.rows), found.error_code) == (500, ErrorCode.LIMIT_EXCEEDED)
