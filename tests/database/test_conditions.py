"""`--where`: what it means, checked against SQLite itself, and what it refuses."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import StaticPool

from dicomprep.database.address import DatabaseAddress
from dicomprep.database.conditions import parse_condition
from dicomprep.database.connection import connect
from dicomprep.errors import ConfigError
from dicomprep.exchange.options import ExportOptions

ROWS = [(1, "CT", "a'b"), (2, "MR", None), (3, None, 'say "x"'), (40, "US", "100%"), (-5, "CT", "")]
table = Table("t", MetaData(), Column("n", Integer), Column("m", String), Column("s", String))


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The rows in a database of either kind."""
    if request.param == "SQLite":
        engine = create_engine("sqlite://", poolclass=StaticPool)
    else:
        server = request.getfixturevalue("postgres")
        engine = connect(DatabaseAddress.parse(server.url(server.new_database())))
    table.metadata.create_all(engine)
    with engine.begin() as filling:
        filling.execute(table.insert(), [dict(zip("nms", row, strict=True)) for row in ROWS])
    yield engine
    engine.dispose()


def chosen(engine: Engine, text: str) -> list[int]:
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
        "n < 9223372036854775807",
        "n < 9223372036854775808",
        "n > -9223372036854775809",
        "n > 99999999999999999999 or n = 3",
        "n in (3, 99999999999999999999, 1e999)",
        "n between -1e999 and 1e999",
        "n < 1e-999",
        "s = ''",
        "s = 'Ł李雷'",
        r"s like '%\'",
    ],
)
def test_it_means_what_sql_means(engine: Engine, text: str) -> None:
    assert chosen(engine, text) == by_sqlite(text)


@pytest.mark.parametrize("huge", [str(10**400), "9" * 5000, "1e999", f"{10**400}.5"])
def test_a_number_that_no_database_holds_is_greater_than_all(engine: Engine, huge: str) -> None:
    assert sorted(chosen(engine, f"n < {huge} and n > -{huge}")) == sorted(row[0] for row in ROWS)
    assert chosen(engine, f"n = {huge}") == []


def test_numbers_are_compared_in_64_bits_also_where_the_column_has_32() -> None:
    """PostgreSQL refuses what its 32 bits cannot hold."""
    condition = parse_condition("n < 5000000000", {"n": table.c.n})
    assert "::BIGINT" in str(condition.compile(dialect=postgresql.psycopg.PGDialect_psycopg()))


def test_a_backslash_in_a_pattern_is_one_in_every_database() -> None:
    """PostgreSQL takes it for an escape, and refuses it at the end, unless another is named."""
    assert r"ESCAPE '\'" in str(parse_condition(r"s like 'a\'", {"s": table.c.s}).compile(dialect=postgresql.dialect()))


def test_many_values_are_taken(engine: Engine) -> None:
    assert chosen(engine, f"n in ({', '.join(map(str, range(30_000)))})") == [1, 2, 3, 40]


def test_double_quotes_hold_texts_too(engine: Engine) -> None:
    assert chosen(engine, 'm = "CT"') == [1, -5]
    assert chosen(engine, 's = "say ""x"""') == [3]


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
def test_any_condition_chooses_what_sqlite_chooses(engine: Engine, text: str) -> None:
    assert chosen(engine, text) == by_sqlite(text)


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
        ("   ", "the name of a column is expected at the end"),
        *[(f"n = {word}", "a number is expected") for word in ("nan", "inf", "NULL", "''")],
        ("n = 1_000", "this cannot be read"),
        ("n = -inf", "this cannot be read"),
        ("n = 0x10", "this cannot be read"),
        ("n LIKE 1", "LIKE compares texts"),
        ("m = 'a\0'", "no database holds such a text"),
        ("m = '\udcff'", "no database holds such a text"),
        (" or ".join(["n = 1"] * 501), "more than 500 comparisons"),
        (f"n in ({', '.join(['1'] * 30_001)})", "more than 30,000 values"),
        (f"m like '{'%a' * 30_000}'", "at most 10,000 bytes"),
    ],
)
def test_what_is_no_comparison_of_columns_is_refused(engine: Engine, text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        chosen(engine, text)
    assert reason in str(refused.value)


@given(st.text("nms=<>'\"()1 ANDORTINLKE,;-", max_size=30))
def test_any_text_is_a_condition_or_a_config_error(engine: Engine, text: str) -> None:
    with suppress(ConfigError):
        chosen(engine, text)


literals = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.text(st.characters(codec=None), max_size=8).map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.text(max_size=8),
    st.integers(1, 9).map(lambda digits: f"{digits}e{10**digits}"),
    st.integers(300, 6000).map("7".__mul__),
)
signs = st.sampled_from([" = ", " != ", "<", ">=", " like ", " in (", " between 1 and ", " is "])


@given(st.sampled_from(["n", "m", "s", "N", "ü", ""]), signs, literals)
def test_any_literal_is_compared_or_refused(engine: Engine, name: str, sign: str, literal: str) -> None:
    with suppress(ConfigError):
        chosen(engine, f"{name}{sign}{literal}{')' * ('(' in sign)}")


@pytest.mark.parametrize("nothing", ["", " "])
def test_an_empty_condition_does_not_mean_everything(nothing: str) -> None:
    """`--where "$CONDITION"` of a variable that is not set."""
    with pytest.raises(ConfigError, match="the name of a column is expected"):
        ExportOptions(where=nothing).choice()
    assert ExportOptions().choice().where is None
