"""The allow-list of a header as plain values: checked against vocabularies and shapes, so that nothing else gets by.

A code string that holds a name, a manufacturer that holds a number of a person: what has not the form that its
attribute has in truth is left out. Values are kept by their bytes, for the files of a series share most of them.
"""

import json
import math
import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache

from dicomprep.dicom import vocabulary
from dicomprep.dicom.attributes import Attributes, read_code
from dicomprep.dicom.codes import REGIONS, VIEWS, read_coded, read_modifiers
from dicomprep.dicom.contrast import read_contrast
from dicomprep.dicom.diffusion import read_b_values
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.kernels import read_kernel
from dicomprep.dicom.kinds import read_kind
from dicomprep.dicom.mammograms import read_view
from dicomprep.dicom.numbers import read_number, read_whole
from dicomprep.dicom.planes import read_plane_name
from dicomprep.dicom.positions import read_index
from dicomprep.dicom.spacing import read_spacing
from dicomprep.dicom.terms import clinical_terms
from dicomprep.dicom.weighting import Timing, read_timing, read_weighting
from dicomprep.errors import InputError
from dicomprep.privacy.allow_list import AGE_CAP, Tags, is_plausible

__all__ = ["read_extra_tags", "read_tags"]

_KEYWORDS = (
    "Modality", "BodyPartExamined", "ImageLaterality", "Laterality", "ViewPosition", "PatientPosition", "ImageType",
    "PhotometricInterpretation", "Manufacturer", "ManufacturerModelName", "KVP", "XRayTubeCurrent", "ExposureTime",
    "Exposure", "MagneticFieldStrength", "RepetitionTime", "EchoTime", "SeriesNumber", "AcquisitionNumber",
    "PatientSex", "PatientAge", "PatientBirthDate", "StudyDate", "RecognizableVisualFeatures",
    "SeriesDescription", "ProtocolName", "StudyDescription", "PresentationIntentType", "SOPClassUID",
)  # fmt: skip
"""What the tags are made of; of the three descriptions nothing but known words passes."""

_DESCRIPTIONS = ("SeriesDescription", "ProtocolName", "StudyDescription")

_LABELED = ("ViewPosition", "SeriesDescription", "ProtocolName")
"""Where the label of a mammogram may stand."""

MAX_EXTRA_CHARACTERS = 1024
"""Of a text that is recorded by `--tag`."""

Pair = tuple[float | None, float | None]

_WORD = re.compile(r"[A-Z0-9]+")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,&()/+_'-]{0,63}")
_AGE = re.compile(r"([0-9]{1,4})(?:[.]0+)? *(DAYS?|D|WEEKS?|WKS?|W|MONTHS?|MOS?|M|YEARS?|YRS?|Y)?[.]?")
MAX_AGE_YEARS = 130  # 999 is what some write for "not known"
_LONG_NUMBER = re.compile(r"[0-9]{5}|(?:[0-9][^A-Za-z0-9]*){7}")
"""Five digits in a row, or seven with nothing but signs between them."""

_HEAD = re.compile(
    rb"HEAD|BRAIN|SKULL|CRANI|FACE|FACIAL|ORBIT|SINUS|CEREBR|NEURO|PITUITAR|MAXILLO|DENTAL|KOPF|SCH[A\xc4]?E?DEL|HIRN"
    rb"|CRANE|CABEZA|TESTA|HOOFD|MPRAGE|WHOLE.?BODY",
    re.IGNORECASE,
)


def read_tags(root: Attributes) -> Tags:
    """The allow-list of one file. What is missing, malformed or says more than it may is None."""
    frame = FrameAttributes(root, 0)
    thickness, laterality, anatomy = root.raw("SliceThickness"), b"", root
    if frame.is_grouped:
        thickness = frame.find("PixelMeasuresSequence", "PixelSpacing").raw("SliceThickness")
        laterality = frame.find("FrameAnatomySequence", "FrameLaterality").raw("FrameLaterality")
        anatomy = frame.find("FrameAnatomySequence", "AnatomicRegionSequence")
    values = tuple(map(root.raw, _KEYWORDS))
    kind, reason = read_kind(root)
    tags = _compose(values, _spacing(frame), thickness, laterality, *_coded(root, anatomy))._replace(
        rows=read_index(root, "Rows", "rows"),
        columns=read_index(root, "Columns", "columns"),
        kind=kind.value,
        kind_reason=reason,
        view_modifiers=read_modifiers(root) or None,
    )
    tags = _with_series(tags, root)
    return _with_labels(tags, root) if root.code("Modality") == "MG" else tags


