"""What the viewer writes beside an image: units, spacing, directions, speed; each only where the header says it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicomprep.checks.viewer import FrameView, ViewFrame
from dicomprep.checks.viewer_worker import view_frame
from tests.building import make_dicom
from tests.running import frames_of

PET = {"Modality": "PT", "RescaleSlope": 2, "RescaleIntercept": 0}
DRUG = {"RadionuclideTotalDose": 7e7, "RadionuclideHalfLife": 6586.2, "RadiopharmaceuticalStartTime": "100000"}
INJECTED = {"PatientWeight": 70, "CorrectedImage": ["DECY", "ATTN"], "RadiopharmaceuticalInformationSequence": [DRUG]}
TISSUE = {
    "RegionSpatialFormat": 1, "RegionDataType": 1, "PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3,
    "PhysicalDeltaX": 0.03, "PhysicalDeltaY": 0.03, "RegionFlags": 0, "RegionLocationMinX0": 0,
    "RegionLocationMinY0": 0, "RegionLocationMaxX1": 9, "RegionLocationMaxY1": 9,
}  # fmt: skip
PLANE = {
    "SharedFunctionalGroupsSequence": [{"PlaneOrientationSequence": [{"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}]}]
}


def about(tmp_path: Path, **attributes: Any) -> dict[str, Any]:
    view = view_frame(ViewFrame(str(make_dicom(tmp_path / "x.dcm", frames_of(1)[0], **attributes)), 0))
    assert isinstance(view, FrameView)
    return view.about


@pytest.mark.parametrize(
    ("attributes", "unit"),
    [
        ({"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}, "HU"),
        ({"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": 0}, ""),  # of a page of doses
        (
            {
                "Modality": "CT",
                "RescaleSlope": 1,
                "RescaleIntercept": -1024,
                "ImageType": ["DERIVED", "X", "LOCALIZER"],
            },
            "",
        ),
        ({"Modality": "MR", "RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "HU"}, "HU"),
        ({"Modality": "MR", "RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "US"}, ""),
        ({"Modality": "MR", "RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "Ünal's own"}, ""),
        ({"Modality": "CR"}, ""),
        (PET | {"Units": "BQML"}, "Bq/mL"),
        (PET | {"Units": "1CM"}, "1/cm"),
        (PET | {"Units": "QZXKANARY"}, ""),
    ],
)
def test_units_are_terms(tmp_path: Path, attributes: dict[str, Any], unit: str) -> None:
    said = about(tmp_path, **attributes)
    assert said["unit"] == unit
    assert bool(said["presets"]) is (unit == "HU")


@pytest.mark.parametrize(
    ("attributes", "factor"),
    [
        ({"Units": "BQML", "DecayCorrection": "ADMIN"} | INJECTED, 0.001),
        ({"Units": "BQML", "DecayCorrection": "START"} | INJECTED, None),  # when did the scan begin?
        ({"Units": "BQML", "DecayCorrection": "NONE"} | INJECTED, None),
        ({"Units": "BQML", "DecayCorrection": "ADMIN"} | INJECTED | {"PatientWeight": None}, None),
        ({"Units": "BQML", "DecayCorrection": "ADMIN"} | INJECTED | {"CorrectedImage": ["ATTN"]}, None),
        (
            {"Units": "BQML", "DecayCorrection": "ADMIN"}
            | INJECTED
            | {"RadiopharmaceuticalInformationSequence": [DRUG | {"RadionuclideTotalDose": "1e-320"}]},
            None,
        ),
        ({"Units": "GML"}, 1.0),
        ({"Units": "CNTS"} | INJECTED, None),
    ],
)
def test_suv_is_given_where_it_can_be_computed(
    tmp_path: Path, attributes: dict[str, Any], factor: float | None
) -> None:
    assert about(tmp_path, **(PET | attributes))["suv_factor"] == factor


@pytest.mark.parametrize(
    ("attributes", "directions"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, ("L", "P")),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, ("P", "F")),
        ({"ImageOrientationPatient": [0.8, 0.6, 0, 0, 0, -1]}, ("LP", "F")),
        ({"ImageOrientationPatient": [0.99, 0.1, 0, -0.1, 0.99, 0]}, ("L", "P")),
        ({"PatientOrientation": ["A", "FR"]}, ("A", "FR")),
        ({"PatientOrientation": ["A", "FR"], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, ("L", "P")),
        ({"PatientOrientation": ["Ünal", "F"]}, None),
        ({"PatientOrientation": ["A"]}, None),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, None),
        ({}, None),
        (PLANE, ("P", "F")),
    ],
)
def test_directions_are_those_of_the_patient(
    tmp_path: Path, attributes: dict[str, Any], directions: tuple[str, str] | None
) -> None:
    assert about(tmp_path, **attributes)["directions"] == directions


@pytest.mark.parametrize(
    ("attributes", "spacing", "at_detector"),
    [
        ({"PixelSpacing": [0.5, 0.25]}, (0.5, 0.25), False),
        ({"ImagerPixelSpacing": [0.1, 0.1]}, (0.1, 0.1), True),
        ({"PixelSpacing": [0.08, 0.08], "ImagerPixelSpacing": [0.1, 0.1]}, (0.08, 0.08), False),
        ({"PixelAspectRatio": [2, 1]}, None, False),
        ({"PixelSpacing": [0, 0]}, None, False),
        ({"PixelSpacing": ["1e300", "1e300"]}, None, False),
        ({"Modality": "US", "SequenceOfUltrasoundRegions": [TISSUE]}, (0.3, 0.3), False),
        ({"Modality": "US", "SequenceOfUltrasoundRegions": [TISSUE, TISSUE | {"PhysicalDeltaX": 0.05}]}, None, False),
        ({}, None, False),
    ],
)
def test_spacing_is_in_mm_or_not_given(
    tmp_path: Path, attributes: dict[str, Any], spacing: tuple[float, float] | None, at_detector: bool
) -> None:
    said = about(tmp_path, **attributes)
    assert (said["spacing_mm"], said["is_at_detector"]) == (spacing, at_detector)


@pytest.mark.parametrize(
    ("attributes", "rate"),
    [
        ({"FrameTime": 40}, 25),
        ({"FrameTime": 40, "RecommendedDisplayFrameRate": 15}, 15),
        ({"CineRate": 30, "FrameTime": 40}, 30),
        ({"FrameTimeVector": [0, 50, 50]}, 20),
        ({"FrameTime": 0}, None),
        ({"FrameTime": "1e-300"}, None),
        ({"FrameTimeVector": ["1e308", "1e308"], "FrameTime": 40}, 25),
        ({"FrameTimeVector": ["1e308", "1e308"]}, None),
        ({"FrameTime": 0, "FrameTimeVector": [0, -1]}, None),
        ({}, None),
    ],
)
def test_a_cine_has_the_rate_of_its_file(tmp_path: Path, attributes: dict[str, Any], rate: float | None) -> None:
    assert about(tmp_path, **attributes)["frames_per_second"] == rate


def test_a_value_is_given_by_its_code(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    view = view_frame(ViewFrame(str(make_dicom(tmp_path / "x.dcm", pixels, **PET)), 0))
    assert view.about["rescaled"]
    assert np.frombuffer(view.content[: 4 * view.about["codes"]], "<f4")[:64].tolist() == [2 * n for n in range(64)]
