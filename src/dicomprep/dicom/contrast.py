"""Whether contrast was given: by Contrast/Bolus Agent and its code (PS3.3 C.7.6.4, C.7.6.4b), else by words."""

import re
from functools import lru_cache

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.numbers import read_numbers
from dicomprep.dicom.phrases import find_phrase, plain_words

__all__ = ["read_contrast"]

_NONE = (
    *(
        "NO",
        "NON CONTRAST",
        "NONIV",
        "NONE",
        "NA",
        "N A",
        "N",
        "NIL",
        "NULL",
        "NIHIL",
        "0",
        "W O",
        "WO",
        "WITHOUT",
        "NOT",
        "NEIN",
        "KEIN",
    ),
    *(
        "KEINE",
        "OHNE",
        "NATIV",
        "NATIVE",
        "SANS",
        "AUCUN",
        "SIN",
        "NINGUNO",
        "SENZA",
        "NESSUNO",
        "SEM",
        "NENHUM",
        "GEEN",
    ),
    *("ZONDER", "UNENHANCED", "PLAIN", "NONCONTRAST", "NONCON", "FALSE", "OFF", "BLANK", "UNKNOWN", "NC", "NEE"),
)
"""First words of an agent that is none; UNKNOWN and BLANK say nothing."""

_SILENT = ("UNKNOWN", "BLANK", "NA", "N A")
_BOTH = ("W WO", "W W O", "W AND WO", "W AND W O", "WITH AND WITHOUT", "WITHOUT AND WITH", "WO W", "W O W", "PRE POST")
_WITHOUT = (
    *(
        "WITHOUT",
        "W O",
        "WO",
        "NATIV",
        "NATIVE",
        "UNENHANCED",
        "NONCONTRAST",
        "NONCON",
        "NON CON",
        "NON",
        "NONC",
        "PLAIN",
    ),
    *("NO", "OHNE", "SANS", "SIN", "SENZA", "SEM", "ZONDER", "BASALE", "BLANCO", "PRECONTRAST", "PRE", "WOC", "UNENH"),
    *("NATIF", "NCCT", "NECT"),
)
_CONTRAST = ("IV CONTRAST", "CONTRAST", "IV", "KM", "INJECTION", "CONTRASTE", "CIV", "MDC", "GD", "GAD", "ENHANCED")
"""What may follow one of these words, and with WITH is the opposite."""

_WITH = (
    *(
        "POSTCONTRAST",
        "POST CONTRAST",
        "POST GD",
        "POST GAD",
        "POSTGAD",
        "INJECTE",
        "CE",
        "DCE",
        "DSC",
        "CECT",
        "C PLUS",
    ),
    *("PORTALVENOUS", "PORTOVENOUS", "PORTAL VENOUS", "PORTALVENOS", "NEPHROGRAPHIC", "EXCRETORY", "ARTERIAL PHASE"),
    *("VENOUS PHASE", *_CONTRAST),
)
_WITH_OF_CT = (
    *("ARTERIAL", "ARTERIELL", "ARTERIEL", "ARTERIELLE", "ARTERIOSA", "PORTAL", "VENOUS", "VENOS", "VENOES", "VEINEUX"),
    *("VENOSA", "ANGIO", "CTA", "CTPA", "CTV", "ANGIOTC", "DELAYED"),
)
"""Angiography by MR needs no contrast, nor does labeling of arterial spins; no CT of vessels is without it."""

_PLUS = re.compile(rb"(?i)(?:\+ ?(?:C|GD|KM|IV)|\bC ?\+)(?![a-z])")
_MINUS = re.compile(rb"(?i)(?:^|\s)(?:- ?C|C ?-)(?=\s|$)")

Said = tuple[str | None, str | None]


def read_contrast(root: Attributes) -> Said:
    """yes, no or unknown, and why; of other modalities than CT and MR nothing where no agent is stated."""
    has_code = "ContrastBolusAgentSequence" in root and bool(root.items("ContrastBolusAgentSequence"))
    said = _by_agent(root.raw("ContrastBolusAgent"), root.raw("ContrastBolusVolume"), has_code=has_code)
    if said is not None:
        return said
    modality = root.code("Modality")
    if modality not in ("CT", "MR"):
        return None, None
    return _by_words(root.raw("SeriesDescription"), root.raw("ProtocolName"), is_ct=modality == "CT")


@lru_cache(maxsize=1024)
def _by_agent(raw: bytes, volume: bytes, *, has_code: bool) -> Said | None:
    agent = plain_words(raw)
    first = next((word for word in _NONE if f"{agent} ".startswith(f"{word} ")), "")
    if first and first not in _SILENT:
        return "no", f"Contrast/Bolus Agent {first}"
    if agent and not first:
        return "yes", "Contrast/Bolus Agent is given"
    if has_code:
        return "yes", "Contrast/Bolus Agent Sequence"
    amounts = read_numbers(volume)
    return ("yes", "Contrast/Bolus Volume") if amounts and amounts[0] > 0 else None


@lru_cache(maxsize=1024)
def _by_words(description: bytes, protocol: bytes, *, is_ct: bool) -> Said:
    """The name of a protocol counts where the series says nothing: it often has both phases in it."""
    for name, raw in (("Series Description", description), ("Protocol Name", protocol)):
        without, given = _without(raw), _given(raw, is_ct=is_ct)
        if find_phrase(_BOTH, plain_words(raw)) or (without and given):
            return "unknown", f"{name} says both"
        if without or given:
            return ("no", f"{name} {without}") if without else ("yes", f"{name} {given}")
    return "unknown", "no Contrast/Bolus Agent"


def _without(raw: bytes) -> str:
    return "C-" if _MINUS.search(raw) else find_phrase(_WITHOUT, plain_words(raw))


def _given(raw: bytes, *, is_ct: bool) -> str:
    """What says that contrast was given, but for what follows a word that says it was not."""
    if _PLUS.search(raw):
        return "+C"
    text = f" {plain_words(raw)} "
    for word in _WITHOUT:
        for what in (*_CONTRAST, ""):
            text = text.replace(" ".join(filter(None, ("", word, what))) + " ", " ")
    return find_phrase((*_WITH, *_WITH_OF_CT) if is_ct else _WITH, text)
