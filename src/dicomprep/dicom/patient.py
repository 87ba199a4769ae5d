"""Who the patient is, by Patient ID and its issuer (PS3.3 C.7.1.1); by which numbers people call the study."""

from contextlib import suppress
from functools import lru_cache

from pydicom.charset import TEXT_VR_DELIMS, decode_bytes

from dicomprep.dicom.attributes import MAX_VALUE_BYTES, Attributes, label
from dicomprep.dicom.fast_scan import character_encodings
from dicomprep.errors import ErrorCode, InputError
from dicomprep.models import PatientIdentity

__all__ = ["PatientIdentity", "decode_identity", "read_patient"]


def read_patient(attributes: Attributes) -> PatientIdentity:
    """The patient's identity; other IDs that the header may list are not part of it."""
    character_set = attributes.raw("SpecificCharacterSet")
    patient_id = _read(attributes, "PatientID", character_set)
    issuer, qualifiers = _read(attributes, "IssuerOfPatientID", character_set), None
    if issuer is None:
        qualifiers = attributes.item("IssuerOfPatientIDQualifiersSequence")
        issuer = _read(qualifiers, "UniversalEntityID", character_set) if qualifiers is not None else None
    accession = _read_number(attributes, "AccessionNumber", character_set)
    number = _read_number(attributes, "StudyID", character_set)
    if _is_plain(patient_id) and _is_plain(issuer):
        return PatientIdentity(patient_id, issuer, None, accession, number)
    try:
        formerly = attributes.text("IssuerOfPatientID") or (qualifiers and qualifiers.text("UniversalEntityID"))
        former = PatientIdentity(attributes.text("PatientID"), formerly or None)
    except InputError:
        former = None
    return PatientIdentity(patient_id, issuer, former, accession, number)


@lru_cache(maxsize=1024)
def decode_identity(content: bytes, character_set: bytes) -> str:
    """Bytes of one value as text. A backslash is a character like any other: Patient ID has one value (PS3.6).

    Bytes that the character set does not have stay what they are (as surrogates): two patients stay two.
    """
    if content.isascii() and b"\x1b" not in content:
        return content.decode("ascii")
    encodings = character_encodings(character_set)
    guesses = encodings[:1] if character_set.strip(b" \0") else ["utf-8", *encodings]
    for guess in guesses:
        with suppress(LookupError, UnicodeError, ValueError):
            return _decode(content, [guess, *encodings[1:]])
    return content.decode("ascii", "surrogateescape")


def _decode(content: bytes, encodings: list[str]) -> str:
    """UnicodeError rather than pydicom's replacement characters."""
    if b"\x1b" not in content:
        return content.decode(encodings[0])
    text = decode_bytes(content, encodings, TEXT_VR_DELIMS)
    if "\ufffd" in text or "\x1b" in text:
        raise ValueError("not decodable")
    return text


def _read(attributes: Attributes, keyword: str, character_set: bytes) -> str | None:
    content = attributes.single(keyword)
    if len(content) > MAX_VALUE_BYTES:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} has {len(content):,} bytes")
    text = content if isinstance(content, str) else decode_identity(content, character_set)
    return text.strip(" \0") or None


def _read_number(attributes: Attributes, keyword: str, character_set: bytes) -> str | None:
    """A number that names a study for people; what cannot be one is left out, for the image does not depend on it."""
    with suppress(InputError):
        return _read(attributes, keyword, character_set)
    return None


def _is_plain(text: str | None) -> bool:
    return text is None or (text.isascii() and "\\" not in text)
