"""What a CT was reconstructed for: soft tissue, bone or lung, by the names that vendors give their kernels."""

import re
from functools import lru_cache
from typing import NamedTuple

from dicomprep.dicom.attributes import Attributes, read_code
from dicomprep.dicom.frame_types import end_groups, has_groups, item_or_none
from dicomprep.dicom.numbers import read_numbers
from dicomprep.dicom.phrases import find_phrase, plain_words

__all__ = ["read_kernel"]

_SIEMENS = re.compile(r"([A-Z][A-Z]?)([0-9]{2})([A-Z]{0,2})")
"""Letters of the region or reconstruction, the sharpness, then how it was scanned: B31f, H60s, I70f, Br40d, Hr64h."""

_CANON = re.compile(r"FC([0-9]{2})")
_CANON_CLASSES = (
    *((range(1, 20), "soft"), (range(20, 30), "soft"), (range(30, 40), "bone"), (range(40, 50), "soft")),
    *((range(50, 60), "lung"), (range(60, 70), "soft"), (range(80, 82), "bone"), (range(82, 87), "lung")),
)
"""Body, head, inner ear and bone, head without correction for bone, lung, perfusion, high resolution."""

_PHILIPS = {
    **dict.fromkeys(("A", "B", "C", "UA", "UB", "UC", "XA", "XB", "XC", "CA", "CB", "CC"), "soft"),
    **dict.fromkeys(("SMOOTH", "STANDARD", "SB", "SA", "EA", "EB"), "soft"),
    **dict.fromkeys(("D", "YA", "YB", "YC", "YD", "YE", "YF", "CD", "EC"), "sharp"),
    **dict.fromkeys(("E", "EF"), "bone"),
    **dict.fromkeys(("L", "LA", "LB"), "lung"),
}
_NEUSOFT = re.compile(r"(?:S?F|BF?)([0-9]{2})")
_NEUSOFT_SOFT = range(10, 35)

_WORDS = (
    ("lung", ("LUNG",)),
    ("bone", ("BONE", "EDGE", "ULTRA", "EAR", "DENTAL")),
    ("sharp", ("SHARP", "VSHARP", "HIGHRES")),
    ("medium", ("DETAIL", "CHST", "CHEST")),
    ("soft", ("SOFT", "STANDARD", "STAND", "STND", "STD", "SMOOTH", "BRAIN", "NEURO", "ABDOMEN", "BODY", "MEDIUM")),
)
"""GE (STANDARD, BONEPLUS, CHST), United Imaging (B_SOFT_B, H_BONE_A), and what others write out."""

_SPOKEN = {
    "lung": (
        *(
            "LUNG",
            "LUNGS",
            "LUNGE",
            "LUNGEN",
            "LUNGENFENSTER",
            "LUNGENKERNEL",
            "POUMON",
            "POUMONS",
            "PULMON",
            "POLMONE",
        ),
        *("POLMONI", "PULMAO", "LONGEN", "HRCT", "PARENCHYM", "PARENCHYME", "PARENCHYMA", "PARENCHIMA", "PARENQUIMA"),
    ),
    "bone": (
        *(
            "BONE",
            "BONES",
            "BONEPLUS",
            "KNOCHEN",
            "KNOCHENFENSTER",
            "OSSEUX",
            "OSEO",
            "OSEA",
            "HUESO",
            "HUESOS",
            "OSSO",
        ),
        *("OSSA", "BOT", "BOTTEN", "FELSENBEIN", "PETROUS", "IAC", "IAM"),
    ),
    "soft": ("SOFT", "SOFT TISSUE", "WEICHTEIL", "WEICHTEILE", "WEICHTEILFENSTER", "MEDIASTINUM", "MEDIASTIN"),
}
"""Of Series Description and Protocol Name, where the kernel alone leaves it open."""

_SIEMENS_SHARP = 50
_SIEMENS_BONE = 60
_CHESTS = ("CHEST", "LUNG", "THORAX", "TORAX", "TORACE", "LUNGS")
LUNG_CENTER = -300.0
"""HU of a window's center below which it is for lungs."""
BONE_CENTER, BONE_WIDTH = 200.0, 1000.0
"""HU of a window's center and width above which it is for bone."""

Said = tuple[str | None, str | None]


class _Evidence(NamedTuple):
    """What else a header says of the use of a sharp kernel, as it is written."""

    descriptions: tuple[bytes, bytes]
    center: bytes
    width: bytes
    body_part: bytes


