"""What contrast between tissues an MR image shows: as the standard states it, by diffusion, words, then physics."""

import re
from functools import lru_cache
from typing import NamedTuple

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.frame_types import end_groups, has_groups, item_or_none, read_frame_types
from dicomprep.dicom.phrases import find_phrase, plain_words
from dicomprep.errors import InputError

__all__ = ["Timing", "read_timing", "read_weighting"]

_STATED = {
    "DIFFUSION": "DWI", "FLUID_ATTENUATED": "FLAIR", "PERFUSION": "PERFUSION", "PROTON_DENSITY": "PD", "STIR": "STIR",
    "T1": "T1", "T2": "T2", "T2_STAR": "T2*", "TOF": "MRA",
}  # fmt: skip
"""Acquisition Contrast (0008,9209), and the third value of Image Type that says the same (PS3.3 C.8.13.3.3.1)."""


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


_TYPES = (
    ("ADC", _list("ADC, ADC MAP, ADC UNSPECIFIED")),
    ("DWI", _list("DIFFUSION, TRACEW, TRACE, DIFFUSION ANISO")),
    (
        "MAP",
        _list("FA, FAC, FRACTIONAL ANISOTROPY, EADC, TENSOR, T1 MAP, T2 MAP, T2 STAR MAP, R2 STAR MAP, MTR"),
    ),
    ("PERFUSION", _list("PERFUSION, CBF, CBV, MTT, TTP, TMAX, RCBV, RCBF, ASL, GBP, PBP, RELCBV, RELCBF")),
    ("SWI", _list("SWI, VENBOLD, SWI M")),
    ("FMRI", _list("FMRI, MOSAIC FMRI")),
    ("PHASE", _list("P, PHASE MAP, PHASE, VELOCITY, PHASE CONTRAST M")),
)
"""Of Image Type and Frame Type, by vendors, too."""

_NO_IMAGE = ("RAWDATA", "PHYSIO", "SPECTROSCOPY", "CSA REPORT")

_PHRASES = (
    ("ADC", _list("ADC, EADC, APPARENT DIFFUSION, DADC, ADC MAP, AVDC")),
    (
        "MAP",
        _list(
            "T1 MAP, T2 MAP, T1MAP, T2MAP, T1 MAPPING, T2 MAPPING, R2 STAR, FA MAP, COLFA, QT1,"
            " QT2, QSM, MOLLI, SHMOLLI, FIELD MAP, FIELDMAP, B0 MAP, B1 MAP"
        ),
    ),
    (
        "DWI",
        _list(
            "DWI, DIFF, DIFFUSION, DTI, TRACE, TRACEW, RESOLVE, ZOOMIT, DWIBS, DIFUSION,"
            " DIFFUSIONE, DIFUSAO, IVIM, HARDI, NODDI, MDDW, DIFFUSIE, DW, EDWI, ISODWI"
        ),
    ),
    ("SWI", _list("SWI, SWAN, SWIP, VENBOLD, SUSCEPTIBILITY, BSI, FSBB, SWI IMAGES, ESWAN")),
    ("FMRI", _list("FMRI, BOLD, RESTING STATE, RSFMRI, RESTING")),
    ("PERFUSION", _list("PERFUSION, PERF, ASL, PCASL, PASL, DSC, PWI, CBF, CBV, RELCBF, RELCBV, 3DASL")),
    (
        "MRA",
        _list(
            "TOF, MRA, MRV, ANGIO, CEMRA, TRICKS, TWIST, INHANCE, PC3D, TOFMRA, ANGIOGRAPHY,"
            " NATIVE TRUFI, TRANCE, QISS, TOF3D"
        ),
    ),
    ("FLAIR", _list("FLAIR, DARKFLUID, DARK FLUID, DA FL, FLAIRS, DARK FL")),
    ("STIR", _list("STIR, TIRM, TIR")),
    (
        "T2*",
        _list(
            "T2 STAR, T2STAR, T2S, T2 GRE, HEMO, MERGE, MEDIC, T2W FFE, T2 FFE, T2 FL2D, T2 FL, COSMIC, FFE T2, GRE T2"
        ),
    ),
    ("PD", _list("PD, PDW, DP, PROTON DENSITY, PROTON, DENSITY, PDFS, PD FS, PD FATSAT, DENSITE")),
    (
        "T1",
        _list(
            "T1, T1W, T1WI, MPRAGE, MP RAGE, BRAVO, SPGR, FSPGR, VIBE, LAVA, THRIVE, ETHRIVE,"
            " TFL3D, IR SPGR, IRFSPGR, T1C, T1GD, T13D, SAGT1, AXT1, CORT1, IRSPGR, STARVIBE, T1SE,"
            " DISCO"
        ),
    ),
    (
        "T2",
        _list(
            "T2, T2W, T2WI, HASTE, SSFSE, SSH TSE, CISS, FIESTA C, MRCP, SAGT2, AXT2, CORT2,"
            " T2TSE, T2FSE, FRFSE, DRIVE, T2SPACE, MYELO"
        ),
    ),
)
"""Of Series Description, else of Protocol Name: sequences before weightings, for `T2 FLAIR` is FLAIR."""

