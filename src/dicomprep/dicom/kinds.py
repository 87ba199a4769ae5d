"""What an image is: a picture, a scout, a page of doses, a mask; and which attribute says so (docs/examinations.md).

Words count as whole tokens, and only those listed here. A reason names the attribute and such a word, so that it can be
recorded: it quotes nothing of anyone.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.frame_types import end_groups, has_groups, read_frame_types
from dicomprep.dicom.phrases import find_phrase, plain_words
from dicomprep.dicom.vocabulary import LABEL_MAP, SECONDARY_CAPTURE, SLIDE_COORDINATES, WHOLE_SLIDE
from dicomprep.errors import InputError
from dicomprep.privacy.allow_list import Kind

__all__ = ["read_kind"]

_STORAGE = "1.2.840.10008.5.1.4.1.1"
_BY_CLASS = {
    f"{_STORAGE}.66.4": (Kind.MASK, "Segmentation"),
    LABEL_MAP: (Kind.MASK, "Label Map Segmentation"),
    f"{_STORAGE}.66.8": (Kind.MASK, "Height Map Segmentation"),
    f"{_STORAGE}.481.2": (Kind.DOSE, "RT Dose"),
    f"{_STORAGE}.30": (Kind.MAP, "Parametric Map"),
    f"{_STORAGE}.81.1": (Kind.MAP, "Ophthalmic Thickness Map"),
    f"{_STORAGE}.82.1": (Kind.MAP, "Corneal Topography Map"),
    "1.2.840.10008.5.1.1.29": (Kind.SCREEN, "Hardcopy Grayscale Image"),
    "1.2.840.10008.5.1.1.30": (Kind.SCREEN, "Hardcopy Color Image"),
}
"""SOP Classes whose objects are all of one kind (PS3.4 B.5, and retired ones of PS3.6)."""

_BY_MODALITY = {
    "SEG": Kind.MASK, "RTSEGANN": Kind.MASK, "RTDOSE": Kind.DOSE, "HC": Kind.SCREEN, "DOC": Kind.SCREEN,
    "SR": Kind.SCREEN, "PR": Kind.SCREEN, "KO": Kind.SCREEN,
}  # fmt: skip

_PROJECTIONS = frozenset(["CR", "DX", "MG", "IO", "PX"])
"""Modalities whose images for presentation are called DERIVED, though they are what the detector saw."""

_SECTIONS = frozenset(["CT", "MR", "PT"])
"""Modalities that plan on scouts, and of whose series descriptions the word for one is believed."""

_LOCALIZERS = ("LOCALIZER", "LOCALISER", "SCOUT", "TOPOGRAM", "TOPO", "SURVIEW", "SCANOGRAM", "SCANO", "SCANOSCOPE")
"""Of Image Type, value 3 or further on; LOCALIZER is the standard's, the others are vendors'."""

_SCOUT_WORDS = (
    *("SCOUT", "SCOUTS", "TOPOGRAM", "TOPOGRAMM", "TOPOGRAMA", "TOPOGRAMME", "SURVIEW", "SCANOGRAM", "SCANOGRAMM"),
    *("SCANOGRAMA", "ESCANOGRAMA", "SCANOSCOPE", "LOCALIZER", "LOCALIZERS", "LOCALISER", "LOCALISERS", "LOKALIZER"),
    *("TOPO", "LOCALIZADOR", "LOCALIZZATORE", "LOCALISATEUR", "SCOUTVIEW", "SCANOVIEW", "PILOTSCAN", "UEBERSICHT"),
)
"""Of Series Description: GE, Canon, Siemens, Philips, Hitachi, and what they are translated to."""

_MR_SCOUT_PHRASES = (
    "LOC", "LOCS", "3PL LOC", "3PLANE LOC", "SURVEY", "PLAN SCAN", "PLANSCAN", "PILOT", "THREE PLANE", "TRIPILOT",
    "REPERAGE", "REPERAGES", "CENTRAGGIO", "ISOLOC", "AASCOUT", "TRUFILOC",
)  # fmt: skip
_NOT_SCOUTS = ("TI SCOUT", "TISCOUT", "FREQUENCY SCOUT", "FREQ SCOUT", "SCOUT TI", "NEEDLE LOC", "WIRE LOC")
"""Series that find an inversion time or a frequency, and what is localized with a needle: no plan is made on them."""

_SCREEN_TYPES = (
    "SCREEN SAVE", "SCREENSAVE", "SCREEN SHOT", "SCREENSHOT", "SCREEN CAPTURE", "CAPTURE", "DOSE INFO", "DOSE REPORT",
    "DOSE", "PATIENT PROTOCOL", "CT SOM5 PROT", "CT SOM7 PROT", "REPORT", "PASTED", "PROTOCOL",
)  # fmt: skip
_SCREEN_PHRASES = (
    *("DOSE REPORT", "DOSE INFO", "DOSE INFORMATION", "DOSE SUMMARY", "DOSE PAGE", "DOSE RECORD", "DOSE SR"),
    *("PATIENT PROTOCOL", "EXAM SUMMARY", "EXAM PROTOCOL", "SCREEN SAVE", "SCREEN SAVES", "SCREENSAVE"),
    *("SCREEN CAPTURE", "SCREEN CAPTURES", "SCREENSHOT", "SCREENSHOTS", "SCREEN SHOT", "DOSISBERICHT"),
    *("DOSISPROTOKOLL", "DOSISREPORT", "DOSIS REPORT", "PATIENTENPROTOKOLL", "RAPPORT DE DOSE", "PROTOCOLE PATIENT"),
    *("INFORME DE DOSIS", "PROTOCOLO DEL PACIENTE", "REPORT DOSE", "REPORT DI DOSE", "PROTOCOLLO PAZIENTE"),
    *("RELATORIO DE DOSE", "PROTOCOLO DO PACIENTE", "DOSISRAPPORT", "DOSERAPPORT", "PATIENTPROTOCOL"),
)
"""Of Series Description: GE, Siemens, Philips, Canon, and what they are translated to."""

_DERIVED_TYPES = (
    "MIP", "MINIP", "MNIP", "MAX IP", "MIN IP", "MPR", "CPR", "CURVED", "PROJECTION IMAGE", "SUBTRACTION",
    "REFORMATTED", "VOLREN", "VOLUME RENDERED", "RENDERED", "VRT", "SSD", "GENERATED 2D", "TOMO 2D", "GENERATED",
    "RESAMPLED", "DRR",
)  # fmt: skip
_DERIVED_PHRASES = ("MIP", "MINIP", "MPR", "CPR", "REFORMAT", "REFORMATS", "REFORMATTED", "SUBTRACTION", "VRT", "MIPS")
_PATTERNS = ("SMPTE", "TG18", "TEST PATTERN", "TESTPATTERN", "TESTBILD", "MIRE DE TEST", "BARCO TEST")
_SCREEN_CONVERSIONS = {"SD": "scanned document", "DRW": "drawing"}
_LABEL_TYPES = ("LABEL", "OVERVIEW")

_AXIAL = 0.9
"""Cosine of the normal with the patient's axis above which a CT is no scout, whatever it is called."""


