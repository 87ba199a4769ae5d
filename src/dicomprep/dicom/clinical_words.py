"""What people typed as the name of a segment, a region or a mark: kept as far as it is clinical words.

A name that is nothing but terms (`Lung_L`, `SpinalCord`, `PTV 70`) is kept as a whole. Beside any other word only those
pass that are no names of people in any language.
"""

import re
import unicodedata

from dicomprep.dicom.terms import clinical_terms
from dicomprep.dicom.vocabulary import LABEL_TERMS

__all__ = ["clinical_words"]

MAX_TEXT_CHARACTERS = 256
"""Of a text that is looked through."""

_WORD = re.compile(r"[^\W_]+")
_JOINT = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Between the words of `SpinalCord`."""

_SHORT_NUMBER = re.compile(r"[0-9]{1,2}|[CTLS][0-9]{1,2}")
"""`PTV 70`, `Segment 1`, and vertebrae: `L4`."""

_DOSE = re.compile(r"[0-9]{3,4}(?:C?GY)?")
"""`PTV 7000`: no reason to leave out the words beside it."""


def clinical_words(text: str) -> str | None:
    """The clinical words of a text, in capitals; None where there are none.

    >>> clinical_words("Lung_L"), clinical_words("SpinalCord"), clinical_words("Head, John"), clinical_words("White")
    ('LUNG L', 'SPINAL CORD', None, None)
    """
    text = text[:MAX_TEXT_CHARACTERS]
    words = [_plain(word) for word in _WORD.findall(_JOINT.sub(" ", text))]
    rest = [word for word in words if not _DOSE.fullmatch(word)]
    if all(word in LABEL_TERMS or _SHORT_NUMBER.fullmatch(word) for word in rest):
        return " ".join(rest) if any(word in LABEL_TERMS - {"L", "R"} for word in rest) else None
    return clinical_terms([text.encode()])


def _plain(word: str) -> str:
    """In capitals, without accents."""
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).upper()
