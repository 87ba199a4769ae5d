"""Which split a patient belongs to: a keyed hash, the same for ever and in any order of arrival."""

import hmac
import re
import unicodedata
from collections.abc import Callable

from dicomprep.config import TEST, TRAIN, VAL, GroupBy, Splits
from dicomprep.privacy.keys import keyed_hash

__all__ = [
    "assign_split",
    "former_group_key",
    "identify_group",
    "is_placeholder",
    "key_without_issuer",
    "plain_identity",
]

_PLACEHOLDERS = (
    "ANON ANONYM ANONYMISED ANONYMIZED ANONYMOUS ANONYMOUSPATIENT ANONPATIENT DEFAULT DEID DEIDENTIFIED "
    "DUMMY EMPTY HIDDEN ID MISSING NA NAN NIL NOID NONAME NONE NOTAPPLICABLE NOTAVAILABLE NOTKNOWN NULL "
    "PATIENT PATIENTID PSEUDONYM REDACTED REMOVED TEST TESTPATIENT UNDEFINED UNK UNKNOWN UNNAMED "
    "UNSPECIFIED "
)
"""What systems write where they have no Patient ID, without what is no letter or digit."""

_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Characters that show nothing although they are no format characters: joiners, fillers, variation selectors."""


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
    return _identify(
        key, splits, plain_identity, patient_id, issuer, study_instance_uid, unicodedata.normalize("NFC", folder)
    )


def former_group_key(
    key: bytes,
    splits: Splits,
    *,
    patient_id: str | None,
    issuer: str | None,
    study_instance_uid: str | None,
    folder: str,
) -> str:
    """The key that the group had before IDs were compared in NFKC and folders in NFC: it may be recorded under it."""
    return _identify(key, splits, _former_identity, patient_id, issuer, study_instance_uid, folder)[1]


def key_without_issuer(key: bytes, splits: Splits, *, patient_id: str | None, issuer: str | None) -> str:
    """The key that the patient would have without the issuer; empty if there is none, or it is not used."""
    if splits.group_by is not GroupBy.PATIENT or not issuer or is_placeholder(patient_id or ""):
        return ""
    return keyed_hash(key, GroupBy.PATIENT, plain_identity(patient_id or "")) if plain_identity(issuer) else ""


def is_placeholder(patient_id: str) -> bool:
    """Whether this stands for no ID: nothing but padding, punctuation, zeros or Xs, or a word such as ANONYMOUS.

    >>> [text for text in ("0000", "N/A", "anonymous", " ", "A17", "ANON_17", "10") if not is_placeholder(text)]
    ['A17', 'ANON_17', '10']
    """
    return _is_placeholder(plain_identity(patient_id))


def _is_placeholder(plain: str) -> bool:
    bare = re.sub(r"[\W_]+", "", plain)
    return not bare.strip("0") or not bare.strip("X") or f" {bare} " in f" {_PLACEHOLDERS}"


def assign_split(key: bytes, splits: Splits, *, group_kind: str, group_key: str) -> str:
    """train, val or test.

    A group without an identifier of the requested unit (no Patient ID, say) never enters test, unless
    `test_unidentified`: its patient might be in train under another name.
    """
    train, val, _ = splits.shares
    draw = int.from_bytes(hmac.digest(key, f"split\0{group_key}".encode(), "sha256")[:8], "big") / 2**64
    if group_kind != splits.group_by and not splits.test_unidentified and train + val > 0:
        draw *= train + val
    if draw < train:
        return TRAIN
    return VAL if draw < train + val else TEST


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


def _former_identity(text: str) -> str:
    return " ".join(text.replace("\0", " ").split()).upper()


def _identify(  # noqa: PLR0913, PLR0917  (what identifies, and by which rule)
    key: bytes,
    splits: Splits,
    plain: Callable[[str], str],
    patient_id: str | None,
    issuer: str | None,
    study_instance_uid: str | None,
    folder: str,
) -> tuple[str, str]:
    patient, issued_by = plain(patient_id or ""), plain(issuer or "")
    patient = "" if _is_placeholder(patient) else f"{patient}\0{issued_by}" if issued_by else patient
    study = (study_instance_uid or "").strip(" \0")
    candidates = [(GroupBy.PATIENT, patient), (GroupBy.STUDY, study), (GroupBy.FOLDER, folder)]
    wanted = list(GroupBy).index(splits.group_by)
    kind, identity = next((kind, text) for kind, text in candidates[wanted:] if text or kind is GroupBy.FOLDER)
    return kind.value, keyed_hash(key, kind, identity)
