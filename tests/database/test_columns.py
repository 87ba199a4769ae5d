"""Columns of many rows give back what they were made of, whatever lies beside it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomprep.database.queries.columns import CodedBuilder, DigestsBuilder, TextsBuilder

LONG = "ä" * 300
TEXTS = st.lists(st.sampled_from(["", "a", "ab", "abc", "ä", "äb", "s/1", "s/10", LONG, f"{LONG}b", "b"]), min_size=1)


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_texts_come_back(lists: list[list[str]]) -> None:
    builder = TextsBuilder()
    for values in lists:
        builder.add(values)
    column, expected = builder.build(), [value for values in lists for value in values]
    assert [column[row] for row in range(len(expected))] == expected
    backward = np.arange(len(expected))[::-1]
    assert list(column.take(backward)) == expected[::-1]


def test_neighbors_share_what_they_begin_with() -> None:
    builder = TextsBuilder()
    builder.add([f"patient000001/series1/image{number:08}" for number in range(10_000)])
    assert len(builder.build().content) < 10_000 * 6


@pytest.mark.parametrize(("different", "size"), [(1, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_codes_take_as_many_bytes_as_they_need(different: int, size: int) -> None:
    builder = CodedBuilder()
    builder.add(range(different // 2))
    builder.add(range(different))
    column = builder.build()
    assert column.codes.itemsize == size
    assert [column[different // 2 + row] for row in range(different)] == list(range(different))


def test_digests_come_back() -> None:
    builder = DigestsBuilder()
    digests = [bytes([number]) * 16 for number in range(5)]
    builder.add(digests[:2])
    builder.add(digests[2:])
    assert list(builder.build().take(np.array([4, 0, 2]))) == [digests[4], digests[0], digests[2]]


@pytest.mark.parametrize("before", [0, 5000])
def test_a_column_of_one_value_takes_nothing_until_there_are_two(before: int) -> None:
    builder = CodedBuilder()
    builder.add(["CT"] * before + ["CT"])
    assert builder.build().codes.strides == (0,)
    builder.add(["CT", None, "MR", "CT"])
    column = builder.build()
    assert column.take(np.arange(before + 5)) == ["CT"] * (before + 2) + [None, "MR", "CT"]


def test_lengths_of_texts_take_as_many_bytes_as_they_need() -> None:
    builder = TextsBuilder()
    texts = ["a", "b" * 255, "c" * 300, "d" * 70_000, *("e" * number for number in range(1, 40))]
    for text in texts:
        builder.add([text])
    column = builder.build()
    assert column.own.itemsize == 4
    assert [column[number] for number in range(len(texts))] == column.take(np.arange(len(texts))) == texts