_STAR = re.compile(rb"(?i)T2 ?\*")
_SPLIT = re.compile(rb"(?i)(?<![a-z])(T[12]|PD)(?=[a-z_])")

_FLUID_MS, _FAT_MS = (1_200.0, 3_500.0), (80.0, 300.0)
"""Inversion times that take away fluid, and fat."""
_T1_TR, _T1_TE = 1_300.0, 35.0
_LONG_TR, _T2_TE, _PD_TE = 1_500.0, 60.0, 45.0
"""Repetition and echo times in ms of spin echoes."""
_STAR_TE, _SPOILED_TE, _SPOILED_TR, _SPOILED_FLIP = 12.0, 8.0, 700.0, 8.0
"""Of gradient echoes, and degrees of flip."""

Said = tuple[str | None, str | None]


class Timing(NamedTuple):
    """In ms; None where it is not stated."""

    repetition: float | None
    echo: float | None
    inversion: float | None
    flip: float | None


class _Said(NamedTuple):
    """What a header says, as it is written; the files of a series say the same."""

    stated: str
    image_types: tuple[bytes, ...]
    description: bytes
    protocol: bytes
    scanning: bytes
    variant: bytes
    sequence: bytes
    echo_pulse: str
    timing: Timing


def read_timing(root: Attributes) -> Timing:
    """Of the file, or in its functional groups (PS3.3 C.8.13.5)."""
    groups = end_groups(root) if has_groups(root) else []

    def find(keyword: str, macro: str, grouped: str = "") -> float | None:
        items = (item_or_none(group, macro) for group in groups)
        sources = [(root, keyword), *((item, grouped or keyword) for item in items if item is not None)]
        return next((value for attributes, name in sources if (value := _number(attributes, name)) is not None), None)

    timing = "MRTimingAndRelatedParametersSequence"
    return Timing(
        find("RepetitionTime", timing),
        find("EchoTime", "MREchoSequence", "EffectiveEchoTime"),
        find("InversionTime", "MRModifierSequence", "InversionTimes"),
        find("FlipAngle", timing),
    )


def _number(attributes: Attributes, keyword: str) -> float | None:
    if keyword not in attributes:
        return None
    try:
        return attributes.number(keyword)
    except InputError:
        return None


def read_weighting(root: Attributes, timing: Timing, b_values: tuple[float, ...]) -> Said:
    """T1, T2, T2*, PD, FLAIR, STIR, DWI, ADC, SWI, MRA, PERFUSION, FMRI, MAP, PHASE or unknown, and why; MR alone."""
    if root.code("Modality") != "MR":
        return None, None
    types = (root.raw("ImageType"), *(read_frame_types(end_groups(root)) if has_groups(root) else ()))
    said = _Said(
        _acquisition_contrast(root),
        types,
        *(root.raw("SeriesDescription"), root.raw("ProtocolName"), root.raw("ScanningSequence")),
        *(root.raw("SequenceVariant"), root.raw("SequenceName") or root.raw("PulseSequenceName")),
        root.code("EchoPulseSequence"),
        timing,
    )
    return _decide(said, has_b_values=bool(b_values), is_diffused=any(b_values))


def _acquisition_contrast(root: Attributes) -> str:
    stated = root.code("AcquisitionContrast")
    if stated in _STATED or not has_groups(root):
        return stated
    items = (item_or_none(group, "MRImageFrameTypeSequence") for group in end_groups(root))
    words = {item.code("AcquisitionContrast") for item in items if item is not None}
    return words.pop() if len(words) == 1 else ""


@lru_cache(maxsize=1024)
def _decide(said: _Said, *, has_b_values: bool, is_diffused: bool) -> Said:
    """The first that holds; what says it in words of its own comes before what has to be concluded."""
    types = [plain_words(value) for raw in said.image_types for value in raw.split(b"\\")[:16]]
    if word := next((word for word in _NO_IMAGE if word in types), ""):
        return "unknown", f"Image Type {word}"
    for weighting, words in _TYPES:
        if word := next((word for word in words if word in types[2:]), ""):
            return weighting, f"Image Type {word}"
    if is_diffused and not _phrase(said.description, "ADC", "MAP"):
        return "DWI", "b-value"
    if said.stated in _STATED:
        return _STATED[said.stated], f"Acquisition Contrast {said.stated}"
    if word := next((word for word in ("T1", "T2", "STIR") if word in types[2:3]), ""):
        return word, f"Image Type {word}"
    is_planar = b"EP" in said.scanning.split(b"\\") or b"ep" in said.sequence
    found = _by_words(said)
    return found or (("DWI", "b-value") if has_b_values and is_planar else _by_physics(said, said.timing))


