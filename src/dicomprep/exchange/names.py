"""Names that classes and people may have."""

import re
from unicodedata import normalize

from dicomprep.errors import LabelError

__all__ = ["JOINERS", "MAX_CLASSES", "can_be_class", "clean_name"]

MAX_CLASSES = 200
"""Classes of a data set; bounds the page."""

MAX_NAME_CHARACTERS = 60
"""Characters of an annotator or a class; bounds what pages store."""

JOINERS = dict.fromkeys((0x200C, 0x200D), "x")
"""Persian and Indian scripts and many emoji need them to be written at all."""

_DECIMAL = re.compile(r"[+-]?\d+[.]\d+")


def clean_name(name: str, what: str) -> str:
    """A class's or a person's name as it may be kept, one however it was composed; LabelError where it may not."""
    name = normalize("NFC", name).strip()
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.translate(JOINERS).isprintable() or "," in name:
        raise LabelError(f"{what} must have 1 to {MAX_NAME_CHARACTERS} characters, without commas or line breaks.")
    return name


def can_be_class(label: str) -> bool:
    """Whether a label that was imported is a class to choose on the pages: no text, and no measured value."""
    try:
        return clean_name(label, "") == label and not _DECIMAL.fullmatch(label)
    except LabelError:
        return False
