"""Patient IDs as they are compared, and what stands for none."""

import re
import unicodedata

__all__ = ["is_placeholder", "plain_identity", "stands_for_none"]

_PLACEHOLDERS = (
    "ANON ANONYM ANONYMISED ANONYMIZED ANONYMOUS ANONYMOUSPATIENT ANONPATIENT DEFAULT DEID DEIDENTIFIED "
    "DUMMY EMPTY HIDDEN ID MISSING NA NAN NIL NOID NONAME NONE NOTAPPLICABLE NOTAVAILABLE NOTKNOWN NULL "
    "PATIENT PATIENTID PSEUDONYM REDACTED REMOVED TEST TESTPATIENT UNDEFINED UNK UNKNOWN UNNAMED "
    "UNSPECIFIED "
)
"""What systems write where they have no Patient ID, without what is no letter or digit."""

_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Characters that show nothing although they are no format characters: joiners, fillers, variation selectors."""


def is_placeholder(patient_id: str) -> bool:
    """Whether this stands for no ID: nothing but padding, punctuation, zeros or Xs, or a word such as ANONYMOUS.

    >>> [text for text in ("0000", "N/A", "anonymous", " ", "A17", "ANON_17", "10") if not is_placeholder(text)]
    ['A17', 'ANON_17', '10']
    """
    return stands_for_none(plain_identity(patient_id))


def stands_for_none(plain: str) -> bool:
    """The same of an ID that is already as it is compared."""
    bare = re.sub(r"[\W_]+", "", plain)
    return not bare.strip("0") or not bare.strip("X") or f" {bare} " in f" {_PLACEHOLDERS}"


def plain_identity(text: str) -> str:
    r"""An ID as it is compared: in capitals and NFKC, without padding and what nobody sees.

    >>> plain_identity("\ufeff ａｂ\u200b  1\0"), plain_identity("HOSPITAL\\0007\\")
    ('AB 1', 'HOSPITAL\\0007')
    """
    if text.isascii():
        plain = text
    else:
        shown = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
        plain = _INVISIBLE.sub("", shown)
    folded = " ".join(plain.replace("\0", " ").split()).upper()
    if "\\" in folded:
        folded = re.sub(r" ?\\ ?", r"\\", folded).strip("\\")
    return folded if folded.isascii() else unicodedata.normalize("NFKC", folded)