def _with_series(tags: Tags, root: Attributes) -> Tags:
    """What says which series of an examination this is."""
    plane, kernel, contrast = read_plane_name(root), read_kernel(root), read_contrast(root)
    is_mr = root.code("Modality") == "MR"
    timing = read_timing(root) if is_mr else Timing(None, None, None, None)
    b_values = read_b_values(root) if is_mr else ()
    weighting = read_weighting(root, timing, b_values)
    return tags._replace(
        plane=plane[0],
        plane_reason=plane[1],
        kernel=kernel[0],
        kernel_reason=kernel[1],
        contrast=contrast[0],
        contrast_reason=contrast[1],
        weighting=weighting[0],
        weighting_reason=weighting[1],
        inversion_time_ms=_plausible("inversion_time_ms", timing.inversion),
        b_values="\\".join(f"{value:g}" for value in b_values) or None,
        trigger_time_ms=read_number(root.raw("TriggerTime"), "trigger_time_ms"),
        cardiac_phase_percent=read_number(root.raw("NominalPercentageOfCardiacPhase"), "cardiac_phase_percent"),
    )


def _plausible(column: str, number: float | None) -> float | None:
    return number if number is not None and is_plausible(column, number) else None


def _with_labels(tags: Tags, root: Attributes) -> Tags:
    """What labels in texts say of a mammogram, where neither a code string nor a code does."""
    said = read_view(map(root.raw, _LABELED))
    return tags._replace(
        view_position=tags.view_position or said.position or None,
        laterality=tags.laterality or said.laterality or None,
        view_modifiers=tags.view_modifiers or said.modifiers or None,
    )


def _coded(root: Attributes, anatomy: Attributes) -> tuple[str, str]:
    """Region and view as codes state them, which are only looked at where no code string does: it takes time."""
    region = view = ""
    if _body_part(root.raw("BodyPartExamined")) is None:
        region = read_coded(anatomy, "AnatomicRegionSequence", REGIONS)
    if _term(root.raw("ViewPosition"), vocabulary.VIEW_POSITIONS) is None:
        view = read_coded(root, "ViewCodeSequence", VIEWS)
    return region, view


@lru_cache(maxsize=1024)
def _compose(
    values: tuple[bytes, ...], spacing: Pair, thickness: bytes, laterality: bytes, region: str, view: str
) -> Tags:
    """Tags of values as they are written. Kept, for the files of a series have the same."""
    raw = dict(zip(_KEYWORDS, values, strict=True))
    body_part = _body_part(raw["BodyPartExamined"]) or region or None
    lateralities = map(_laterality, (raw["ImageLaterality"], raw["Laterality"], laterality))
    return Tags(
        body_part=body_part,
        laterality=next(filter(None, lateralities), None),
        view_position=_term(raw["ViewPosition"], vocabulary.VIEW_POSITIONS) or view or None,
        patient_position=_term(raw["PatientPosition"], vocabulary.PATIENT_POSITIONS),
        image_type=_image_type(raw["ImageType"]),
        photometric_interpretation=_term(raw["PhotometricInterpretation"], vocabulary.PHOTOMETRIC),
        manufacturer=_device(raw["Manufacturer"]),
        manufacturer_model=_device(raw["ManufacturerModelName"]),
        kvp=read_number(raw["KVP"], "kvp"),
        tube_current_ma=read_number(raw["XRayTubeCurrent"], "tube_current_ma"),
        exposure_time_ms=read_number(raw["ExposureTime"], "exposure_time_ms"),
        exposure_mas=read_number(raw["Exposure"], "exposure_mas"),
        magnetic_field_t=read_number(raw["MagneticFieldStrength"], "magnetic_field_t"),
        repetition_time_ms=read_number(raw["RepetitionTime"], "repetition_time_ms"),
        echo_time_ms=read_number(raw["EchoTime"], "echo_time_ms"),
        row_spacing_mm=spacing[0],
        column_spacing_mm=spacing[1],
        slice_thickness_mm=read_number(thickness, "slice_thickness_mm"),
        series_number=read_whole(raw["SeriesNumber"], "series_number"),
        acquisition_number=read_whole(raw["AcquisitionNumber"], "acquisition_number"),
        patient_sex=_sex(raw["PatientSex"]),
        patient_age=_age(raw["PatientAge"], raw["PatientBirthDate"], raw["StudyDate"]),
        study_year=_year(raw["StudyDate"]),
        recognisable_face=int(_may_show_face(raw, body_part)),
        presentation_intent=_intent(raw),
        description_terms=clinical_terms(raw[name] for name in _DESCRIPTIONS),
    )


def read_extra_tags(root: Attributes, keywords: Sequence[str]) -> str | None:
    """Attributes of `--tag`, as a JSON object by keyword; None without any."""
    values = {keyword: value for keyword in keywords if (value := _plain(root, keyword)) is not None}
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")) if values else None


