"""How far annotators agree on the images that several of them have labeled: of all labels, and class by class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dicomprep.database.queries.classes import classes_of
from dicomprep.database.queries.ratings import Rating, ratings
from dicomprep.web.kappa import Kappa, Patients, cohen_kappa, fleiss_kappa, number_labels
from dicomprep.web.site import PageContext

__all__ = ["Agreement", "ClassAgreement", "PairAgreement", "measure_agreement"]

RATINGS_PER_QUERY = 10_000
"""Images whose labels are read in one transaction."""

MAX_PAIRED_ANNOTATORS = 30
"""Annotators, those with the most labels, of whose pairs kappas are computed; bounds time."""

MAX_CLASSES = 50
"""Classes, those that occur most, of which kappas are computed; bounds time."""


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """How far two annotators agree."""

    one: str
    other: str
    images: int
    """That both have labeled."""
    kappa: Kappa


@dataclass(frozen=True, slots=True)
class ClassAgreement:
    """How far annotators agree on whether images have a class."""

    name: str
    images: int
    """Of which somebody says so."""
    same: int
    """Of which all do."""
    kappa: Kappa


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far annotators agree on the images that several of them have labeled."""

    images: int
    same: int
    """Images with one label by all."""
    patients: int
    fleiss: Kappa | None
    """Of all annotators; None for two."""
    cohen: Sequence[PairAgreement]
    classes: Sequence[ClassAgreement]


@dataclass(frozen=True, slots=True)
class _Rated:
    """All ratings, (n,) each: the image, the annotator and the label as numbers from 0."""

    images: NDArray[np.int64]
    annotators: NDArray[np.int64]
    labels: NDArray[np.int64]
    patients: Patients
    names: Sequence[str]
    """Of the annotators."""
    texts: Sequence[str]
    """Of the labels."""

    @property
    def count(self) -> int:
        return len(self.patients.codes)

    def same(self, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether all labels of an image are the same, (images,), by numbers of labels (n,)."""
        least, most = np.full(self.count, np.iinfo(np.int64).max), np.full(self.count, -1)
        np.minimum.at(least, self.images, labels)
        np.maximum.at(most, self.images, labels)
        return least == most


def measure_agreement(context: PageContext) -> Agreement:
    """Kappas of all annotators, of each pair, and of each class."""
    rated = _read(context)
    several = len(rated.names) > 2
    return Agreement(
        images=rated.count,
        same=int(rated.same(rated.labels).sum()),
        patients=rated.patients.count,
        fleiss=fleiss_kappa(rated.patients, rated.images, rated.labels) if several else None,
        cohen=list(_pairs(rated)),
        classes=list(_classes(rated)),
    )


def _read(context: PageContext) -> _Rated:
    rows = [rating for those in _read_ratings(context) for rating in those]
    frames = np.array([row.frame_id for row in rows], np.int64)
    _, first, images = np.unique(frames, return_index=True, return_inverse=True)
    patients = np.array([row.patient for row in rows], np.int64)[first]
    names, annotators = number_labels(row.annotator for row in rows)
    texts, labels = number_labels(row.label for row in rows)
    return _Rated(images, annotators, labels, Patients(patients), names, texts)


def _read_ratings(context: PageContext) -> Iterator[list[Rating]]:
    """Those of images that two annotators or more have rated by themselves, in short transactions."""
    after = 0
    while found := context.ask(ratings, after=after, limit=RATINGS_PER_QUERY):
        after = found[-1].frame_id
        said = [rating for rating in found if rating.label is not None]
        numbers, counts = np.unique([rating.frame_id for rating in said], return_counts=True)
        several = set(numbers[counts > 1].tolist())
        yield [rating for rating in said if rating.frame_id in several]


def _pairs(rated: _Rated) -> Iterator[PairAgreement]:
    """Of each two annotators with images in common."""
    counts = np.bincount(rated.annotators, minlength=len(rated.names))
    often = np.argsort(-counts, kind="stable")[:MAX_PAIRED_ANNOTATORS]
    for one, other in combinations(sorted(often, key=lambda number: rated.names[number]), 2):
        first, second = (np.flatnonzero(rated.annotators == number) for number in (one, other))
        both, of_first, of_second = np.intersect1d(
            rated.images[first], rated.images[second], assume_unique=True, return_indices=True
        )
        if len(both):
            given = rated.labels[first[of_first]], rated.labels[second[of_second]]
            kappa = cohen_kappa(rated.patients, both, *_renumbered(*given))
            yield PairAgreement(rated.names[one], rated.names[other], len(both), kappa)


def _renumbered(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same labels (n,), by numbers of those alone that the two have given."""
    numbers = np.unique(np.concatenate((first, second)), return_inverse=True)[1].astype(np.int64)
    return numbers[: len(first)], numbers[len(first) :]


def _classes(rated: _Rated) -> Iterator[ClassAgreement]:
    """Each class as a question with the answers yes and no; the most frequent class first."""
    having: dict[str, list[int]] = {}
    for number, text in enumerate(rated.texts):
        for name in classes_of(text):
            having.setdefault(name, []).append(number)
    given = np.bincount(rated.labels, minlength=len(rated.texts))
    often = sorted(having, key=lambda name: (-int(given[having[name]].sum()), name))
    for name in often[:MAX_CLASSES]:
        answers = np.isin(rated.labels, having[name]).astype(np.int64)
        yes = np.zeros(rated.count, bool)
        yes[rated.images[answers == 1]] = True
        same = int((rated.same(answers) & yes).sum())
        yield ClassAgreement(name, int(yes.sum()), same, _kappa_of(rated, answers))


def _kappa_of(rated: _Rated, answers: NDArray[np.int64]) -> Kappa:
    """Cohen's of two annotators, Fleiss' of more; `answers` (n,)."""
    if len(rated.names) != 2:
        return fleiss_kappa(rated.patients, rated.images, answers)
    one, other = (np.flatnonzero(rated.annotators == number) for number in (0, 1))  # both rated all of them
    return cohen_kappa(rated.patients, rated.images[one], answers[one], answers[other])
