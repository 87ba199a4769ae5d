"""Standardized uptake values, and what is missing for them."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

import dicomprep
from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.suv import read_suv
from tests.building import dataset_of
from tests.running import Place
from tests.volumes.scenes import even, make_stack

HALF_LIFE = 6586.2
DRUG = {
    "RadionuclideTotalDose": 4e8,
    "RadionuclideHalfLife": HALF_LIFE,
    "RadiopharmaceuticalStartTime": "090000.0",
}
PET: dict[str, Any] = {
    "Modality": "PT",
    "Units": "BQML",
    "PatientWeight": 70,
    "CorrectedImage": ["DECY", "ATTN", "SCAT"],
    "DecayCorrection": "START",
    "SeriesDate": "20240301",
    "SeriesTime": "100000",
    "AcquisitionDate": "20240301",
    "AcquisitionTime": "100000",
    "RadiopharmaceuticalInformationSequence": [DRUG],
}


def factor_of(**changes: Any) -> float:
    return suv_of(dataset_of(**PET | changes))[1]


def suv_of(dataset: Dataset) -> tuple[str, float, dict[str, Any]]:
    return read_suv(FrameAttributes(Attributes.of(dataset), 0))


def expected(seconds: float) -> float:
    return 70_000 / (4e8 * 2 ** (-seconds / HALF_LIFE))


def with_drug(**changes: Any) -> dict[str, Any]:
    return {"RadiopharmaceuticalInformationSequence": [DRUG | changes]}


def test_the_dose_decays_until_the_scan_begins() -> None:
    assert factor_of() == pytest.approx(expected(3600))
    assert factor_of(DecayCorrection="ADMIN") == pytest.approx(expected(0))
    midnight = {"SeriesTime": "001000", "AcquisitionTime": "001500"} | with_drug(RadiopharmaceuticalStartTime="235000")
    assert factor_of(**midnight) == pytest.approx(expected(1200))
    dated = with_drug(RadiopharmaceuticalStartDateTime="20240229230000.00")
    assert factor_of(**dated) == pytest.approx(expected(11 * 3600))
    assert factor_of(AcquisitionTime="101500") == pytest.approx(expected(3600))


def test_a_series_made_later_is_traced_back_to_its_scan() -> None:
    later: dict[str, Any] = {"SeriesTime": "150000"}
    frames = later | {"FrameReferenceTime": 1000.0 * 60, "ActualFrameDuration": 120_000}
    assert factor_of(**frames) == pytest.approx(expected(3600 - 60 + 59.87), rel=1e-4)
    ge = dataset_of(**PET | later)
    ge.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20240301100500.00")
    assert suv_of(ge)[1] == pytest.approx(expected(3900))
    with pytest.raises(dicomprep.ExportError, match="Frame Reference Time"):
        factor_of(**later)


def test_values_of_philips_and_values_that_are_suv() -> None:
    philips = dataset_of(**PET | {"Units": "CNTS"})
    block = philips.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x09, "DS", "2.5")
    assert suv_of(philips)[1] == pytest.approx(2.5 * expected(3600))
    block.add_new(0x00, "DS", "0.001")
    assert suv_of(philips)[:2] == ("SUVbw g/ml", 0.001)
    assert suv_of(dataset_of(**PET | {"Units": "GML"}))[:2] == ("SUVbw g/ml", 1.0)
    assert suv_of(dataset_of(**PET | {"Units": "GML", "SUVType": "LBM"}))[:2] == ("SUVlbm g/ml", 1.0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"PatientWeight": None}, r"Patient's Weight \(0010,1030\) is missing"),
        ({"PatientWeight": 0}, "Weight .* is 0"),
        ({"PatientWeight": 70_000}, "which is no person's"),
        (with_drug(RadionuclideTotalDose=None), "Radionuclide Total Dose .* is missing"),
        (with_drug(RadionuclideHalfLife=None), "Radionuclide Half Life .* is missing"),
        (with_drug(RadiopharmaceuticalStartTime=None), "Radiopharmaceutical Start Time .* is missing"),
        ({"RadiopharmaceuticalInformationSequence": None}, "Radiopharmaceutical Information Sequence .* is missing"),
        ({"DecayCorrection": "NONE"}, "Decay Correction .* is NONE"),
        ({"CorrectedImage": ["DECY"]}, "not corrected for attenuation"),
        ({"Units": "PROPCNTS"}, "Units .* is PROPCNTS"),
        ({"Units": "CNTS"}, "Philips' factors"),
        ({"Units": "GML", "SUVType": "BSA"}, "BSA is not in g/ml"),
        ({"SeriesTime": None, "AcquisitionTime": None}, "are missing"),
        (with_drug(RadiopharmaceuticalStartDateTime="20240302100000"), "after the injection"),
        ({"Modality": "NM"}, "of PET images alone"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(dicomprep.ExportError, match=reason):
        factor_of(**changes)


def test_a_volume_says_what_its_suv_is_made_of_and_the_database_does_not(tmp_path: Any) -> None:
    place = Place(tmp_path)
    attributes = {**PET, "PatientWeight": 71.375, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128"}
    slopes = [{"RescaleSlope": slope} for slope in (1.5, 2.25, 3)]
    uid = make_stack(place.source, "pet", even(3, (0, 0, 2)), each=slopes, **attributes)
    place.run()
    volume = dicomprep.volume(uid, db=place.db, values="auto")
    activity = dicomprep.volume(uid, db=place.db, values="rescaled")
    assert (volume.unit, activity.unit, volume.array.dtype) == ("SUVbw g/ml", "BQML", np.float32)
    assert volume.inputs["PatientWeight"] == 71.375
    assert volume.inputs["decay_seconds"] == 3600
    np.testing.assert_allclose(volume.array, activity.array * volume.inputs["factor"], rtol=1e-6)
    assert b"71.375" not in place.db.read_bytes()
