"""Coded concepts (PS3.3 8.8), by what the standard says of their code: the meaning in a file may say anything.

SNOMED RT is given as SNOMED CT, so that one query finds both.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.clinical_words import clinical_words
from dicomprep.dicom.lenient import first_item, read_text
from dicomprep.dicom.vocabulary import UNITS

__all__ = ["NO_CONCEPT", "Concept", "read_concept", "read_unit"]


class Concept(NamedTuple):
    """A code as `scheme:value`, and what it means."""

    code: str | None = None
    meaning: str | None = None


NO_CONCEPT = Concept()

SNOMED_CT = frozenset(("SCT", "SNOMED-CT", "2.16.840.1.113883.6.96"))
SNOMED_RT = frozenset(("SRT", "SNM3", "99SDM", "SNOMED-RT", "SNOMED"))
"""Designators that the two have had; 99SDM as some write it who meant the standard."""

_FORMS: Mapping[str, Callable[[str], object]] = {
    "DCM": re.compile(r"1[0-3][0-9]{4}").fullmatch,
    "SRT": re.compile(r"[A-Z][0-9]?-[0-9A-F]{4,6}").fullmatch,
    "RADLEX": re.compile(r"RID[0-9]{1,6}").fullmatch,
    "NCIt": re.compile(r"C[0-9]{3,6}").fullmatch,
    "LN": re.compile(r"[0-9]{1,5}-[0-9]").fullmatch,
    "UMLS": re.compile(r"C[0-9]{7}").fullmatch,
}
"""What a code looks like that the data dictionary here does not know, for it is newer."""

_SEMANTIC_TAG = re.compile(r" \((?:body structure|finding|procedure|qualifier value|attribute|disorder)\)$")
"""What SNOMED CT adds to a name to say of which hierarchy it is."""


def read_concept(attributes: Attributes | None, keyword: str) -> Concept:
    """The first item of a code sequence, with the meaning that the standard gives it; of others, clinical words."""
    item = first_item(attributes, keyword)
    if item is None:
        return NO_CONCEPT
    value = next(filter(None, (read_text(item, k) for k in ("CodeValue", "LongCodeValue", "URNCodeValue"))), "")
    code, meaning = _find_concept(read_text(item, "CodingSchemeDesignator"), value)
    return Concept(code, meaning or clinical_words(read_text(item, "CodeMeaning")))


def read_unit(attributes: Attributes | None) -> str | None:
    """The unit of a measured value, if it is one of UCUM; its annotations are free text."""
    item = first_item(attributes, "MeasurementUnitsCodeSequence")
    unit = read_text(item, "CodeValue") if item is not None else ""
    return unit if unit in UNITS or unit in _meanings().get("UCUM", {}) else None


def _find_concept(scheme: str, value: str) -> Concept:
    scheme, value = _current(scheme, value)
    meaning = _meanings().get(scheme, {}).get(value)
    if meaning is None and not _has_form(scheme, value):
        return NO_CONCEPT
    return Concept(f"{scheme}:{value}", meaning)


def _current(scheme: str, value: str) -> tuple[str, str]:
    if scheme in SNOMED_RT:
        current = _snomed_ct().get(value)
        return ("SCT", current) if current is not None else ("SRT", value)
    return ("SCT" if scheme in SNOMED_CT else scheme), value


def _has_form(scheme: str, value: str) -> bool:
    if scheme == "SCT":
        return _is_snomed(value)
    form = _FORMS.get(scheme)
    return form is not None and form(value) is not None


def _is_snomed(value: str) -> bool:
    """Whether digits are the identifier of a concept of SNOMED CT, which ends in a check digit (Verhoeff's).

    >>> _is_snomed("10200004"), _is_snomed("10200005")
    (True, False)
    """
    if not re.fullmatch(r"[1-9][0-9]{5,17}", value) or value[-3:-1] not in ("00", "10"):
        return False
    check = 0
    for place, digit in enumerate(reversed(value)):
        check = _dihedral(check, _permuted(place % 8, int(digit)))
    return check == 0


def _dihedral(a: int, b: int) -> int:
    """The product in the group of symmetries of a pentagon: 0 to 4 turn it, 5 to 9 flip it."""
    turn = (a + b if a < 5 else a - b) % 5
    return turn if (a < 5) == (b < 5) else turn + 5


_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _permuted(times: int, digit: int) -> int:
    for _ in range(times):
        digit = _PERMUTATION[digit]
    return digit


@cache
def _meanings() -> dict[str, dict[str, str]]:
    """Meanings of the context groups of PS3.16, by scheme and code."""
    from pydicom.sr._concepts_dict import concepts

    meanings: dict[str, dict[str, str]] = {}
    for scheme, keywords in concepts.items():
        known = meanings.setdefault(scheme, {})
        for codes in keywords.values():
            for code, (meaning, *_) in codes.items():
                plain = _SEMANTIC_TAG.sub("", meaning)
                known[code] = min(known.get(code, plain), plain, key=len)  # `Liver`, not `Liver structure`
    return meanings


@cache
def _snomed_ct() -> Mapping[str, str]:
    """Codes of SNOMED CT by those of SNOMED RT."""
    from pydicom.sr._snomed_dict import mapping

    known: Mapping[str, str] = mapping["SRT"]
    return known
