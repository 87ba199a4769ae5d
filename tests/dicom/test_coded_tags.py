"""Views and regions by code, and pictures that show a label: what the header says beyond its code strings."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from dicomprep.dicom.codes import REGIONS, VIEWS
from dicomprep.dicom.header import read_header
from dicomprep.models import Instance
from dicomprep.privacy.burned_in import Reason, Risk, assess_risk
from dicomprep.storage.local_source import LocalSource
from tests.building import make_dicom

SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def instance_of(folder: Path, **attributes: Any) -> Instance:
    with LocalSource.at(make_dicom(folder / "a.dcm", **attributes)).open() as file:
        return read_header(file, max_bytes=2**20).instance()


def code(value: str, scheme: str = "SCT", meaning: str = "DOE^JOHN") -> list[dict[str, Any]]:
    return [{"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}]


def shared(**of_all: Any) -> dict[str, Any]:
    return {"SharedFunctionalGroupsSequence": [of_all]}


def per_frame(**of_one: Any) -> dict[str, Any]:
    return {"PerFrameFunctionalGroupsSequence": [of_one]}


@pytest.mark.parametrize(
    ("attributes", "view"),
    [
        ({"ViewCodeSequence": code("R-102D0", "SRT")}, "SIO"),
        ({"ViewCodeSequence": code("399192008")}, "XCCL"),
        ({"ViewCodeSequence": code("R-10206", "SNM3")}, "AP"),
        ({"ViewCodeSequence": code("399173006"), "ViewPosition": ""}, "LL"),
        ({"ViewCodeSequence": code("399173006"), "ViewPosition": "DOE"}, "LL"),
        ({"ViewCodeSequence": code("399173006"), "ViewPosition": "PA"}, "PA"),
        ({"ViewCodeSequence": [*code("1"), *code("399352003")]}, "LM"),
        ({"ViewCodeSequence": code("399162004", "99ACME")}, None),
        ({"ViewCodeSequence": code("DOE", meaning="cranio-caudal")}, None),
        ({"ViewCodeSequence": []}, None),
    ],
)
def test_views_by_code(tmp_path: Path, attributes: dict[str, Any], view: str | None) -> None:
    assert instance_of(tmp_path, **attributes).tags.view_position == view


@pytest.mark.parametrize(
    ("attributes", "part"),
    [
        ({"AnatomicRegionSequence": code("816094009")}, "CHEST"),
        ({"AnatomicRegionSequence": code("51185008")}, "CHEST"),
        ({"AnatomicRegionSequence": code("T-D6000", "SNM3")}, "PELVIS"),
        ({"AnatomicRegionSequence": code("T-D8600", "SRT"), "BodyPartExamined": "DOE"}, "WRIST"),
        ({"AnatomicRegionSequence": code("T-D8600", "SRT"), "BodyPartExamined": "HAND"}, "HAND"),
        ({"AnatomicRegionSequence": code("1", meaning="CHEST")}, None),
        (per_frame(FrameAnatomySequence=[{"AnatomicRegionSequence": code("T-A0100", "SRT")}]), "BRAIN"),
        ({**shared(FrameAnatomySequence=[{"FrameLaterality": "L"}]), "AnatomicRegionSequence": code("T-04000", "SRT")},
         "BREAST"),
    ],
)  # fmt: skip
def test_regions_by_code(tmp_path: Path, attributes: dict[str, Any], part: str | None) -> None:
    assert instance_of(tmp_path, **attributes).tags.body_part == part


def test_a_head_by_code_may_show_a_face(tmp_path: Path) -> None:
    found = instance_of(tmp_path, Modality="MR", AnatomicRegionSequence=code("T-D1100", "SRT"))
    assert (found.tags.body_part, found.tags.recognisable_face) == ("HEAD", 1)


@pytest.mark.parametrize(
    ("context", "terms"), [(4010, VIEWS), (4014, VIEWS), (4015, VIEWS), (4009, REGIONS), (4031, REGIONS)]
)
def test_every_code_of_the_standard_has_a_term(context: int, terms: dict[str, str]) -> None:
    names = cid_concepts[context]["SCT"]
    codes = {value for name in names for value, (_, groups) in concepts["SCT"][name].items() if context in groups}
    assert codes and codes <= terms.keys()


SLIDE_OF = {"SOPClassUID": SLIDE, "Modality": "SM", "BurnedInAnnotation": "NO"}


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({**SLIDE_OF, "ImageType": ["DERIVED", "PRIMARY", "LABEL", "NONE"]}, Reason.SLIDE_LABEL),
        ({**SLIDE_OF, **shared(WholeSlideMicroscopyImageFrameTypeSequence=[{"FrameType": "OVERVIEW"}])},
         Reason.SLIDE_LABEL),
        ({**SLIDE_OF, "ImageType": ["DERIVED", "PRIMARY", "LOCALIZER", "NONE"]}, Reason.SLIDE_LABEL),
        ({"SOPClassUID": CAPTURE, "Modality": "OT", "ImageType": ["DERIVED", "LABEL"]}, Reason.SLIDE_LABEL),
        ({"Modality": "XC", "SpecimenLabelInImage": "YES"}, Reason.SLIDE_LABEL),
        ({"Modality": "XC", "RecognizableVisualFeatures": "YES"}, Reason.RECOGNIZABLE),
        (shared(UnassignedSharedConvertedAttributesSequence=[{"BurnedInAnnotation": "YES"}]), Reason.STATED),
        (per_frame(UnassignedPerFrameConvertedAttributesSequence=[{"BurnedInAnnotation": "YES"}]), Reason.STATED),
        (shared(CTImageFrameTypeSequence=[{"FrameType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}]), Reason.SCREEN),
    ],
)  # fmt: skip
def test_what_shows_a_person_is_of_high_risk(tmp_path: Path, attributes: dict[str, Any], reason: Reason) -> None:
    found = instance_of(tmp_path, **attributes).reasons
    assert reason in found
    assert assess_risk(found) is Risk.HIGH


@pytest.mark.parametrize(
    "attributes",
    [
        {**SLIDE_OF, "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "SpecimenLabelInImage": "NO"},
        {**SLIDE_OF, "ImageType": ["DERIVED", "PRIMARY", "THUMBNAIL", "RESAMPLED"], "SpecimenLabelInImage": "NO"},
        {**SLIDE_OF, "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"], "SpecimenLabelInImage": "NO"},
        {"SOPClassUID": CT_IMAGE, "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"SOPClassUID": CT_IMAGE, "RecognizableVisualFeatures": "YES"},
    ],
)
def test_what_shows_none_is_not(tmp_path: Path, attributes: dict[str, Any]) -> None:
    assert assess_risk(instance_of(tmp_path, **attributes).reasons) is not Risk.HIGH


def test_a_thumbnail_that_does_not_say_is_looked_at(tmp_path: Path) -> None:
    attributes = {**SLIDE_OF, "ImageType": ["DERIVED", "PRIMARY", "THUMBNAIL", "RESAMPLED"]}
    assert instance_of(tmp_path, **attributes).reasons == (Reason.MODALITY,)
