"""What an image is: by its class, its Image Type, or the words that vendors use (docs/examinations.md)."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from dicomprep.dicom.header import read_header
from dicomprep.privacy.allow_list import Tags
from dicomprep.storage.local_source import LocalSource
from tests.building import make_dicom
from tests.dicom.test_coded_tags import code, per_frame, shared

STORAGE = "1.2.840.10008.5.1.4.1.1"
CT, MR, PT, MG, DX, SC = (f"{STORAGE}.{n}" for n in ("2", "4", "128", "1.2", "1.1", "7"))
SLIDE = {"SOPClassUID": f"{STORAGE}.77.1.6", "Modality": "SM"}
GE, SIEMENS, PHILIPS, CANON = (
    {"Manufacturer": name} for name in ("GE MEDICAL SYSTEMS", "SIEMENS", "Philips", "Canon Medical Systems")
)


def tags_of(folder: Path, **attributes: Any) -> Tags:
    with LocalSource.at(make_dicom(folder / "a.dcm", **attributes)).open() as file:
        return read_header(file, max_bytes=2**20).instance().tags


def image(sop: str, modality: str, image_type: str = "", description: str = "", **more: Any) -> dict[str, Any]:
    said = {"SOPClassUID": sop, "Modality": modality, "SeriesDescription": description}
    return said | ({"ImageType": image_type.split("\\")} if image_type else {}) | more


BY_VENDOR = [
    (image(CT, "CT", "ORIGINAL\\PRIMARY\\LOCALIZER", "Scout", **GE), "localizer"),
    (image(CT, "CT", "ORIGINAL\\PRIMARY\\LOCALIZER\\CT_SOM5 TOP", "Topogram  0.6  T20s", **SIEMENS), "localizer"),
    (image(CT, "CT", "ORIGINAL\\PRIMARY\\OTHER", "Topogramm", **SIEMENS), "localizer"),
    (image(CT, "CT", "ORIGINAL\\PRIMARY", "Surview", **PHILIPS), "localizer"),
    (image(CT, "CT", "ORIGINAL\\PRIMARY\\SCANOSCOPE", "", **CANON), "localizer"),
    (image(CT, "CT", "ORIGINAL\\PRIMARY\\AXIAL", "SCANOGRAM", **CANON,
           ImageOrientationPatient=[1, 0, 0, 0, 0, -1]), "localizer"),
    (image(CT, "CT", "ORIGINAL\\PRIMARY\\AXIAL", "AX after scout",
           ImageOrientationPatient=[1, 0, 0, 0, 1, 0]), "original"),
    (image(MR, "MR", "ORIGINAL\\PRIMARY\\OTHER", "3-Plane Loc SSFSE", **GE), "localizer"),
    (image(MR, "MR", "ORIGINAL\\PRIMARY\\M\\ND\\NORM", "AAHead_Scout", **SIEMENS), "localizer"),
    (image(MR, "MR", "ORIGINAL\\PRIMARY\\M\\ND", "localizer_3pl", **SIEMENS), "localizer"),
    (image(MR, "MR", "ORIGINAL\\PRIMARY\\M\\ND", "", ProtocolName="localizer", **SIEMENS), "localizer"),
    (image(MR, "MR", "ORIGINAL\\PRIMARY\\M_FFE\\M\\FFE", "Survey", **PHILIPS), "localizer"),
    (image(MR, "MR", "ORIGINAL\\PRIMARY\\M\\ND", "TI_scout", **SIEMENS), "original"),
    (image(MR, "MR", "ORIGINAL\\PRIMARY\\M", "needle loc breast"), "original"),
    (image(MR, "MR", "ORIGINAL\\PRIMARY\\M\\ND", "T2 localized pain", **SIEMENS), "original"),
    (image(DX, "DX", "ORIGINAL\\PRIMARY", "ABDOMEN SCOUT"), "original"),
    (image(CT, "CT", "ORIGINAL\\PRIMARY\\AXIAL", "CT survey chest"), "original"),
    (image(MR, "MR", **shared(MRImageFrameTypeSequence=[{"FrameType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}])),
     "localizer"),
    (image(MR, "MR", **per_frame(MRImageFrameTypeSequence=[{"FrameType": ["DERIVED", "PRIMARY", "MIP"]}])), "derived"),
    (image(CT, "CT", "DERIVED\\SECONDARY\\REFORMATTED\\AVERAGE", **GE), "derived"),
    (image(CT, "CT", "DERIVED\\SECONDARY\\AXIAL\\CT_SOM5 MPR", **SIEMENS), "derived"),
    (image(MR, "MR", "DERIVED\\SECONDARY\\PROJECTION IMAGE\\CSA MIP", **SIEMENS), "derived"),
    (image(MR, "MR", "DERIVED\\PRIMARY\\M\\NONE\\SUB", **SIEMENS), "derived"),
    (image(MR, "MR", "ORIGINAL\\PRIMARY\\MPR", **PHILIPS), "derived"),
    (image(MR, "MR", "", "COR MIP"), "derived"),
    (image(CT, "CT", "DERIVED\\PRIMARY\\AXIAL", LossyImageCompression="01"), "original"),
    (image(CT, "CT", "DERIVED\\PRIMARY\\AXIAL"), "derived"),
    (image(MG, "MG", "DERIVED\\PRIMARY\\\\GENERATED_2D"), "derived"),
    (image(MG, "MG", "DERIVED\\PRIMARY"), "original"),
    (image(DX, "DX", "DERIVED\\PRIMARY"), "original"),
    (image(SC, "CT", "DERIVED\\SECONDARY\\SCREEN SAVE", "Dose Report", **GE), "screen"),
    (image(SC, "CT", "DERIVED\\SECONDARY\\OTHER\\CT_SOM5 PROT", "Patient Protocol", **SIEMENS), "screen"),
    (image(CT, "CT", "ORIGINAL\\PRIMARY\\OTHER", "Patient Protocol", **SIEMENS), "screen"),
    (image(SC, "CT", "", "Patientenprotokoll", **SIEMENS), "screen"),
    (image(SC, "CT", "DERIVED\\SECONDARY", "Dose Info", **PHILIPS), "screen"),
    (image(SC, "CT", "", "Dose_Report", **CANON), "screen"),
    (image(SC, "DOC"), "screen"),
    (image(SC, "OT", ConversionType="SD"), "screen"),
    (image(SC, "CR", ConversionType="WSD"), "original"),
    (image(SC, "CR", ConversionType="DF"), "original"),
    (image(CT, "CT", "ORIGINAL\\PRIMARY\\AXIAL", "low dose chest"), "original"),
    (image(f"{STORAGE}.66.4", "SEG", "DERIVED\\PRIMARY"), "mask"),
    (image(f"{STORAGE}.481.2", "RTDOSE"), "dose"),
    (image(f"{STORAGE}.30", "MR", "DERIVED\\PRIMARY\\VOLUME\\ADC"), "map"),
    (image(SC, "OT", "", "TG18-QC 2k"), "test_pattern"),
    (image(SC, "OT", "", "SMPTE"), "test_pattern"),
    (image(CT, "CT", "ORIGINAL\\PRIMARY\\AXIAL", "QC Phantom"), "original"),
    ({**SLIDE, "ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]}, "slide_label"),
    ({**SLIDE, "ImageType": ["ORIGINAL", "PRIMARY", "OVERVIEW", "NONE"]}, "slide_label"),
    ({**SLIDE, "ImageType": ["DERIVED", "PRIMARY", "THUMBNAIL"], "SpecimenLabelInImage": "YES"}, "slide_label"),
    ({**SLIDE, "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]}, "original"),
    ({**SLIDE, "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SpecimenLabelInImage": "NO"}, "original"),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "kind"), BY_VENDOR)
def test_kinds_by_vendor(tmp_path: Path, attributes: dict[str, Any], kind: str) -> None:
    found = tags_of(tmp_path, **attributes)
    assert (found.kind, bool(found.kind_reason)) == (kind, True)


REAL = {
    "dicomdirtests/98892001/CT2N/6293": "localizer",
    "dicomdirtests/98892003/MR1/15820": "localizer",
    "dicomdirtests/98892003/MR2/4981": "localizer",
    "dicomdirtests/98892003/MR700/4467": "derived",
    "dicomdirtests/77654033/CT2/17106": "original",
    "dicomdirtests/98892001/CT5N/2062": "original",
    "CT_small.dcm": "original",
    "MR_small.dcm": "derived",
    "examples_overlay.dcm": "derived",
    "rtdose.dcm": "dose",
    "liver_1frame.dcm": "mask",
    "SC_rgb_rle.dcm": "derived",
}
"""Files of pydicom."""


@pytest.mark.parametrize(("name", "kind"), REAL.items())
def test_kinds_of_real_files(name: str, kind: str) -> None:
    path = get_testdata_file(name)
    assert path is not None
    with LocalSource.at(Path(str(path))).open() as file:
        assert read_header(file, max_bytes=2**28).instance().tags.kind == kind


def test_a_reason_quotes_nothing_of_anyone(tmp_path: Path) -> None:
    found = tags_of(tmp_path, **image(CT, "CT", "ORIGINAL\\PRIMARY", "Scout Mueller 0171 234567"))
    assert found.kind_reason == "Series Description SCOUT"


@pytest.mark.parametrize(
    ("modifiers", "said"),
    [
        ([*code("399163009"), *code("399055006")], "MAGNIFICATION,SPOT_COMPRESSION"),
        (code("R-102D5", "SRT"), "IMPLANT_DISPLACED"),
        (code("111069", "DCM"), "CROSSTABLE"),
        (code("399163009", "99ACME"), None),
        (code("DOE"), None),
    ],
)
def test_modifiers_of_a_view(tmp_path: Path, modifiers: list[dict[str, Any]], said: str | None) -> None:
    view = [{**code("399162004")[0], "ViewModifierCodeSequence": modifiers}]
    found = tags_of(tmp_path, **image(MG, "MG"), ViewCodeSequence=view)
    assert (found.view_position, found.view_modifiers) == ("CC", said)


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("R CC", ("CC", "R", None)),
        ("LMLO", ("MLO", "L", None)),
        ("MAMMO, R-CC", ("CC", "R", None)),
        ("L MLO Tomosynthesis Reconstruction", ("MLO", "L", None)),
        ("RIGHT XCCL", ("XCCL", "R", None)),
        ("RMML", ("ML", "R", "MAGNIFICATION")),
        ("LCCID", ("CC", "L", "IMPLANT_DISPLACED")),
        ("L ML spot mag", ("ML", "L", "MAGNIFICATION,SPOT_COMPRESSION")),
        ("CC and MLO", (None, None, None)),
        ("Accmann", (None, None, None)),
    ],
)
def test_labels_of_mammograms(tmp_path: Path, description: str, said: tuple[str | None, ...]) -> None:
    found = tags_of(tmp_path, **image(MG, "MG", "", description))
    assert (found.view_position, found.laterality, found.view_modifiers) == said
    coded = tags_of(tmp_path, **image(MG, "MG", "", description), ViewPosition="SIO", ImageLaterality="B")
    assert (coded.view_position, coded.laterality) == ("SIO", "B")
    assert tags_of(tmp_path, **image(DX, "DX", "", description)).view_position is None


@pytest.mark.parametrize(
    ("attributes", "intent"),
    [
        (image(MG, "MG", PresentationIntentType="FOR PROCESSING"), "FOR PROCESSING"),
        (image(f"{MG}.1", "MG"), "FOR PROCESSING"),
        (image(DX, "DX", PresentationIntentType="DOE"), "FOR PRESENTATION"),
        (image(CT, "CT"), None),
    ],
)
def test_what_an_image_is_intended_for(tmp_path: Path, attributes: dict[str, Any], intent: str | None) -> None:
    assert tags_of(tmp_path, **attributes).presentation_intent == intent
