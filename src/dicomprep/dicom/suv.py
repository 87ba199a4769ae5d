"""Standardized uptake values of PET by body weight, as QIBA's profile has it (PS3.3 C.8.9.1, C.8.9.2, C.8.9.4)."""

import math
import re
from datetime import datetime, timedelta

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.dicom.fast_scan import GE_SCAN_TIME, PHILIPS_SUV
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.numbers import read_numbers
from dicomprep.errors import ExportError, InputError

__all__ = ["SUV_KEYWORDS", "read_suv"]

SUV_KEYWORDS = (
    "PatientWeight", "RadiopharmaceuticalInformationSequence", "DecayCorrection", "CorrectedImage", "SeriesDate",
    "SeriesTime", "AcquisitionDate", "AcquisitionTime", "FrameReferenceTime", "ActualFrameDuration", "SUVType",
)  # fmt: skip
"""What is read of a header for it, beyond what every header is read for; none of it is recorded."""

MAX_HALF_LIVES = 12.0
"""Between injection and scan; what is later is a wrong date."""

WEIGHT_KG = (0.5, 500.0)
"""The least and the greatest weight that is believed."""

_TIME = re.compile(r"(\d{2}):?(\d{2}):?(\d{2})(?:\.(\d{1,6}))?")
Inputs = dict[str, float | str]


def read_suv(frame: FrameAttributes) -> tuple[str, float, Inputs]:
    """The unit, the factor from rescaled values to SUV, and what it was computed from.

    Becquerel per ml times weight over the dose that was left when the scan began. Values that are SUV already have the
    factor 1; those of Philips in counts have theirs in a private element. Raises ExportError with what is missing.
    """
    root = frame.root
    if root.text("Modality") != "PT":
        raise ExportError("SUV is of PET images alone")
    units = (root.text("Units") or "").upper()
    if units == "GML":
        return _stated(root)
    _require_corrected(root)
    if units == "CNTS":
        return _of_counts(root)
    if units != "BQML":
        raise ExportError(f"{label('Units')} is {units or 'missing'}: SUV is computed from BQML, CNTS or GML")
    factor, inputs = _weight_factor(root)
    return "SUVbw g/ml", factor, {"Units": units} | inputs


def _stated(root: Attributes) -> tuple[str, float, Inputs]:
    kind = (root.text("SUVType") or "BW").upper()
    if kind not in ("BW", "LBM", "LBMJAMES128", "LBMJANMA", "IBW"):
        raise ExportError(f"{label('SUVType')} {kind} is not in g/ml")
    return f"SUV{kind.lower()} g/ml", 1.0, {"Units": "GML", "SUVType": kind}


def _require_corrected(root: Attributes) -> None:
    """Corrected Image is of type 2; a file that leaves it out altogether is believed."""
    corrected = set(root.raw("CorrectedImage").decode("ascii", "replace").replace(" ", "").upper().split("\\")) - {""}
    missing = {"ATTN": "attenuation", "DECY": "decay"}
    lacking = [name for code, name in missing.items() if corrected and code not in corrected]
    if lacking:
        raise ExportError(f"the images are not corrected for {' and '.join(lacking)}: {label('CorrectedImage')}")


def _of_counts(root: Attributes) -> tuple[str, float, Inputs]:
    """Philips states the factor to SUV, else that to becquerel per ml."""
    to_suv, to_activity = (_private(root, tag) for tag in PHILIPS_SUV[1:])
    if to_suv:
        return "SUVbw g/ml", to_suv, {"Units": "CNTS", "SUVScaleFactor": to_suv}
    if not to_activity:
        raise ExportError(f"{label('Units')} is CNTS, and Philips' factors (7053,1000) and (7053,1009) are missing")
    factor, inputs = _weight_factor(root)
    known: Inputs = {"Units": "CNTS", "ActivityConcentrationScaleFactor": to_activity}
    return "SUVbw g/ml", factor * to_activity, known | inputs


def _private(root: Attributes, tag: int) -> float | None:
    if root.raw_of(PHILIPS_SUV[0]).strip(b" \0") != b"Philips PET Private Group":
        return None
    numbers = read_numbers(root.raw_of(tag))
    return numbers[0] if numbers and numbers[0] > 0 else None


