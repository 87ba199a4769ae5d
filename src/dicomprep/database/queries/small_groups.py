"""How many patients have a value of what is recorded of them, or a combination of values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from dicomprep.database.queries.kinds import is_in_images
from dicomprep.database.schema import files, groups

__all__ = ["SmallGroup", "count_shown_patients", "find_small_groups"]

_PATIENT: ColumnElement[int] = func.coalesce(groups.c.joined_id, groups.c.id).label("patient")
"""Groups that were found to be one are one."""

_TRAITS: Mapping[str, ColumnElement[Any]] = {
    "sex": files.c.patient_sex,
    "study_year": files.c.study_year,
    "age": files.c.patient_age,
    "age_group": files.c.patient_age - files.c.patient_age % 10,
    "device": func.coalesce(
        files.c.manufacturer + " " + files.c.manufacturer_model, files.c.manufacturer_model, files.c.manufacturer
    ),
}


@dataclass(frozen=True, slots=True)
class SmallGroup:
    """Patients of whom the same is recorded."""

    values: tuple[str | int | None, ...]
    patients: int


def count_shown_patients(connection: Connection) -> int:
    """Patients of whom there are images in `images`."""
    return int(connection.execute(select(func.count()).select_from(_shown().subquery())).scalar_one())


def find_small_groups(
    connection: Connection, traits: Sequence[str], *, fewer_than: int
) -> tuple[list[SmallGroup], int]:
    """Groups by `traits` that have fewer patients, the smallest first, and how many patients are in any of them.

    What is not stated is a value only where another of the traits is stated.
    """
    columns = [_TRAITS[trait].label(trait) for trait in traits]
    held = _shown(*columns).where(or_(*(_TRAITS[trait].is_not(None) for trait in traits))).subquery()
    values = [held.c[trait] for trait in traits]
    size = func.count().over(partition_by=values).label("size")
    sized = select(held.c.patient, *values, size).subquery()
    is_small = sized.c.size < fewer_than
    values = [sized.c[trait] for trait in traits]
    found = connection.execute(select(sized.c.size, *values).where(is_small).distinct())
    small = sorted((SmallGroup(tuple(row[1:]), row[0]) for row in found), key=_order)
    patients = connection.execute(select(func.count(sized.c.patient.distinct())).where(is_small)).scalar_one()
    return small, int(patients)


def _shown(*columns: ColumnElement[Any]) -> Select[Any]:
    statement = select(_PATIENT, *columns).select_from(files.join(groups))
    return statement.where(files.c.duplicate_of.is_(None), files.c.frames > 0, is_in_images()).distinct()


def _order(group: SmallGroup) -> tuple[Any, ...]:
    return (group.patients, *((value is not None, value if value is not None else 0) for value in group.values))
