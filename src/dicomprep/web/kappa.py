"""Agreement beyond chance: Cohen's kappa for two annotators, Fleiss' for more; with intervals by resampled patients."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kappa", "Patients", "cohen_kappa", "fleiss_kappa", "kappa_in_words", "number_labels"]

RESAMPLES = 1000
"""Times that patients are drawn anew."""

MIN_PATIENTS = 10
"""Of fewer patients there is no interval: it would be too narrow."""

MAX_CLUSTERS = 2000
"""More patients than these are put together by chance into so many groups, which are drawn then; bounds time."""

MAX_LABELS = 200
"""Of more different labels there is no interval; bounds memory."""

SEED = 0
"""The same labels give the same interval."""

WORDS = (
    (0.0, "poor"),
    (0.2, "slight"),
    (0.4, "fair"),
    (0.6, "moderate"),
    (0.8, "substantial"),
    (1.0, "almost perfect"),
)
"""Landis and Koch (1977): up to each value."""

Sums = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Kappa:
    """A kappa and its 95 % interval."""

    value: float | None
    """None where it is not defined: all always say the same."""
    low: float | None = None
    high: float | None = None


class Patients:
    """Whose images were rated; drawn again and again, with replacement, each with all of his images."""

    def __init__(self, patients: NDArray[np.int64]) -> None:
        """`patients` (images,) has a number for the patient of each image."""
        known, codes = np.unique(patients, return_inverse=True)
        chance = np.random.default_rng(SEED)
        if len(known) > MAX_CLUSTERS:
            codes = chance.permutation(np.arange(len(known)) % MAX_CLUSTERS)[codes]
        self.codes: NDArray[np.int64] = codes.astype(np.int64)
        """The cluster of each image, (images,)."""
        self.count, self._clusters = len(known), min(len(known), MAX_CLUSTERS)
        drawn = (
            chance.integers(self._clusters, size=(RESAMPLES, self._clusters)) if self._clusters else np.zeros((1, 0))
        )
        self._weights = np.array([np.bincount(row, minlength=self._clusters) for row in drawn.astype(int)], np.float64)

    def sums(self, images: NDArray[np.int64], values: NDArray[np.float64] | None = None) -> Sums:
        """The sum of `values` (n,) of `images` (n,) in each cluster, (clusters, 1); without values their number."""
        return np.bincount(self.codes[images], values, self._clusters).astype(np.float64)[:, None]

    def counts(self, images: NDArray[np.int64], labels: NDArray[np.int64], kinds: int) -> Sums:
        """How often each label (n,), a number below `kinds`, is given in each cluster, (clusters, kinds)."""
        places = self.codes[images] * kinds + labels
        return np.bincount(places, minlength=self._clusters * kinds).reshape(-1, kinds).astype(np.float64)

    def kappa(self, parts: Sequence[Sums], statistic: Callable[..., Sums]) -> Kappa:
        """`statistic` of the sums of all patients, and where 95 % of it lie for patients that are drawn anew."""
        value = statistic(*(part.sum(axis=0, keepdims=True) for part in parts))[0]
        if np.isnan(value) or self.count < MIN_PATIENTS or max(part.shape[1] for part in parts) > MAX_LABELS:
            return Kappa(None if np.isnan(value) else float(value))
        drawn = statistic(*(self._weights @ part for part in parts))
        low, high = np.nanpercentile(drawn, (2.5, 97.5))
        return Kappa(float(value), float(low), float(high))


def cohen_kappa(
    patients: Patients, images: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> Kappa:
    """Agreement of two annotators over the images that both labeled (Cohen, 1960).

    `images`, `first` and `second` are (n,), labels as numbers from 0.
    """
    kinds = int(max(first.max(initial=0), second.max(initial=0))) + 1
    same = patients.sums(images[first == second])
    both = (patients.counts(images, labels, kinds) for labels in (first, second))
    return patients.kappa((patients.sums(images), same, *both), _cohen)


def fleiss_kappa(patients: Patients, images: NDArray[np.int64], labels: NDArray[np.int64]) -> Kappa:
    """Agreement of any annotators over images with two labels or more (Fleiss, 1971): `images` and `labels` are (n,).

    Where images have different numbers of labels, each counts alike in what is observed.
    """
    kinds, rated = int(labels.max(initial=0)) + 1, len(patients.codes)
    given = np.bincount(images, minlength=rated)
    several = given[images] > 1
    images, labels = images[several], labels[several]
    pairs, counts = np.unique(images * kinds + labels, return_counts=True)
    agreeing = np.bincount(pairs // kinds, counts * (counts - 1.0), rated)
    numbers = np.flatnonzero(given > 1)
    shares = agreeing[numbers] / (given[numbers] * (given[numbers] - 1.0))
    parts = (patients.sums(numbers), patients.sums(numbers, shares), patients.counts(images, labels, kinds))
    return patients.kappa(parts, _fleiss)


def kappa_in_words(kappa: float) -> str:
    """A word for a kappa, as Landis and Koch (1977) have them.

    >>> kappa_in_words(0.7)
    'substantial'
    """
    return next((word for most, word in WORDS if kappa <= most), WORDS[-1][1])


def number_labels(labels: Iterable[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The different labels, and the place of each one among them, (n,)."""
    places: dict[str, int] = {}
    numbers = [places.setdefault(label, len(places)) for label in labels]
    return list(places), np.array(numbers, np.int64)


def _cohen(images: Sums, same: Sums, first: Sums, second: Sums) -> Sums:
    """Of sums (draws, 1) and (draws, kinds)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (first * second).sum(axis=1) / images[:, 0] ** 2
        return _beyond_chance(same[:, 0] / images[:, 0], expected)


def _fleiss(images: Sums, shares: Sums, counts: Sums) -> Sums:
    """Of sums (draws, 1) and (draws, kinds)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = ((counts / counts.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
        return _beyond_chance(shares[:, 0] / images[:, 0], expected)


def _beyond_chance(observed: Sums, expected: Sums) -> Sums:
    """NaN where nothing can differ; rounded, so that what is the same in whatever order it is summed looks so."""
    possible = np.where(expected < 1 - 1e-12, 1 - expected, np.nan)
    return np.round((observed - expected) / possible, 12)
