"""What in a header makes text in the pixels likely: a name in the corner of an ultrasound image, a page of doses."""

from functools import lru_cache

from dicomprep.burned_in import Reason
from dicomprep.dicom.attributes import Attributes
from dicomprep.errors import InputError

__all__ = ["read_reasons"]

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""Secondary Capture Image Storage; the multi-frame ones begin with it."""

_SCREENS = frozenset({"WSD", "SYN", "DRW"})
"""Conversion Type (0008,0064): workstation, synthesised, drawing."""
_SCANS = frozenset({"DF", "SD", "DV", "SI"})
"""Digitised film, scanned document, digitised video, scanned image."""
_SCREEN_WORDS = ("SCREEN", "CAPTURE", "DOSE", "PROTOCOL", "REPORT", "PASTED")
_SCAN_MODALITIES = frozenset({"HC", "DOC", "RG", "DF"})
_WITH_TEXT = frozenset("US IVUS BDUS XA RF ES GM XC OP OT SC VL EC BMD DXA OPT IVOCT PX VA CF DS".split())
"""Modalities whose devices write into their pictures."""
_DEEP = frozenset(["CT", "MR", "CR", "DX", "MG", "PT", "NM", "IO", "PX"])
"""Modalities whose devices give more than eight bits: with eight, something was made of what they gave."""

LEAST_BANNER = 0.04
"""Of an image's rows: a strip as high as a line of text."""


def read_reasons(root: Attributes) -> tuple[Reason, ...]:
    """Why there may be text in the pixels of a file, by its header alone; the gravest first."""
    modality, stated = root.code("Modality"), root.code("BurnedInAnnotation")
    has_banner = modality in ("US", "IVUS", "BDUS") and stated != "NO" and _has_banner(root)
    shallow = modality in _DEEP and _is_shallow(root)
    said = (modality, stated, root.code("ConversionType"), root.code("SOPClassUID"), root.raw("ImageType"))
    return _reasons(said, has_banner=has_banner, is_shallow=shallow, has_overlay=root.has_overlay)


@lru_cache(maxsize=1024)
def _reasons(
    said: tuple[str, str, str, str, bytes], *, has_banner: bool, is_shallow: bool, has_overlay: bool
) -> tuple[Reason, ...]:
    """Kept, for the files of a series say the same."""
    modality, stated, conversion, sop_class_uid, raw_image_type = said
    image_type = raw_image_type.upper().decode("ascii", "replace")
    found = (
        (Reason.STATED, stated == "YES"),
        (Reason.SCREEN, conversion in _SCREENS or any(word in image_type for word in _SCREEN_WORDS)),
        (Reason.SCANNED, conversion in _SCANS or modality in _SCAN_MODALITIES),
        (Reason.BANNER, has_banner),
        (Reason.SECONDARY_CAPTURE, _is_capture(sop_class_uid)),
        (Reason.MODALITY, modality in _WITH_TEXT or not modality),
        (Reason.EIGHT_BITS, is_shallow),
        (Reason.OVERLAY, has_overlay),
    )
    return tuple(reason for reason, holds in found if holds)


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
    return strip >= LEAST_BANNER or beside >= 5 * LEAST_BANNER
