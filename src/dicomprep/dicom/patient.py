"""Who the patient is, as the header says: the Patient ID and who issued it (PS3.3 C.7.1.1)."""

from dataclasses import dataclass

from dicomprep.dicom.attributes import Attributes

__all__ = ["PatientIdentity", "read_patient"]


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """An ID and its issuer. It never leaves the worker: only a keyed hash of it does."""

    patient_id: str | None
    issuer: str | None
    """Issuer of Patient ID, else the Universal Entity ID that stands for it; None where neither is stated."""


def read_patient(attributes: Attributes) -> PatientIdentity:
    """The patient's identity; other IDs that the header may list are not part of it."""
    issuer = attributes.text("IssuerOfPatientID")
    if issuer is None:
        qualifiers = attributes.item("IssuerOfPatientIDQualifiersSequence")
        issuer = qualifiers.text("UniversalEntityID") if qualifiers is not None else None
    return PatientIdentity(attributes.text("PatientID"), issuer)