def _by_words(said: _Said) -> Said | None:
    for name, raw in (("Series Description", said.description), ("Protocol Name", said.protocol)):
        found = _named(raw)
        if len(found) > 1:
            return _of_several(found, name, said.timing)
        for weighting, word in found.items():
            return _checked(weighting, word, name, said.timing)
    return None


def _checked(weighting: str, word: str, name: str, timing: Timing) -> Said | None:
    """What cannot be as it is named is left to physics: a T1 with a long echo, a T2 with a short one."""
    echo = timing.echo
    is_odd = echo is not None and ((weighting == "T1" and echo > 60) or (weighting == "FLAIR" and echo < 40))
    if is_odd and weighting == "FLAIR" and (timing.inversion or 0) < _FLUID_MS[0]:
        return "T1", f"{name} {word}, Echo Time"
    return None if is_odd else (weighting, f"{name} {word}")


def _of_several(found: dict[str, str], name: str, timing: Timing) -> Said | None:
    """`T1 FLAIR` is T1, `PD T2` either of them by its echo; of others the special one."""
    first, word = next(iter(found.items()))
    if first == "FLAIR" and "T1" in found and "T2" not in found:
        return "T1", f"{name} T1 FLAIR"
    if set(found) == {"PD", "T2"} and timing.echo is not None:
        return ("PD" if timing.echo < _PD_TE else "T2"), f"{name} PD T2, Echo Time"
    if set(found) <= {"PD", "T1", "T2"}:
        return None
    return _checked(first, word, name, timing)


def _named(raw: bytes) -> dict[str, str]:
    """The weightings that a text names, with the word that does."""
    text = plain_words(_SPLIT.sub(rb"\1 ", _STAR.sub(b" T2STAR ", raw)))
    text = text.replace("T1 W ", "T1W ").replace("T2 W ", "T2W ")
    return {weighting: word for weighting, words in _PHRASES if (word := find_phrase(words, text))}


def _phrase(raw: bytes, *weightings: str) -> bool:
    return any(weighting in _named(raw) for weighting in weightings)


def _by_physics(said: _Said, timing: Timing) -> Said:
    """By how it was excited and read out; unknown between the weightings."""
    sequences = {plain_words(value) for value in said.scanning.split(b"\\")}
    is_gradient = "GR" in sequences or said.echo_pulse == "GRADIENT" or b"fid" in said.sequence
    is_spin = "SE" in sequences or said.echo_pulse == "SPIN"
    if timing.echo is None or timing.repetition is None:
        return "unknown", "no word, no Repetition Time and Echo Time"
    found = _by_inversion(timing, is_gradient=is_gradient) if "IR" in sequences or timing.inversion else ""
    if not found and is_gradient:
        found = _of_gradient_echo(timing, is_spoiled=b"SP" in said.variant.split(b"\\"), is_planar="EP" in sequences)
    elif not found and is_spin and "IR" not in sequences:
        found = _of_spin_echo(timing)
    times = "Repetition Time, Echo Time" + (", Inversion Time" if timing.inversion else "")
    return (found, f"Scanning Sequence, {times}") if found else ("unknown", f"{times} fit no weighting")


def _by_inversion(timing: Timing, *, is_gradient: bool) -> str:
    inversion, echo = timing.inversion or 0.0, timing.echo or 0.0
    if _FLUID_MS[0] <= inversion <= _FLUID_MS[1] and echo >= _T2_TE and not is_gradient:
        return "FLAIR"
    if _FAT_MS[0] <= inversion <= _FAT_MS[1] and (timing.repetition or 0) >= _LONG_TR and not is_gradient:
        return "STIR"
    longest = _STAR_TE if is_gradient else _T1_TE
    return "T1" if _FAT_MS[1] < inversion <= _T1_TR and echo <= longest else ""


def _of_spin_echo(timing: Timing) -> str:
    repetition, echo = timing.repetition or 0.0, timing.echo or 0.0
    if repetition <= _T1_TR:
        return "T1" if echo <= _T1_TE else ""
    if repetition < _LONG_TR:
        return ""
    return "T2" if echo >= _T2_TE else "PD" if echo <= _PD_TE else ""


def _of_gradient_echo(timing: Timing, *, is_spoiled: bool, is_planar: bool) -> str:
    repetition, echo, flip = timing.repetition or 0.0, timing.echo or 0.0, timing.flip
    if echo >= _STAR_TE:
        return "T2*"
    is_turned = flip is None or flip >= _SPOILED_FLIP
    is_short = echo <= _SPOILED_TE and repetition <= _SPOILED_TR
    return "T1" if is_spoiled and is_short and is_turned and not is_planar else ""
