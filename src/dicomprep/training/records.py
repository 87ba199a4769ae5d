"""What the database says of a frame, and of a series, study or patient."""

from typing import NamedTuple

__all__ = ["NO_FOLD", "Record", "UnitRecord", "image_of", "name_of"]

NO_FOLD = -1
"""The fold of a frame that is in none."""


class Record(NamedTuple):
    """What the database says of a frame. Texts are empty where nothing is known, so that any loader can batch them."""

    id: int
    filename: str
    study_id: str
    thumbnail_path: str
    """Below the output folder."""
    frame_number: int
    split: str
    modality: str
    patient_key: str
    label: str
    width: int
    height: int
    series_instance_uid: str
    group_key: str
    """The same for all images of a patient, also of one who is known by several IDs."""
    fold: int
    """From 0; -1 without a fold, as in test."""


class UnitRecord(NamedTuple):
    """What the database says of a series, a study or a patient."""

    unit: str
    patient_key: str
    split: str
    label: str
    records: tuple[Record, ...]
    """Of its images, in the order of their ids; of the slices of a bag, in their order."""


def image_of(record: Record | UnitRecord) -> Record:
    """What the database says of a frame, of a unit that of its first one."""
    return record if isinstance(record, Record) else record.records[0]


def name_of(record: Record | UnitRecord) -> str:
    """The name of a frame, of a unit that of its first one."""
    return image_of(record).filename
