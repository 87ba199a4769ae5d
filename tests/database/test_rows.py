"""Rows have names: each value gets into the column that its field is called like, whatever the order of either."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, select

from dicomprep.database import bulk
from dicomprep.database.bulk import insert
from dicomprep.database.connection import connect
from dicomprep.database.page_schema import annotators, catalogue, catalogue_counts, models, reservations, skips
from dicomprep.database.schema import aliases, files, frames, groups, links, predictions
from dicomprep.database.writes.catalogue import CatalogueCountRow, CatalogueRow
from dicomprep.database.writes.groups import AliasRow, GroupRow, LinkRow
from dicomprep.database.writes.labels import AnnotatorRow, ReservationRow, SkipRow
from dicomprep.database.writes.predictions import ModelRow, PredictionRow
from dicomprep.database.writes.rows import FrameRow, InputRow
from tests.running import Place as DataSet


class Place(NamedTuple):
    city: str
    country: str


@dataclass(slots=True, kw_only=True)
class PersonRow:
    age: int
    name: str
    place: Place
    attempts: int = 1


def people(*names: str) -> Table:
    """A table with these columns in this order."""
    types = {"id": Integer, "age": Integer, "attempts": Integer}
    columns = [Column(name, types.get(name, Text), primary_key=name == "id", unique=name == "name") for name in names]
    return Table("people", MetaData(), *columns)


@pytest.mark.parametrize(
    "names",
    [
        ("id", "age", "name", "city", "country", "attempts"),
        ("country", "name", "id", "a_new_one", "attempts", "city", "another", "age"),
    ],
)
def test_a_column_in_the_middle_shifts_nothing(any_place: DataSet, names: tuple[str, ...]) -> None:
    table, engine = people(*names), connect(any_place.address)
    rows = [
        PersonRow(name="Zoë", age=7, place=Place("Köln", "Germany")),
        PersonRow(name="Bo", age=8, place=Place("", "")),
    ]
    with engine.begin() as connection:
        table.create(connection)
        insert(connection, table, rows, key=("name",), replace=True)
        insert(
            connection, table, [PersonRow(name="Bo", age=9, place=Place("Oslo", "Norway"))], key=("name",), replace=True
        )
        found: list[Any] = list(connection.execute(select(table).order_by(table.c.name)).mappings())
    engine.dispose()
    shown = [{name: row[name] for name in ("name", "age", "city", "country", "attempts")} for row in found]
    assert shown == [
        {"name": "Bo", "age": 9, "city": "Oslo", "country": "Norway", "attempts": 2},
        {"name": "Zoë", "age": 7, "city": "Köln", "country": "Germany", "attempts": 1},
    ]


def test_a_field_without_a_column_is_refused() -> None:
    with pytest.raises(TypeError, match=r"people has no columns \{'country'\}"):
        bulk._insertion(people("id", "age", "name", "city", "attempts"), PersonRow, ("name",), SQLITE, replace=True)


SQLITE = create_engine("sqlite://").dialect


@pytest.mark.parametrize(
    ("kind", "table", "resolved_later"),
    [
        (InputRow, files, {"id", "duplicate_of", "absent_since"}),
        (FrameRow, frames, {"id"}),
        (GroupRow, groups, {"id", "joined_id", "drawn_split", "fold"}),
        (AliasRow, aliases, set()),
        (LinkRow, links, set()),
        (PredictionRow, predictions, {"id"}),
        (ModelRow, models, set()),
        (SkipRow, skips, set()),
        (ReservationRow, reservations, set()),
        (AnnotatorRow, annotators, set()),
        (CatalogueRow, catalogue, {"first_by", "label"}),
        (CatalogueCountRow, catalogue_counts, set()),
    ],
)
def test_every_column_has_a_field(kind: type, table: Table, resolved_later: set[str]) -> None:
    """A new column that no row has a value for would stay empty without a word."""
    assert {column.name for column in table.columns} - bulk._places(kind).keys() == resolved_later
