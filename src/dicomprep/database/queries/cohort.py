"""What the cohort table counts: images of the catalogue by what their files and patients have in common."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from dicomprep.database.page_schema import catalogue
from dicomprep.database.schema import files, frames, groups

__all__ = ["count_subjects"]

_PATIENT = func.coalesce(groups.c.joined_id, groups.c.id)
_COLUMNS = (
    *(groups.c.split, _PATIENT.label("patient"), files.c.patient_age, files.c.patient_sex),
    *(files.c.manufacturer, files.c.body_part, files.c.row_spacing_mm, catalogue.c.label),
)


def count_subjects(connection: Connection, *, start: int, end: int) -> Iterator[tuple[tuple[Any, ...], int]]:
    """(split, patient, age, sex, manufacturer, body part, spacing, label) and how many images, ids `start` to `end`."""
    joined = catalogue.join(frames, frames.c.id == catalogue.c.frame_id).join(files, files.c.id == frames.c.file_id)
    joined = joined.join(groups, groups.c.id == catalogue.c.group_id)
    within = (catalogue.c.frame_id >= start) & (catalogue.c.frame_id < end)
    statement = select(*_COLUMNS, func.count()).select_from(joined).where(within).group_by(*_COLUMNS)
    for *said, count in connection.execute(statement):
        yield tuple(said), count
