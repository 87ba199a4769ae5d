"""What in a header makes text in the pixels likely: a name in the corner of an ultrasound image, a page of doses."""

from functools import lru_cache
from typing import NamedTuple

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.frame_types import converted_items, end_groups, has_groups, read_frame_types
from dicomprep.dicom.vocabulary import SECONDARY_CAPTURE, SLIDE_COORDINATES, VOLUMES, WHOLE_SLIDE
from dicomprep.errors import InputError
from dicomprep.privacy.burned_in import Reason

__all__ = ["read_reasons"]

_SCREENS = frozenset({"WSD", "SYN", "DRW"})
"""Conversion Type (0008,0064): workstation, synthesized, drawing."""
_SCANS = frozenset({"DF", "SD", "DV", "SI"})
"""Digitized film, scanned document, digitized video, scanned image."""
_SCREEN_WORDS = ("SCREEN", "CAPTURE", "DOSE", "PROTOCOL", "REPORT", "PASTED")
_SCAN_MODALITIES = frozenset({"HC", "DOC", "RG", "DF"})
_WITH_TEXT = frozenset("US IVUS BDUS XA RF ES GM XC OP OT SC VL EC BMD DXA OPT IVOCT PX VA CF DS".split())
"""Modalities whose devices write into their pictures."""
_DEEP = frozenset(["CT", "MR", "CR", "DX", "MG", "PT", "NM", "IO", "PX"])
"""Modalities whose devices give more than eight bits: with eight, something was made of what they gave."""

MIN_BANNER_SHARE = 0.04
"""Share of an image's rows: a strip as high as a line of text."""


_LABELS = frozenset({"LABEL", "OVERVIEW"})
_OVERVIEWS = frozenset({"LOCALIZER", "THUMBNAIL"})
"""Image Type of a slide (PS3.3 C.8.12.4.1.1), value 3: the label or the slide with it; pictures that may have it."""


class _Said(NamedTuple):
    """What a header says, as it is written; the files of a series say the same."""

    modality: str
    stated: str
    conversion: str
    sop_class_uid: str
    image_types: bytes
    specimen_label: str
    features: str


def read_reasons(root: Attributes) -> tuple[Reason, ...]:
    """Why there may be text in the pixels of a file, by its header alone; the gravest first."""
    modality, stated, image_types = root.code("Modality"), root.code("BurnedInAnnotation"), root.raw("ImageType")
    if has_groups(root):
        more, types = _of_groups(root)
        stated, image_types = more or stated, b"\\".join((image_types, *types))
    has_banner = modality in ("US", "IVUS", "BDUS") and stated != "NO" and _has_banner(root)
    shallow = modality in _DEEP and _is_shallow(root)
    specimen_label, features = root.code("SpecimenLabelInImage"), root.code("RecognizableVisualFeatures")
    conversion, sop_class_uid = root.code("ConversionType"), root.code("SOPClassUID")
    said = _Said(modality, stated, conversion, sop_class_uid, image_types, specimen_label, features)
    return _reasons(said, has_banner=has_banner, is_shallow=shallow, has_overlay=root.has_overlay)


def _of_groups(root: Attributes) -> tuple[str, list[bytes]]:
    """YES where functional groups say that text is burned in, else nothing; types of the first and the last frame."""
    groups = end_groups(root)
    burned_in = any(item.code("BurnedInAnnotation") == "YES" for item in (*groups, *converted_items(groups)))
    return "YES" if burned_in else "", [value for value in read_frame_types(groups) if value]


@lru_cache(maxsize=1024)
def _reasons(said: _Said, *, has_banner: bool, is_shallow: bool, has_overlay: bool) -> tuple[Reason, ...]:
    """Kept, for the files of a series say the same."""
    modality = said.modality
    image_type = said.image_types.upper().decode("ascii", "replace")
    shows_label, may_show_label = _slide_label(said, frozenset(part.strip(" \0") for part in image_type.split("\\")))
    found = (
        (Reason.STATED, said.stated == "YES"),
        (Reason.SCREEN, said.conversion in _SCREENS or any(word in image_type for word in _SCREEN_WORDS)),
        (Reason.SCANNED, said.conversion in _SCANS or modality in _SCAN_MODALITIES),
        (Reason.BANNER, has_banner),
        (Reason.SLIDE_LABEL, shows_label),
        (Reason.RECOGNIZABLE, said.features == "YES" and modality not in VOLUMES),
        (Reason.SECONDARY_CAPTURE, _is_capture(said.sop_class_uid)),
        (Reason.MODALITY, modality in _WITH_TEXT or not modality or may_show_label),
        (Reason.EIGHT_BITS, is_shallow),
        (Reason.OVERLAY, has_overlay),
    )
    return tuple(reason for reason, holds in found if holds)


def _slide_label(said: _Said, kinds: frozenset[str]) -> tuple[bool, bool]:
    """Whether the label of a glass slide is in the picture, and whether it may be."""
    is_slide = said.modality == "SM" or said.sop_class_uid in (WHOLE_SLIDE, SLIDE_COORDINATES)
    if said.specimen_label == "YES":
        return True, True
    if not is_slide and not (_is_capture(said.sop_class_uid) and "LABEL" in kinds):
        return False, False
    if kinds & _LABELS or ("LOCALIZER" in kinds and said.specimen_label != "NO"):
        return True, True
    return False, bool(kinds & _OVERVIEWS) and said.specimen_label != "NO"


def _is_capture(sop_class_uid: str) -> bool:
    return sop_class_uid == SECONDARY_CAPTURE or sop_class_uid.startswith(f"{SECONDARY_CAPTURE}.")


def _is_shallow(root: Attributes) -> bool:
    try:
        bits, samples = root.integer("BitsStored", 16) or 16, root.integer("SamplesPerPixel", 1)
    except InputError:
        return False
    return 1 < bits <= 8 or samples == 3


def _has_banner(root: Attributes) -> bool:
    """Whether the ultrasound regions leave a strip above, below or beside them (PS3.3 C.8.5.5)."""
    try:
        rows, columns = root.integer("Rows") or 0, root.integer("Columns") or 0
        names = ("RegionLocationMinY0", "RegionLocationMaxY1", "RegionLocationMinX0", "RegionLocationMaxX1")
        regions = [[item.integer(name) for name in names] for item in root.items("SequenceOfUltrasoundRegions")]
    except InputError:
        return True
    edges = [region for region in regions if None not in region]
    if not edges:
        return False
    top, bottom, left, right = zip(*edges, strict=True)
    strip = max(min(top), rows - 1 - max(bottom)) / max(rows, 1)
    beside = max(min(left), columns - 1 - max(right)) / max(columns, 1)
    return strip >= MIN_BANNER_SHARE or beside >= 5 * MIN_BANNER_SHARE