class _Said(NamedTuple):
    """What a header says, as it is written; the files of a series say the same."""

    sop_class_uid: str
    modality: str
    image_type: bytes
    frame_types: tuple[bytes, ...]
    description: bytes
    protocol: bytes
    conversion: str
    specimen_label: str
    is_segmentation: bool
    is_lossy: bool
    is_color: bool
    is_axial: bool


def read_kind(root: Attributes) -> tuple[Kind, str]:
    """The kind of the images of a file, and why. What nothing is said of is an original."""
    modality, description = root.code("Modality"), root.raw("SeriesDescription")
    return _decide(
        _Said(
            sop_class_uid=root.code("SOPClassUID"),
            modality=modality,
            image_type=root.raw("ImageType"),
            frame_types=tuple(read_frame_types(end_groups(root))) if has_groups(root) else (),
            description=description,
            protocol=root.raw("ProtocolName"),
            conversion=root.code("ConversionType"),
            specimen_label=root.code("SpecimenLabelInImage"),
            is_segmentation=root.has_value("SegmentationType"),
            is_lossy=root.code("LossyImageCompression") == "01",
            is_color=root.raw("SamplesPerPixel") == b"3",
            is_axial=modality == "CT" and description != b"" and _is_axial(root),
        )
    )


@lru_cache(maxsize=1024)
def _decide(said: _Said) -> tuple[Kind, str]:
    """The first rule that holds; the gravest mistakes are guarded against first."""
    types, described = _types(said), plain_words(said.description)
    found = _by_object(said) or _by_slide(said, types) or _by_pattern(types, described, said)
    found = found or _by_screen(said, types, described) or _by_scout(said, types, described)
    return found or _by_derivation(said, types, described)


def _by_object(said: _Said) -> tuple[Kind, str] | None:
    if said.sop_class_uid in _BY_CLASS:
        kind, name = _BY_CLASS[said.sop_class_uid]
        return kind, f"SOP Class {name}"
    if said.modality in _BY_MODALITY:
        return _BY_MODALITY[said.modality], f"Modality {said.modality}"
    return (Kind.MASK, "Segmentation Type") if said.is_segmentation else None


def _by_slide(said: _Said, types: tuple[str, ...]) -> tuple[Kind, str] | None:
    """The label of a glass slide, or what shows it; a whole slide that is said to have one remains a picture."""
    is_slide = said.modality == "SM" or said.sop_class_uid in (WHOLE_SLIDE, SLIDE_COORDINATES)
    wanted = (*_LABEL_TYPES, "LOCALIZER") if said.specimen_label != "NO" else _LABEL_TYPES
    if is_slide and (word := _first(wanted, types)):
        return Kind.SLIDE_LABEL, f"Image Type {word}"
    if _is_capture(said) and "LABEL" in types:
        return Kind.SLIDE_LABEL, "Image Type LABEL"
    if said.specimen_label == "YES" and "VOLUME" not in types:
        return Kind.SLIDE_LABEL, "Specimen Label in Image YES"
    return None


