"""Kappas, against values of textbooks."""

import pytest

from dicomprep.web.agreement import cohen_kappa, fleiss_kappa, kappa_in_words

FLEISS_1971 = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
"""Ten subjects, fourteen raters, five categories: the worked example of https://en.wikipedia.org/wiki/Fleiss'_kappa."""


def table(counts: list[list[int]]) -> list[tuple[str, str]]:
    """Pairs of labels of a contingency table."""
    return [(str(one), str(other)) for one, row in enumerate(counts) for other, n in enumerate(row) for _ in range(n)]


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [
        ([[20, 5], [10, 15]], 0.4),  # the grant proposals of many textbooks
        ([[45, 15], [25, 15]], 0.1304),
        ([[25, 35], [5, 35]], 0.2593),
        ([[9, 3, 1], [4, 8, 2], [2, 1, 6]], 0.4507),
        ([[10, 0], [0, 10]], 1.0),
        ([[0, 10], [10, 0]], -1.0),
    ],
)
def test_cohen(counts: list[list[int]], kappa: float) -> None:
    assert cohen_kappa(table(counts)) == pytest.approx(kappa, abs=5e-5)


def test_fleiss() -> None:
    rated = [{str(category): count for category, count in enumerate(row)} for row in FLEISS_1971]
    assert fleiss_kappa(rated) == pytest.approx(0.2099, abs=5e-5)


def test_what_only_one_has_rated_counts_for_nothing() -> None:
    rated = [["a", "b"], ["a", "a"], ["b", "b"], ["b", "b"]]
    assert fleiss_kappa([*rated, ["a"], []]) == fleiss_kappa(rated)


@pytest.mark.parametrize("same", [[], [("a", "a")] * 5])
def test_where_nothing_can_differ_there_is_no_kappa(same: list[tuple[str, str]]) -> None:
    assert cohen_kappa(same) is None
    assert fleiss_kappa(same) is None


@pytest.mark.parametrize(
    ("kappa", "word"), [(-0.1, "poor"), (0.2, "slight"), (0.41, "moderate"), (1.0, "almost perfect")]
)
def test_words(kappa: float, word: str) -> None:
    assert kappa_in_words(kappa) == word
