"""Kappas, against values of textbooks."""

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from dicomprep.web.kappa import Kappa, Patients, cohen_kappa, fleiss_kappa, kappa_in_words, number_labels

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


def cohen(pairs: Sequence[tuple[str, str]], patients: Sequence[int] | None = None) -> Kappa:
    """Each pair is of an image of its own, and of a patient of his own where none are given."""
    _, numbers = number_labels(label for pair in pairs for label in pair)
    images = np.arange(len(pairs))
    chosen = Patients(np.array(images if patients is None else patients, np.int64))
    return cohen_kappa(chosen, images, numbers[::2], numbers[1::2])


def fleiss(rated: Sequence[Iterable[str]]) -> Kappa:
    rated = [list(labels) for labels in rated]
    _, numbers = number_labels(label for labels in rated for label in labels)
    images = np.repeat(np.arange(len(rated)), [len(labels) for labels in rated])
    return fleiss_kappa(Patients(np.arange(len(rated))), images, numbers)


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
    assert cohen(table(counts)).value == pytest.approx(kappa, abs=5e-5)


def test_fleiss() -> None:
    rated = [[str(category) for category, count in enumerate(row) for _ in range(count)] for row in FLEISS_1971]
    assert fleiss(rated).value == pytest.approx(0.2099, abs=5e-5)


def test_what_only_one_has_rated_counts_for_nothing() -> None:
    rated = [["a", "b"], ["a", "a"], ["b", "b"], ["b", "b"]]
    assert fleiss([*rated, ["a"], []]) == fleiss(rated)


@pytest.mark.parametrize("same", [[], [("a", "a")] * 5])
def test_where_nothing_can_differ_there_is_no_kappa(same: list[tuple[str, str]]) -> None:
    assert cohen(same).value is None
    assert fleiss(same).value is None


def test_the_interval_is_that_of_theory_and_the_same_each_time() -> None:
    """The textbook table eight times: its standard error (Fleiss, Cohen and Everitt, 1969) is 0.127 / sqrt(8)."""
    kappa = cohen(table([[20, 5], [10, 15]]) * 8)
    assert kappa == cohen(table([[20, 5], [10, 15]]) * 8)
    assert (kappa.low, kappa.high) == pytest.approx((0.4 - 1.96 * 0.0449, 0.4 + 1.96 * 0.0449), abs=0.015)


def test_images_of_one_patient_are_drawn_together_and_widen_the_interval() -> None:
    pairs = table([[20, 5], [10, 15]]) * 8
    alone = cohen(pairs)
    in_tens = cohen(sorted(pairs), [number // 10 for number in range(len(pairs))])
    assert in_tens.value == alone.value
    assert in_tens.high - in_tens.low > 2 * (alone.high - alone.low)


def test_few_patients_give_no_interval_and_very_many_take_no_longer() -> None:
    pairs = table([[20, 5], [10, 15]])
    assert cohen(pairs, [0] * 25 + [1] * 25) == Kappa(pytest.approx(0.4))
    many, every = cohen(pairs * 8), cohen(pairs * 800)
    assert (every.high - every.low) * 10 == pytest.approx(many.high - many.low, rel=0.15)


@pytest.mark.parametrize(
    ("kappa", "word"), [(-0.1, "poor"), (0.2, "slight"), (0.41, "moderate"), (1.0, "almost perfect")]
)
def test_words(kappa: float, word: str) -> None:
    assert kappa_in_words(kappa) == word
