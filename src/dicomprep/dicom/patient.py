"""Who the patient is, by Patient ID and its issuer (PS3.3 C.7.1.1), and the keyed hashes that stand for them."""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from pydicom.charset import TEXT_VR_DELIMS, decode_bytes

from dicomprep.dicom.attributes import MAX_VALUE_BYTES, Attributes, label
from dicomprep.dicom.fast_scan import character_encodings
from dicomprep.errors import ErrorCode, InputError
from dicomprep.models import Instance, Settings, Task
from dicomprep.privacy.keys import keyed_hash
from dicomprep.splits import former_group_key, identify_group, key_without_issuer

__all__ = ["PatientIdentity", "decode_identity", "identify_instance", "read_patient"]


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """An ID and its issuer. It never leaves the worker: only a keyed hash of it does."""

    patient_id: str | None
    issuer: str | None
    """Issuer of Patient ID, else the Universal Entity ID that stands for it; None where neither is stated."""
    former: "PatientIdentity | None" = None
    """How releases before 0006 read it, where that differs: data sets of theirs go on under their keys."""


def read_patient(attributes: Attributes) -> PatientIdentity:
    """The patient's identity; other IDs that the header may list are not part of it."""
    character_set = attributes.raw("SpecificCharacterSet")
    patient_id = _read(attributes, "PatientID", character_set)
    issuer, qualifiers = _read(attributes, "IssuerOfPatientID", character_set), None
    if issuer is None:
        qualifiers = attributes.item("IssuerOfPatientIDQualifiersSequence")
        issuer = _read(qualifiers, "UniversalEntityID", character_set) if qualifiers is not None else None
    if _is_plain(patient_id) and _is_plain(issuer):
        return PatientIdentity(patient_id, issuer)
    try:
        formerly = attributes.text("IssuerOfPatientID") or (qualifiers and qualifiers.text("UniversalEntityID"))
        former = PatientIdentity(attributes.text("PatientID"), formerly or None)
    except InputError:
        former = None
    return PatientIdentity(patient_id, issuer, former)


def identify_instance(instance: Instance, patient: PatientIdentity, task: Task, settings: Settings) -> Instance:
    """An instance with the keys of its group, study and series, and those that earlier releases gave its group."""
    key, splits, study = settings.key, settings.splits, instance.study_instance_uid
    folder = task.folder or task.study_id
    identify = partial(identify_group, key, splits, study_instance_uid=study, folder=folder)
    kind, group = identify(patient_id=patient.patient_id, issuer=patient.issuer)
    before = patient.former or patient
    formerly = partial(former_group_key, key, splits, study_instance_uid=study, folder=folder)
    former = formerly(patient_id=before.patient_id, issuer=before.issuer)
    series = instance.series_instance_uid
    return replace(
        instance,
        group_kind=kind,
        group_key=group,
        former_key=former if former != group else "",
        issuerless_key=key_without_issuer(key, splits, patient_id=patient.patient_id, issuer=patient.issuer),
        study_key=keyed_hash(key, "study", study) if study else "",
        series_key=keyed_hash(key, "series", series) if series else "",
    )


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


def _is_plain(text: str | None) -> bool:
    return text is None or (text.isascii() and "\\" not in text)
