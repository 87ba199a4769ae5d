"""The keyed hashes that stand for patient, study, series and order: made by whoever has the data set's key.

That is a worker of this machine; where workers are on others the key stays here, and they say what is to be hashed.
"""

from dataclasses import replace
from functools import partial

from dicomprep.config import Splits
from dicomprep.models import Instance, Outcome, PatientIdentity, Task
from dicomprep.privacy.identities import ACCESSION, STUDY_NUMBER, hash_number
from dicomprep.privacy.keys import keyed_hash
from dicomprep.splits import bare_draw, draw_of, former_group_key, group_identity, key_without_issuer

__all__ = ["identify_instance", "identify_outcome"]


def identify_outcome(outcome: Outcome, *, key: bytes, splits: Splits) -> Outcome:
    """An outcome whose instance has its keys; the identity itself goes no further."""
    if outcome.patient is None:
        return outcome
    instance = identify_instance(outcome.instance, outcome.patient, outcome.task, key=key, splits=splits)
    return replace(outcome, instance=instance, patient=None)


def identify_instance(
    instance: Instance, patient: PatientIdentity, task: Task, *, key: bytes, splits: Splits
) -> Instance:
    """An instance with the keys of its group, study, series and order, earlier ones, and what the group drew."""
    study = instance.study_instance_uid
    folder = task.folder or task.study_id
    identity = group_identity(
        splits, patient_id=patient.patient_id, issuer=patient.issuer, study_instance_uid=study, folder=folder
    )
    group = keyed_hash(key, identity.kind, identity.text)
    before = patient.former or patient
    formerly = partial(former_group_key, key, splits, study_instance_uid=study, folder=folder)
    former = formerly(patient_id=before.patient_id, issuer=before.issuer)
    series = instance.series_instance_uid
    return replace(
        instance,
        group_kind=identity.kind,
        group_key=group,
        draw=draw_of(key, splits, identity, group),
        bare_draw=bare_draw(splits, identity),
        former_key=former if former != group else "",
        issuerless_key=key_without_issuer(key, splits, patient_id=patient.patient_id, issuer=patient.issuer),
        study_key=keyed_hash(key, "study", study) if study else "",
        series_key=keyed_hash(key, "series", series) if series else "",
        accession_key=hash_number(key, ACCESSION, patient.accession_number),
        study_number_key=hash_number(key, STUDY_NUMBER, patient.study_number),
    )
