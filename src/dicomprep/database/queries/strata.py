"""What the images of each group have in common: by what it is balanced, and whether a condition is true of any."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, func, select

from dicomprep.database.bulk import scan
from dicomprep.database.conditions import parse_condition
from dicomprep.database.queries.frames import COLUMNS, UNCOMPARABLE
from dicomprep.database.queries.kinds import is_in_images
from dicomprep.database.schema import files, frames, groups
from dicomprep.splits import Stratum

__all__ = ["groups_where", "strata_of_groups", "test_condition"]

_DECIDED = ("split", "fold", "group_key")
"""What splits decide cannot decide splits."""

_COLUMN = {Stratum.YEAR: "study_year"}
"""Columns that are not called like their stratum."""

_IMAGES = frames.join(files, files.c.id == frames.c.file_id).join(groups, groups.c.id == files.c.group_id)


def test_condition(text: str) -> ColumnElement[bool]:
    """The condition of `--test-where`; ConfigError where it is none."""
    columns = {name: column for name, column in COLUMNS.items() if name not in (*UNCOMPARABLE, *_DECIDED)}
    return parse_condition(text, columns, option="--test-where")


def groups_where(connection: Connection, text: str) -> set[int]:
    """The groups of which any image fulfills the condition of `--test-where`."""
    statement = select(files.c.group_id).select_from(_IMAGES).where(files.c.duplicate_of.is_(None), is_in_images())
    return set(connection.execute(statement.where(test_condition(text)).distinct()).scalars())


def strata_of_groups(connection: Connection, stratum: Stratum) -> Mapping[int, Counter[str]]:
    """Of each group, how many images have which value; those without a value do not count."""
    value = COLUMNS[_COLUMN.get(stratum, stratum.value)].label("value")
    of_images = select(files.c.group_id.label("group_id"), value).select_from(_IMAGES).where(is_in_images()).subquery()
    counted = select(of_images.c.group_id, of_images.c.value, func.count())
    counted = counted.where(of_images.c.value.is_not(None)).group_by(of_images.c.group_id, of_images.c.value)
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for rows in scan(connection, counted):
        for group_id, name, count in rows:
            found[group_id][str(name)] += count
    return found