def _by_pattern(types: tuple[str, ...], described: str, said: _Said) -> tuple[Kind, str] | None:
    if word := _first(_PATTERNS, types):
        return Kind.TEST_PATTERN, f"Image Type {word}"
    if word := find_phrase(_PATTERNS, described):
        return Kind.TEST_PATTERN, f"Series Description {word}"
    word = find_phrase(_PATTERNS, plain_words(said.protocol))
    return (Kind.TEST_PATTERN, f"Protocol Name {word}") if word else None


def _by_screen(said: _Said, types: tuple[str, ...], described: str) -> tuple[Kind, str] | None:
    """Pages of doses and protocols, screenshots, scanned documents."""
    if word := _first(_SCREEN_TYPES, types):
        return Kind.SCREEN, f"Image Type {word}"
    if word := find_phrase(_SCREEN_PHRASES, described):
        return Kind.SCREEN, f"Series Description {word}"
    if said.conversion in _SCREEN_CONVERSIONS:
        return Kind.SCREEN, f"Conversion Type {said.conversion} ({_SCREEN_CONVERSIONS[said.conversion]})"
    is_color_capture = _is_capture(said) and said.is_color and said.modality in _SECTIONS
    if is_color_capture and not _first(_DERIVED_TYPES, types) and not find_phrase(_DERIVED_PHRASES, described):
        return Kind.SCREEN, f"color Secondary Capture of Modality {said.modality}"
    return None


def _by_scout(said: _Said, types: tuple[str, ...], described: str) -> tuple[Kind, str] | None:
    is_slide = said.modality == "SM" or said.sop_class_uid in (WHOLE_SLIDE, SLIDE_COORDINATES)
    if not is_slide and (word := _first(_LOCALIZERS, types)):
        return Kind.LOCALIZER, f"Image Type {word}"
    if said.modality not in _SECTIONS or (said.is_axial and "AXIAL" in types):
        return None
    words = (*_SCOUT_WORDS, *_MR_SCOUT_PHRASES) if said.modality == "MR" else _SCOUT_WORDS
    sayings = (("Series Description", described), ("Protocol Name", "" if described else plain_words(said.protocol)))
    for name, text in sayings:
        if (word := find_phrase(words, text)) and not find_phrase(_NOT_SCOUTS, text):
            return Kind.LOCALIZER, f"{name} {word}"
    return None


def _by_derivation(said: _Said, types: tuple[str, ...], described: str) -> tuple[Kind, str]:
    if word := _first(_DERIVED_TYPES, types):
        return Kind.DERIVED, f"Image Type {word}"
    if types[:1] == ("DERIVED",):
        return _explain_derived(said, is_secondary="SECONDARY" in types)
    if "SECONDARY" in types and types[:1] != ("ORIGINAL",):
        return Kind.DERIVED, "Image Type SECONDARY"
    if not types and (word := find_phrase(_DERIVED_PHRASES, described)):
        return Kind.DERIVED, f"Series Description {word}"
    return Kind.ORIGINAL, "Image Type ORIGINAL" if "ORIGINAL" in types else "nothing says otherwise"


def _explain_derived(said: _Said, *, is_secondary: bool) -> tuple[Kind, str]:
    """The standard calls DERIVED also what was only processed for display, or compressed with loss (C.7.6.1.1.2)."""
    if said.modality in _PROJECTIONS and not is_secondary:
        return Kind.ORIGINAL, f"Image Type DERIVED of Modality {said.modality}: processed for display"
    if said.is_lossy and not is_secondary:
        return Kind.ORIGINAL, "Image Type DERIVED by lossy compression"
    return Kind.DERIVED, "Image Type DERIVED"


def _types(said: _Said) -> tuple[str, ...]:
    """Values of Image Type, and those that Frame Type of the first frame shares with that of the last."""
    values = dict.fromkeys(_values(said.image_type))
    frames = [dict.fromkeys(_values(raw)) for raw in said.frame_types]
    shared = [value for value in frames[0] if all(value in others for others in frames[1:])] if frames else []
    return tuple(dict.fromkeys([*values, *shared]))


def _values(raw: bytes) -> list[str]:
    values = (plain_words(value) for value in raw.split(b"\\")[:16])
    return [value for value in values if value]


def _first(wanted: Iterable[str], values: tuple[str, ...]) -> str:
    """The first of the wanted values that is there."""
    return next((word for word in wanted if word in values), "")


def _is_capture(said: _Said) -> bool:
    return said.sop_class_uid == SECONDARY_CAPTURE or said.sop_class_uid.startswith(f"{SECONDARY_CAPTURE}.")


def _is_axial(root: Attributes) -> bool:
    """Whether the image plane is across the patient's axis."""
    try:
        cosines = root.numbers("ImageOrientationPatient")
    except InputError:
        return False
    return len(cosines) == 6 and abs(cosines[0] * cosines[4] - cosines[1] * cosines[3]) > _AXIAL
