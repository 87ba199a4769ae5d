"""What people typed as the name of a segment, a region or a mark: kept as far as it is clinical words.

A name that is nothing but terms (`Lung_L`, `SpinalCord`, `PTV 70`) is kept as a whole. Beside any other word only those
pass that are no names of people in any language.
"""

import re
import unicodedata

from dicomprep.dicom.terms import clinical_terms
from dicomprep.dicom.vocabulary import BODY_PARTS, LABEL_TERMS

__all__ = ["clinical_words"]

MAX_TEXT_CHARACTERS = 256
"""Of a text that is looked through."""

MAX_DIGITS = 2
"""Of a number that is kept."""

_WORD = re.compile(r"[^\W_]+")
_JOINT = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Between the words of `SpinalCord`."""

_NUMBER = re.compile(r"[0-9]{1,4}(?:C?GY)?")
"""`Segment 1`, `PTV 7000`; only the short ones are kept."""

_VERTEBRA = re.compile(r"[CTLS][0-9]{1,2}")
_SIDE = re.compile(r"_[LR](?=$|_)")
"""`Lung_L`; after a space it may be an initial."""

_OF_NAMES = re.compile(r"[^\w -]")
"""Signs that stand in names of people; a letter that could not be read is one, too."""


def clinical_words(text: str) -> str | None:
    """The clinical words of a text, in capitals; None where there are none.

    >>> clinical_words("Lung_L"), clinical_words("SpinalCord"), clinical_words("Head, John"), clinical_words("White")
    ('LUNG L', 'SPINAL CORD', None, None)
    """
    text = text[:MAX_TEXT_CHARACTERS].strip()
    words = [_plain(word) for word in _WORD.findall(_JOINT.sub(" ", text))]
    if not text.isascii() or _OF_NAMES.search(text) or not _is_label(words, has_side=bool(_SIDE.search(text))):
        return clinical_terms([text.encode()])
    kept = [word for word in words if not _NUMBER.fullmatch(word) or len(word) <= MAX_DIGITS]
    return " ".join(kept) or None


def _is_label(words: list[str], *, has_side: bool) -> bool:
    """Whether all words are terms, of which at most one is a body part: many of these are surnames."""
    terms = [word for word in words if not _NUMBER.fullmatch(word) and not (has_side and word in ("L", "R"))]
    if "VERTEBRA" in terms:
        terms = [word for word in terms if not _VERTEBRA.fullmatch(word)]
    is_known = bool(terms) and all(word in LABEL_TERMS for word in terms)
    return is_known and sum(word in BODY_PARTS for word in terms) <= 1


def _plain(word: str) -> str:
    """In capitals, without accents."""
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).upper()
