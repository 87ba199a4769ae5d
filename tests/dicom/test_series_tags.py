"""Plane, kernel, contrast and weighting, by vendor: labeled by hand (docs/examinations.md)."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from dicomprep.dicom.header import read_header
from dicomprep.dicom.kernels import read_kernel
from dicomprep.dicom.planes import describe_plane
from dicomprep.privacy.allow_list import Tags
from dicomprep.storage.local_source import LocalSource
from tests.building import make_dicom
from tests.dicom.test_coded_tags import per_frame, shared
from tests.dicom.test_kinds import tags_of

PLANES = {
    r"1\0\0\0\1\0": "axial",
    r"-1\0\0\0\-1\0": "axial",
    r"0.7071\0.7071\0\-0.7071\0.7071\0": "axial",  # turned within its plane
    r"1\0\0\0\0.866\-0.5": "axial",  # a gantry tilted by 30 degrees
    r"1\0\0\0\0.9272\-0.3746": "axial",
    r"1\0\0\0\0\-1": "coronal",
    r"1\0\0\0\-0.0244\-0.9997": "coronal",
    r"0\1\0\0\0\-1": "sagittal",
    r"0.05\0.9987\0\0\0\-1": "sagittal",
    r"0.1428\0.9898\0\0\0\-1": "sagittal",
    r"-0.6562\0.7546\0\0\0\-1": "oblique",
    r"0.7071\0.7071\0\0\0\-1": "oblique",
    r"0.7071\0\-0.7071\-0.5\0.7071\-0.5": "oblique",  # along no axis: 45, 60 and 60 degrees
    r"0.60883\0.790737\0.063724\-0.142762\0.188227\-0.971694": "oblique",  # coronal by 37.4 degrees
    r"0\0\0\0\0\0": "unknown",
    r"1\0\0\1\0\0": "unknown",
    r"2\0\0\0\2\0": "unknown",
}


def test_planes() -> None:
    assert {cosines: describe_plane(cosines)[0] for cosines in PLANES} == PLANES
    assert describe_plane(None) == ("unknown", "no Image Orientation (Patient)")


def test_frames_in_different_planes_are_in_none(tmp_path: Path) -> None:
    planes = [[1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1]]
    groups = [{"PlaneOrientationSequence": [{"ImageOrientationPatient": plane}]} for plane in planes]
    alike, mixed = per_frame(**groups[1]), per_frame(**groups[0])
    mixed["PerFrameFunctionalGroupsSequence"] = [
        *mixed["PerFrameFunctionalGroupsSequence"],
        *alike["PerFrameFunctionalGroupsSequence"],
    ]
    found = [tags_of(tmp_path, Modality="MR", **groups) for groups in (alike, mixed)]
    assert [tags.plane for tags in found] == ["sagittal", "unknown"]
    assert found[1].plane_reason == "frames lie in different planes"


def kernels(manufacturer: str, **classes: str) -> list[tuple[str, str, dict[str, Any], str]]:
    return [(manufacturer, kernel, {}, found) for found, names in classes.items() for kernel in names.split(", ")]


KERNELS = [
    *kernels(
        "SIEMENS",
        soft="B10f, B19f, B20f, B25f, B30f, B30s, B31f, B31s, B35f, B40f, B41s, B45f, B46f, I26f, I30f, I31f, I41f"
        ", J30s, J40s, H10s, H19s, H20f, H30s, H31s, H31h, H37s, H40s, H48s, C20s, C30f, D26f, D30f, D33f, Q30f, Q40f"
        ", Br36d, Br38f, Br40f, Br44d, Br40d\\3, Bf37f, Bv36d, Bv40f, Hr32d, Hr36f, Hr38h, Hr40f, Hf38s, Hv36d, Qr36d"
        ", Qr40f, Br40, Sa36f",
        bone="B60s, B70s, B70h, H60s, H60f, H70h, H70s, U70u, U90s, J70h, Br60f, Br64d, Br68f, Br69d, Hr60f, Hr64h"
        ", Hr68h, Ur77u, Ub69d",
        lung="B50f, B60f, B70f, B75f, B80f, I50f, I70f, Bl54f, Bl57d, Bl57f\\3, Bl60f, Bl64d",
        unknown="T20f, T80s, Tr20f",
    ),
    *kernels(
        "GE MEDICAL SYSTEMS",
        soft="STANDARD, SOFT, STND, STANDARD PLUS, HD STANDARD, DETAIL, CHST",
        bone="BONE, BONEPLUS, BONE PLUS, EDGE, ULTRA, HD BONE",
        lung="LUNG, HD LUNG",
    ),
    *kernels("Philips", soft="A, B, C, UA, UB, UC, XA, XB, XC, CA, CB, CC, SB, Standard", bone="D, E, YC", lung="L"),
    *kernels(
        "TOSHIBA",
        soft="FC01, FC02, FC03, FC04, FC05, FC07, FC08, FC10, FC11, FC12, FC13, FC14, FC17, FC18, FC19, FC20, FC21"
        ", FC23, FC24, FC26, FC41, FC42, FC43, FC44, FC64, FC65, FC67, FC68",
        bone="FC30, FC31, FC35, FC80, FC81",
        lung="FC50, FC51, FC52, FC53, FC55, FC56, FC83, FC84, FC85, FC86",
        unknown="FC00, FC99",
    ),
    *kernels(
        "UIH",
        soft="B_SOFT_A, B_SOFT_B, B_SOFT_C, H_SOFT_B, C_SOFT_BA",
        bone="H_BONE_A, H_SHARP_C, B_BONE_C",
        lung="B_LUNG_A",
    ),
    *kernels("NMS", soft="F10, F20, F30, Standard", bone="Bone20", lung="Lung20"),
    *kernels("Hitachi Medical Corporation", unknown="11, 32, 81"),
    ("SIEMENS", "B70f", {"SeriesDescription": "Knochen 1.0 B70f"}, "bone"),
    ("SIEMENS", "B70f", {"BodyPartExamined": "PELVIS"}, "bone"),
    ("SIEMENS", "B60s", {"SeriesDescription": "Thorax Lunge 2.0"}, "lung"),
    ("SIEMENS", "Br59d", {"WindowCenter": -600, "WindowWidth": 1200}, "lung"),
    ("SIEMENS", "Br59d", {"WindowCenter": 500, "WindowWidth": 2500}, "bone"),
    ("SIEMENS", "B30f", {"SeriesDescription": "Lung screening"}, "soft"),
    ("GE MEDICAL SYSTEMS", "CHST", {"WindowCenter": -700, "WindowWidth": 1500}, "lung"),
    ("GE MEDICAL SYSTEMS", "DETAIL", {"SeriesDescription": "LUNG WINDOW"}, "lung"),
    ("Philips", "YB", {"BodyPartExamined": "CHEST"}, "lung"),
    ("Philips", "D", {"SeriesDescription": "Bone, iDose"}, "bone"),
    ("UIH", "B_SHARP_C", {"SeriesDescription": "Lung 1.0"}, "lung"),
    ("Hitachi Medical Corporation", "81", {"SeriesDescription": "BONE"}, "bone"),
    ("", "BONE", {}, "bone"),
    ("GE MEDICAL SYSTEMS", "", {"SeriesDescription": "LUNG"}, "unknown"),
]


def test_kernels_by_vendor(tmp_path: Path) -> None:
    assert len(KERNELS) > 150
    wrong = []
    for manufacturer, kernel, more, expected in KERNELS:
        said = {"Modality": "CT", "Manufacturer": manufacturer, "ConvolutionKernel": kernel.split("\\"), **more}
        with LocalSource.at(make_dicom(tmp_path / "a.dcm", **said)).open() as file:
            found, reason = read_kernel(read_header(file, max_bytes=2**20).attributes)
        if found != expected or not reason:
            wrong.append((manufacturer, kernel, more, found, reason))
    assert wrong == []


def test_a_kernel_that_holds_a_name_is_not_repeated(tmp_path: Path) -> None:
    tags = tags_of(tmp_path, Modality="CT", ConvolutionKernel="MUELLER ANNA", SeriesDescription="Mueller")
    assert (tags.kernel, tags.kernel_reason) == ("unknown", "Convolution Kernel (another) is of no known class")
    assert tags_of(tmp_path, Modality="MR", ConvolutionKernel="B30f").kernel is None


CONTRAST: list[tuple[dict[str, Any], str | None]] = [
    ({"ContrastBolusAgent": "ISOVUE300/100"}, "yes"),
    ({"ContrastBolusAgent": "11 ml Omniscan"}, "yes"),
    ({"ContrastBolusAgent": "NONE"}, "no"),
    ({"ContrastBolusAgent": "No"}, "no"),
    ({"ContrastBolusAgent": "W/O CONTRAST"}, "no"),
    ({"ContrastBolusAgent": "ohne KM"}, "no"),
    ({"ContrastBolusAgent": "non-ionic"}, "yes"),
    ({"ContrastBolusAgent": ""}, "unknown"),
    ({"ContrastBolusAgent": "UNKNOWN"}, "unknown"),
    ({}, "unknown"),
    ({"ContrastBolusVolume": 100}, "yes"),
    ({"ContrastBolusVolume": 0}, "unknown"),
    ({"ContrastBolusAgentSequence": [{"CodeValue": "C-17800"}]}, "yes"),
    ({"SeriesDescription": "Heart w/o  1.5  B25f  55%", "ProtocolName": "1CTA_CORONARY"}, "no"),
    ({"SeriesDescription": "Brain NonC 4.5 H31s"}, "no"),
    ({"SeriesDescription": "5/5mm Plain"}, "no"),
    ({"SeriesDescription": "Abdomen nativ 5.0"}, "no"),
    ({"SeriesDescription": "Non-contrast head"}, "no"),
    ({"SeriesDescription": "WITHOUT IV CONTRAST"}, "no"),
    ({"SeriesDescription": "Abdomen portalvenös 5.0"}, "yes"),
    ({"SeriesDescription": "Arterial 1.25"}, "yes"),
    ({"SeriesDescription": "Thorax mit KM 5.0"}, "yes"),
    ({"SeriesDescription": "CHEST +C"}, "yes"),
    ({"ProtocolName": "HEAD W AND WO"}, "unknown"),
    ({"SeriesDescription": "C-SPINE"}, "unknown"),
    ({"Modality": "MR", "SeriesDescription": "T1 FS POST GD"}, "yes"),
    ({"Modality": "MR", "SeriesDescription": "AX T1 +C"}, "yes"),
    ({"Modality": "MR", "SeriesDescription": "Arterial spin labeling"}, "unknown"),
    ({"Modality": "MR", "SeriesDescription": "t1 pre"}, "no"),
    ({"Modality": "CR"}, None),
    ({"Modality": "XA", "ContrastBolusAgent": "Visipaque"}, "yes"),
]


def test_contrast(tmp_path: Path) -> None:
    found = [(said, tags_of(tmp_path, **{"Modality": "CT"} | said).contrast) for said, _ in CONTRAST]
    assert found == CONTRAST


def mr(expected: str, description: str = "", **said: Any) -> tuple[dict[str, Any], str]:
    return {"Modality": "MR", "SeriesDescription": description, **said}, expected


def times(repetition: float, echo: float, scanning: str = "SE", **more: Any) -> dict[str, Any]:
    said = {"RepetitionTime": repetition, "EchoTime": echo, "ScanningSequence": scanning.split("\\")}
    return {"ImageType": ["ORIGINAL", "PRIMARY", "M"], **said, **more}


def inversion(time: float) -> dict[str, Any]:
    return {"InversionTime": time}


SPOILED = {"SequenceVariant": ["SP", "OSP"], "FlipAngle": 25}
WEIGHTINGS = [
    mr("FLAIR", "AX T2 FLAIR", **times(9000, 120, "SE\\IR", **inversion(2500))),
    mr("FLAIR", "t2_tirm_tra_dark-fluid", **times(9000, 85, "SE\\IR", **inversion(2500))),
    mr("T1", "Sag T1 FLAIR", **times(2200, 24, "SE\\IR", **inversion(860))),
    mr("T1", "AX FLAIR", **times(2200, 24, "SE\\IR", **inversion(860))),
    mr("T1", "t1_mprage_sag_p2_iso", **times(1900, 2.5, "GR\\IR", **inversion(900))),
    mr("T1", "t1_vibe_fs_tra_bh_dyn"),
    mr("T1", "BRAVO 3D"),
    mr("T1", "Ax LAVA-Flex"),
    mr("T1", "T1W_TSE"),
    mr("T1", "SAG T1 WI SE"),
    mr("T2", "t2_tse_tra_320"),
    mr("T2", "T2W_TSE_clear"),
    mr("T2", "Cor SSFSE"),
    mr("T2", "t2_haste_cor"),
    mr("T2", "MRCP 3D"),
    mr("T2*", "t2*_fl2d_tra"),
    mr("T2*", "AX T2 STAR GRE"),
    mr("T2*", "T2W_FFE"),
    mr("PD", "pd_tse_fs_sag"),
    mr("PD", "PDW SPAIR"),
    mr("PD", "PD T2 dual", **times(3000, 15)),
    mr("T2", "PD T2 dual", **times(3000, 98)),
    mr("STIR", "STIR COR. RT.", **times(4220, 87, "IR\\SE", **inversion(150))),
    mr("DWI", "ep2d_diff_3scan_trace_p2"),
    mr("DWI", "SSh_DWI FAST"),
    mr("DWI", "", DiffusionBValue=1000.0),
    mr("DWI", "", SequenceName="*ep_b1000t"),
    mr("DWI", "", **times(5000, 80, "EP\\SE", SequenceName="ep_b0")),
    mr("T2*", "", **times(2000, 27, "GR", DiffusionBValue=0.0)),  # as Philips writes it in any series
    mr("ADC", "ep2d_diff_3scan_trace_p2_ADC", ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND", "NORM"]),
    mr("DWI", "ep2d_diff", ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION", "TRACEW", "ND", "NORM"]),
    mr("ADC", "Apparent Diffusion Coefficient (mm2/s)"),
    mr("ADC", "dADC", DiffusionBValue=1000.0),
    mr("SWI", "SWI_Images"),
    mr("SWI", "Ax SWAN"),
    mr("MRA", "TOF_3D_multi-slab"),
    mr("MRA", "MRA COW"),
    mr("PERFUSION", "ep2d_perf"),
    mr("PERFUSION", "3D ASL (non-contrast)"),
    mr("FMRI", "BOLD rest"),
    mr("PHASE", "SWI Pha", ImageType=["ORIGINAL", "PRIMARY", "P", "ND"]),
    mr("MAP", "T1 MAP MOLLI"),
    mr("T1", "", **times(500, 12)),
    mr("T1", "", **times(700, 9, FlipAngle=90)),
    mr("T2", "", **times(4000, 102)),
    mr("T2", "", **times(4000, 240)),
    mr("PD", "", **times(4000, 12)),
    mr("FLAIR", "", **times(9000, 125, "SE\\IR", **inversion(2500))),
    mr("FLAIR", "", **times(4000, 194, "SE\\IR", **inversion(1400))),
    mr("STIR", "", **times(4000, 40, "SE\\IR", **inversion(160))),
    mr("T1", "", **times(2300, 3, "GR\\IR", **inversion(900), **SPOILED)),
    mr("T1", "", **times(22, 3.7, "GR", **SPOILED)),
    mr("T2*", "", **times(600, 20, "GR", **SPOILED)),
    mr("T2*", "", **times(2000, 30, "EP\\GR")),
    mr("unknown", "", **times(1400, 50)),
    mr("unknown", "", **times(5, 2.2, "GR", SequenceVariant="SS")),
    mr("unknown", "Müller Anna"),
    mr("unknown", "", ImageType=["ORIGINAL", "PRIMARY", "RAWDATA", "PHYSIO"]),
    mr("T1", "", ImageType=["ORIGINAL", "PRIMARY", "T1", "NONE"]),
    mr("FLAIR", "", AcquisitionContrast="FLUID_ATTENUATED"),
    mr("MRA", "", **shared(MRImageFrameTypeSequence=[{"AcquisitionContrast": "TOF"}])),
]


def test_weightings(tmp_path: Path) -> None:
    wrong = [
        (said, expected, tags.weighting, tags.weighting_reason)
        for said, expected in WEIGHTINGS
        if (tags := tags_of(tmp_path, **said)).weighting != expected or not tags.weighting_reason
    ]
    assert wrong == []


def test_b_values_of_frames_and_vendors(tmp_path: Path) -> None:
    frame = per_frame(MRDiffusionSequence=[{"DiffusionBValue": 800.0}])
    assert tags_of(tmp_path, Modality="MR", **frame).b_values == "800"
    assert tags_of(tmp_path, Modality="MR", SequenceName="*ep_b50#3").b_values == "50"
    assert tags_of(tmp_path, Modality="CT", DiffusionBValue=7.0).b_values is None


def read_tags_of(name: str) -> Tags:
    path = get_testdata_file(name)
    assert path is not None
    with LocalSource.at(Path(str(path))).open() as file:
        return read_header(file, max_bytes=2**28).instance().tags


REAL = {
    "CT_small.dcm": ("axial", "soft", "yes", None),
    "MR_small.dcm": ("axial", None, "unknown", "T2"),
    "dicomdirtests/98892001/CT5N/2062": ("axial", "soft", "unknown", None),
    "dicomdirtests/98892001/CT2N/6293": ("sagittal", "soft", "unknown", None),
    "dicomdirtests/98892003/MR1/15820": ("sagittal", None, "unknown", "unknown"),
    "SC_rgb_rle.dcm": ("unknown", None, None, None),
}
"""Files of pydicom."""


@pytest.mark.parametrize(("name", "expected"), REAL.items())
def test_real_files(name: str, expected: tuple[str | None, ...]) -> None:
    tags = read_tags_of(name)
    assert (tags.plane, tags.kernel, tags.contrast, tags.weighting) == expected
