"""Which split a patient belongs to: a keyed hash, the same for ever and in any order of arrival."""

import hmac

from dicomprep.config import GroupBy, Splits
from dicomprep.privacy import keyed_hash

__all__ = ["assign_split", "identify_group"]


def identify_group(
    key: bytes, splits: Splits, *, patient_id: str | None, study_instance_uid: str | None, folder: str
) -> tuple[str, str]:
    """(kind, keyed hash) of what must not be divided: the patient, else the study, else the folder.

    Case and white space of a PatientID do not make another patient.
    """
    patient = " ".join((patient_id or "").split()).upper()
    candidates = [(GroupBy.PATIENT, patient), (GroupBy.STUDY, study_instance_uid), (GroupBy.FOLDER, folder)]
    wanted = list(GroupBy).index(splits.group_by)
    kind, identity = next((kind, text) for kind, text in candidates[wanted:] if text or kind is GroupBy.FOLDER)
    return kind.value, keyed_hash(key, kind, identity or "")


def assign_split(key: bytes, splits: Splits, *, group_kind: str, group_key: str) -> str:
    """train, val or test.

    A group that could not be identified as asked (no PatientID, say) never enters test: its patient might be in
    train under another name.
    """
    train, val, _ = splits.shares
    draw = int.from_bytes(hmac.digest(key, f"split\0{group_key}".encode(), "sha256")[:8], "big") / 2**64
    if group_kind != splits.group_by and train + val > 0:
        draw *= train + val
    if draw < train:
        return "train"
    return "val" if draw < train + val else "test"
