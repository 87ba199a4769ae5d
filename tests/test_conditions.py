"""`--where`: what it means, checked against SQLite itself, and what it refuses."""

import sqlite3
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, select
from sqlalchemy.pool import StaticPool

from dicomprep.database.conditions import parse_condition
from dicomprep.errors import ConfigError

ROWS = [(1, "CT", "a'b"), (2, "MR", None), (3, None, 'say "x"'), (40, "US", "100%"), (-5, "CT", "")]
table = Table("t", MetaData(), Column("n", Integer), Column("m", String), Column("s", String))
engine = create_engine("sqlite://", poolclass=StaticPool)
table.metadata.create_all(engine)
with engine.begin() as filling:
    filling.execute(table.insert(), [dict(zip("nms", row, strict=True)) for row in ROWS])


def chosen(text: str) -> list[int]:
    with engine.connect() as connection:
        condition = parse_condition(text, {column.name: column for column in table.columns})
        return list(connection.execute(select(table.c.n).where(condition)).scalars())


def by_sqlite(text: str) -> list[int]:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (n INTEGER, m TEXT, s TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", ROWS)
        return [row[0] for row in connection.execute(f"SELECT n FROM t WHERE {text}")]


@pytest.mark.parametrize(
    "text",
    [
        "m = 'CT'",
        "m != 'CT' AND n > 1",
        "m = 'CT' OR n = 2 AND m = 'US'",
        "(m = 'CT' OR n = 2) AND n < 2",
        "NOT m = 'CT'",
        "not (n >= 2 or n <= -5)",
        "m IN ('CT', 'US')",
        "m NOT IN ('CT')",
        "n BETWEEN 1 AND 3",
        "n not between 1 and 3 and m is not null",
        "s LIKE '1%'",
        "s NOT LIKE '%x%'",
        "m IS NULL",
        "s = 'a''b'",
        "n<>-5 and n<40",
        "n = 1.0 or n >= 3e1",
    ],
)
def test_it_means_what_sql_means(text: str) -> None:
    assert chosen(text) == by_sqlite(text)


def test_double_quotes_hold_texts_too() -> None:
    assert chosen('m = "CT"') == [1, -5]
    assert chosen('s = "say ""x"""') == [3]


names = st.sampled_from(["n", "m", "s"])
values: Any = {"n": st.integers(-9, 50).map(str), "m": st.sampled_from(["'CT'", "'MR'", "''"])}
comparisons = names.flatmap(
    lambda name: st.tuples(
        st.just(name), st.sampled_from(["=", "!=", "<", ">=", "<>"]), values.get(name, values["m"])
    ).map(" ".join)
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " or "]), inner).map("".join),
        inner.map("NOT ({})".format),
        inner.map("({})".format),
    ),
    max_leaves=6,
)


@given(conditions)
def test_any_condition_chooses_what_sqlite_chooses(text: str) -> None:
    assert chosen(text) == by_sqlite(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the name of a column is expected at the end"),
        ("n", "a comparison is expected"),
        ("n = 'x'", "a number is expected"),
        ("m = 1", "a text in quotes is expected"),
        ("m = CT", "a text in quotes is expected"),
        ("nonsense = 1", "no column nonsense. There are: n, m, s"),
        ("n = 1; DROP TABLE t", "this cannot be read: ; DROP TABLE t"),
        ("n = 1 -- comment", "this cannot be read"),
        ("n = 1) OR (1 = 1", "AND, OR or the end is expected"),
        ("n IN (SELECT n FROM t)", "a number is expected"),
        ("n = (SELECT 1)", "a number is expected"),
        ("abs(n) = 1", "no column abs"),
        ("m = 'CT", "this cannot be read"),
        ("n = 1 UNION SELECT 2", "AND, OR or the end is expected"),
        ("(" * 60 + "n = 1" + ")" * 60, "too many parentheses"),
        ("n IN ()", "a number is expected"),
    ],
)
def test_what_is_no_comparison_of_columns_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        chosen(text)
    assert reason in str(refused.value)


@given(st.text("nms=<>'\"()1 ANDORTINLKE,;-", max_size=30))
def test_any_text_is_a_condition_or_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        chosen(text)
