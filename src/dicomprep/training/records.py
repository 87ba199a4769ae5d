"""What is known of a frame, as a loader hands it out."""

from typing import NamedTuple

__all__ = ["UNLABELLED", "Record"]

UNLABELLED = -1
"""The target of a frame that has no label."""


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