def read_kernel(root: Attributes) -> Said:
    """soft, bone, lung or unknown, and why; neither where the modality is not CT."""
    if root.code("Modality") != "CT":
        return None, None
    evidence = _Evidence(
        (root.raw("SeriesDescription"), root.raw("ProtocolName")),
        *(root.raw("WindowCenter"), root.raw("WindowWidth"), root.raw("BodyPartExamined")),
    )
    return _classify(_kernel(root), root.raw("Manufacturer"), evidence)


def _kernel(root: Attributes) -> bytes:
    kernel = root.raw("ConvolutionKernel")
    if not kernel and has_groups(root):
        items = (item_or_none(group, "CTReconstructionSequence") for group in end_groups(root))
        kernel = next((item.raw("ConvolutionKernel") for item in items if item is not None), b"")
    return kernel


@lru_cache(maxsize=1024)
def _classify(raw: bytes, manufacturer: bytes, evidence: _Evidence) -> Said:
    """Kept, for the files of a series say the same."""
    kernel = read_code(raw)
    if not kernel:
        return "unknown", "no Convolution Kernel"
    found, name, default = _by_name(kernel, plain_words(manufacturer))
    reason = f"Convolution Kernel {name}"
    if found in ("soft", "bone", "lung"):
        return found, reason
    said, why = _by_evidence(evidence, found)
    if said:
        return said, f"{reason}, {why}"
    return (default, reason) if default else ("unknown", f"{reason} is of no known class")


def _by_name(kernel: str, manufacturer: str) -> tuple[str, str, str]:
    """A class, `sharp`, `medium` or none; the name as it may be recorded; the class where nothing else decides."""
    if match := _CANON.fullmatch(kernel):
        return next((c for numbers, c in _CANON_CLASSES if int(match[1]) in numbers), ""), match[0], ""
    if "PHILIPS" in manufacturer and kernel in _PHILIPS:
        return _PHILIPS[kernel], kernel, "bone"
    if ("NEUSOFT" in manufacturer or "NMS" in manufacturer) and (match := _NEUSOFT.fullmatch(kernel)):
        return "soft" if int(match[1]) in _NEUSOFT_SOFT else "", match[0], ""
    if match := _SIEMENS.fullmatch(kernel.partition(" ")[0]):
        return _by_sharpness(match)
    found, word = next(((c, w) for c, words in _WORDS for w in words if w in kernel), ("", ""))
    return found, word or "(another)", {"medium": "soft", "sharp": "bone"}.get(found, "")


def _by_sharpness(match: re.Match[str]) -> tuple[str, str, str]:
    """Siemens: below 50 for soft tissue; of sharper ones, f is a scan of the body, s and h are of heads and joints."""
    letters, sharpness, ending = match[1], int(match[2]), match[3]
    if letters in ("T", "TR"):
        return "", match[0], ""  # of topograms
    if letters == "BL" and sharpness >= _SIEMENS_SHARP:
        return "lung", match[0], ""
    if sharpness < _SIEMENS_SHARP:
        return "soft", match[0], ""
    if letters[0] == "U" or (letters[0] in "HCS" and sharpness >= _SIEMENS_BONE):
        return "bone", match[0], ""
    is_of_joints = ending[:1] in ("S", "H", "U") or (len(letters) == 2 and sharpness >= _SIEMENS_BONE)
    return "sharp", match[0], "bone" if is_of_joints or letters[0] == "H" else "lung"


def _by_evidence(evidence: _Evidence, found: str) -> tuple[str, str]:
    """What words, the window and the body part say, the first of them that says something."""
    for name, raw in zip(("Series Description", "Protocol Name"), evidence.descriptions, strict=True):
        said = [(c, word) for c, words in _SPOKEN.items() if (word := find_phrase(words, plain_words(raw)))]
        if len(said) == 1 and not (found == "sharp" and said[0][0] == "soft"):
            return said[0][0], f"{name} {said[0][1]}"
    centers, widths = read_numbers(evidence.center), read_numbers(evidence.width)
    if found and centers and centers[0] <= LUNG_CENTER:
        return "lung", "Window Center"
    if found == "sharp" and centers and centers[0] >= BONE_CENTER and widths and widths[0] >= BONE_WIDTH:
        return "bone", "Window Center"
    part = plain_words(evidence.body_part)
    if found == "sharp" and part:
        return ("lung" if find_phrase(_CHESTS, part) else "bone"), "Body Part Examined"
    return "", ""