def _weight_factor(root: Attributes) -> tuple[float, Inputs]:
    weight = _positive(root, "PatientWeight")
    if not WEIGHT_KG[0] <= weight <= WEIGHT_KG[1]:
        raise ExportError(f"{label('PatientWeight')} is {weight:g} kg, which is no person's")
    drug = root.item("RadiopharmaceuticalInformationSequence")
    if drug is None:
        raise ExportError(f"{label('RadiopharmaceuticalInformationSequence')} is missing")
    dose, half_life = _positive(drug, "RadionuclideTotalDose"), _positive(drug, "RadionuclideHalfLife")
    inputs: Inputs = {"PatientWeight": weight, "RadionuclideTotalDose": dose, "RadionuclideHalfLife": half_life}
    correction = (root.text("DecayCorrection") or "").upper()
    inputs["DecayCorrection"] = correction
    if correction == "START":
        seconds, since = _decay_seconds(root, drug, half_life)
        inputs |= {"decay_seconds": seconds, "decay_until": since}
        dose *= 2 ** (-seconds / half_life)
    elif correction != "ADMIN":
        raise ExportError(f"{label('DecayCorrection')} is {correction or 'missing'}: SUV needs START or ADMIN")
    return weight * 1000 / dose, inputs


def _positive(attributes: Attributes, keyword: str) -> float:
    try:
        value = attributes.number(keyword)
    except InputError as error:
        raise ExportError(error.detail) from error
    if value is None or value <= 0:
        raise ExportError(f"{label(keyword)} is {'missing' if value is None else f'{value:g}'}")
    return value


def _decay_seconds(root: Attributes, drug: Attributes, half_life: float) -> tuple[float, str]:
    """From the injection to the time for which the images are corrected, and which attributes say so."""
    scan, source = _scan_start(root, half_life)
    stated = _moment(
        (drug.text("RadiopharmaceuticalStartDateTime") or "")[:8],
        (drug.text("RadiopharmaceuticalStartDateTime") or "")[8:],
    )
    if stated is not None:
        seconds = (scan - stated).total_seconds()
    else:
        injected = _moment(scan.strftime("%Y%m%d"), drug.text("RadiopharmaceuticalStartTime"))
        if injected is None:
            raise ExportError(f"{label('RadiopharmaceuticalStartTime')} is missing")
        seconds = (scan - injected) % timedelta(days=1) / timedelta(seconds=1)  # across midnight
    if not 0 <= seconds <= MAX_HALF_LIVES * half_life:
        raise ExportError(f"the scan begins {seconds:.0f} s after the injection, whose half-life is {half_life:g} s")
    return seconds, source


def _scan_start(root: Attributes, half_life: float) -> tuple[datetime, str]:
    """When the scan began: Series Time, unless that is when a later series was made of it.

    Then GE states it in a private element; elsewhere the frame's own times lead back to it.
    """
    series = _moment(root.text("SeriesDate") or root.text("StudyDate"), root.text("SeriesTime"))
    acquired = _moment(root.text("AcquisitionDate") or root.text("SeriesDate"), root.text("AcquisitionTime"))
    if series is not None and (acquired is None or series <= acquired):
        return series, "SeriesTime"
    if root.raw_of(GE_SCAN_TIME[0]).strip(b" \0") == b"GEMS_PETD_01":
        text = root.raw_of(GE_SCAN_TIME[1]).decode("ascii", "replace").strip(" \0")
        if (stated := _moment(text[:8], text[8:])) is not None:
            return stated, "GE scan time (0009,100D)"
    if acquired is None:
        raise ExportError(f"{label('SeriesTime')} and {label('AcquisitionTime')} are missing")
    reference, duration = (_positive(root, name) / 1000 for name in ("FrameReferenceTime", "ActualFrameDuration"))
    decay = math.log(2) / half_life
    average = math.log(decay * duration / (1 - math.exp(-decay * duration))) / decay
    return acquired - timedelta(seconds=reference - average), "AcquisitionTime and FrameReferenceTime"


def _moment(day: str | None, time: str | None) -> datetime | None:
    """A date and a time of DICOM; None where one of them is not there or is none."""
    match = _TIME.match(time or "")
    digits = (day or "").replace(".", "").replace("-", "")
    if match is None or not re.fullmatch(r"\d{8}", digits):
        return None
    hour, minute, second, fraction = match.groups()
    try:
        moment = datetime(int(digits[:4]), int(digits[4:6]), int(digits[6:]), int(hour), int(minute), int(second))
    except ValueError:
        return None
    return moment + timedelta(microseconds=int((fraction or "0").ljust(6, "0")))