def _plain(root: Attributes, keyword: str) -> object:
    """A number or text as it is; None where there is none, or it cannot be read."""
    try:
        values = root.values(keyword)
        if any(isinstance(v, str) for v in values) and root.representation(keyword) in ("DS", "IS"):
            values = root.numbers(keyword)  # such as `0,5`
    except InputError:
        return None
    plain = [v if isinstance(v, (int, float)) else str(v)[:MAX_EXTRA_CHARACTERS].replace("\0", "") for v in values]
    plain = [float(v) if isinstance(v, float) else int(v) if isinstance(v, int) else v for v in plain]
    if not all(math.isfinite(v) for v in plain if isinstance(v, float)):
        return None
    return None if not plain else plain[0] if len(plain) == 1 else plain


def _may_show_face(raw: dict[str, bytes], body_part: str | None) -> bool:
    """Features said to be recognizable, or a head in a volume; where no body part is stated, descriptions decide."""
    if read_code(raw["RecognizableVisualFeatures"]) == "YES":
        return True
    if read_code(raw["Modality"]) not in vocabulary.VOLUMES:
        return False
    if body_part is not None:
        return any(part in vocabulary.HEAD_PARTS for part in body_part.split("_"))
    return any(_HEAD.search(raw[name]) for name in _DESCRIPTIONS)


def _spacing(frame: FrameAttributes) -> Pair:
    """In mm, of rows and of columns; both or neither."""
    spacing, _ = read_spacing(frame)
    if spacing is None or not spacing.is_in_mm:
        return None, None
    if not all(is_plausible("row_spacing_mm", distance) for distance in (spacing.rows, spacing.columns)):
        return None, None
    return spacing.rows, spacing.columns


@lru_cache(maxsize=1024)
def _term(raw: bytes, terms: frozenset[str]) -> str | None:
    text = read_code(raw)
    return text if text in terms else None


@lru_cache(maxsize=1024)
def _body_part(raw: bytes) -> str | None:
    """One body part, or several joined by `_`; spaces and hyphens within do not count."""
    words = _WORD.findall(read_code(raw))
    if not words:
        return None
    if (joined := "".join(words)) in vocabulary.BODY_PARTS:
        return joined
    return "_".join(words) if all(word in vocabulary.BODY_PARTS for word in words) else None


def _intent(raw: dict[str, bytes]) -> str | None:
    """As stated, else by the SOP Class, of which there is one for each intent."""
    stated = _term(raw["PresentationIntentType"], vocabulary.INTENTS)
    return stated or vocabulary.INTENT_OF_CLASS.get(read_code(raw["SOPClassUID"]))


@lru_cache(maxsize=256)
def _laterality(raw: bytes) -> str | None:
    return read_code(raw) if read_code(raw) in ("L", "R", "U", "B") else None


@lru_cache(maxsize=1024)
def _image_type(raw: bytes) -> str | None:
    values = [read_code(value) for value in raw.split(b"\\")[:8]]
    kept = [v if (v := value.replace(" ", "_")) in vocabulary.IMAGE_TYPES else "OTHER" for value in values if value]
    return "\\".join(kept) or None


@lru_cache(maxsize=256)
def _device(raw: bytes) -> str | None:
    """What makers call themselves and their devices: short, of plain characters, no long number in it."""
    try:
        text = raw.partition(b"\\")[0].decode("ascii").strip(" \0")
    except UnicodeDecodeError:
        return None
    return text if _DEVICE.fullmatch(text) and not _LONG_NUMBER.search(text) else None


@lru_cache(maxsize=64)
def _sex(raw: bytes) -> str | None:
    return read_code(raw) if read_code(raw) in ("F", "M", "O") else None


@lru_cache(maxsize=1024)
def _day(raw: bytes) -> date | None:
    """A date, also in the form of the retired standard: 1993.08.22."""
    text = read_code(raw).replace(".", "")
    if len(text) != 8 or not text.isdigit():
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _year(study_date: bytes) -> int | None:
    day = _day(study_date)
    return day.year if day is not None and is_plausible("study_year", day.year) else None


def _stated_years(text: str) -> int | None:
    """`042Y`, `42 Y`, `42`, `18 months` in full years; None for what is no age: `999Y`, a plain 0, other words."""
    match = _AGE.fullmatch(text)
    if match is None:
        return None
    years = int(int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12}.get((match[2] or "")[:1], 1))
    return years if years <= MAX_AGE_YEARS and (match[2] or years) else None


@lru_cache(maxsize=1024)
def _age(stated: bytes, birth_date: bytes, study_date: bytes) -> int | None:
    """Full years at the study, at most `AGE_CAP`: as stated (PS3.5 AS, or nearly so), else from the dates."""
    years = _stated_years(read_code(stated))
    if years is not None:
        return min(years, AGE_CAP)
    born, day = _day(birth_date), _day(study_date)
    if born is None or day is None or born > day or born.year < 1850:
        return None
    return min(day.year - born.year - ((day.month, day.day) < (born.month, born.day)), AGE_CAP)
