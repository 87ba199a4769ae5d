"""Whose an image is: the keys of its patient (or other group), study and series, made where the file is open."""

from dataclasses import replace
from functools import partial

from dicomprep.dicom.patient import PatientIdentity
from dicomprep.models import Instance, Settings, Task
from dicomprep.privacy.keys import keyed_hash
from dicomprep.splits import former_group_key, identify_group, key_without_issuer

__all__ = ["identify_instance"]


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
