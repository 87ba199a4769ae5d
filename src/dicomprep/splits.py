"""Which split a patient belongs to: a keyed hash, the same for ever and in any order of arrival."""

import hmac
import re

from dicomprep.config import GroupBy, Splits
from dicomprep.privacy import keyed_hash

__all__ = ["assign_split", "identify_group", "is_placeholder"]

_PLACEHOLDERS = (
    "ANON ANONYM ANONYMISED ANONYMIZED ANONYMOUS ANONYMOUSPATIENT ANONPATIENT DEFAULT DEID DEIDENTIFIED "
    "DUMMY EMPTY HIDDEN ID MISSING NA NAN NIL NOID NONAME NONE NOTAPPLICABLE NOTAVAILABLE NOTKNOWN NULL "
    "PATIENT PATIENTID PSEUDONYM REDACTED REMOVED TEST TESTPATIENT UNDEFINED UNK UNKNOWN UNNAMED "
    "UNSPECIFIED "
)
"""What systems write where they have no Patient ID, without what is no letter or digit."""


def identify_group(
    key: bytes,
    splits: Splits,
    *,
    patient_id: str | None,
    issuer: str | None = None,
    study_instance_uid: str | None,
    folder: str,
) -> tuple[str, str]:
    """(kind, keyed hash) of what must not be divided: the patient, else the study, else the folder.

    A patient is a Patient ID and its issuer (PS3.3 C.7.1.1). Padding is not part of either (PS3.5 6.2). The standard
    tells `ab 1` from `AB  1`; here they are one patient, for whoever types an ID twice must not get into two splits.
    A placeholder is no ID.
    """
    patient = "" if is_placeholder(patient_id or "") else _folded(patient_id or "")
    if patient and issuer and _folded(issuer):
        patient = f"{patient}\0{_folded(issuer)}"
    study = (study_instance_uid or "").strip(" \0")
    candidates = [(GroupBy.PATIENT, patient), (GroupBy.STUDY, study), (GroupBy.FOLDER, folder)]
    wanted = list(GroupBy).index(splits.group_by)
    kind, identity = next((kind, text) for kind, text in candidates[wanted:] if text or kind is GroupBy.FOLDER)
    return kind.value, keyed_hash(key, kind, identity)


def is_placeholder(patient_id: str) -> bool:
    """Whether this stands for no ID: nothing but padding, punctuation, zeros or Xs, or a word such as ANONYMOUS.

    >>> [text for text in ("0000", "N/A", "anonymous", " ", "A17", "ANON_17", "10") if not is_placeholder(text)]
    ['A17', 'ANON_17', '10']
    """
    bare = re.sub(r"[\W_]+", "", patient_id.upper())
    return not bare.strip("0") or not bare.strip("X") or f" {bare} " in f" {_PLACEHOLDERS}"


def assign_split(key: bytes, splits: Splits, *, group_kind: str, group_key: str) -> str:
    """train, val or test.

    A group that could not be identified as asked (no PatientID, say) never enters test unless asked: its patient might
    be in train under another name.
    """
    train, val, _ = splits.shares
    draw = int.from_bytes(hmac.digest(key, f"split\0{group_key}".encode(), "sha256")[:8], "big") / 2**64
    if group_kind != splits.group_by and not splits.test_unidentified and train + val > 0:
        draw *= train + val
    if draw < train:
        return "train"
    return "val" if draw < train + val else "test"


def _folded(text: str) -> str:
    return " ".join(text.replace("\0", " ").split()).upper()
