"""Patients of a delivery dealt to splits and folds: by what each drew and who else came, never by who came first."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dicomprep.privacy.draws import DRAW_BITS
from dicomprep.splits import SPLIT_NAMES, TEST

__all__ = ["Patient", "deal_folds", "deal_splits", "fill_splits"]


@dataclass(frozen=True, slots=True)
class Patient:
    """Groups that are one patient, as far as it is known: they are dealt together."""

    ids: tuple[int, ...]
    """Of the groups."""
    split: str
    draw: int
    may_test: bool = True
    """It is known who the patient is, so that nobody in test is in train under another name."""
    is_free: bool = True
    """New in this delivery, not labeled, and drawn: may still be in any split."""
    has_images: bool = True
    """Who has none is dealt like the others, and counts for nothing."""
    stratum: str = ""
    fold: int | None = None


def deal_splits(
    patients: Iterable[Patient], known: Iterable[Patient], shares: Mapping[str, float]
) -> dict[Patient, str]:
    """Balance new patients within each stratum, with those that are `known` there.

    The draw chooses among the splits that are behind their share in the stratum, the likelier the more they are.
    """
    counts = Counter((patient.stratum, patient.split) for patient in known if patient.has_images)
    dealt: dict[Patient, str] = {}
    for patient in _shuffled(patients):
        stratum, own = patient.stratum, _shares_of(patient, shares)
        total = sum(counts[stratum, name] for name in SPLIT_NAMES) + 1
        missing = {name: max(0.0, share * total - counts[stratum, name]) for name, share in own.items()}
        dealt[patient] = _pick(missing, patient.draw)
        counts[stratum, dealt[patient]] += patient.has_images
    return dealt


def fill_splits(patients: Sequence[Patient], shares: Mapping[str, float]) -> dict[Patient, str]:
    """Who moves so that no split with a share is empty: of those that are free, whose draw is nearest to its range.

    A split gives nobody away who is its last; where too few patients are free, splits stay empty.
    """
    now = {patient: patient.split for patient in patients if patient.has_images}
    filled: dict[Patient, str] = {}
    for name, low, high in _ranges(shares):
        if name in now.values():
            continue
        counts = Counter(now.values())
        movable = [p for p, split in now.items() if p.is_free and counts[split] > 1 and (p.may_test or name != TEST)]
        if movable:
            nearest = min(movable, key=lambda p: _distance(p.draw / 2**DRAW_BITS, low, high))
            now[nearest] = filled[nearest] = name
    return filled


def deal_folds(patients: Iterable[Patient], known: Iterable[Patient], folds: int) -> dict[Patient, int]:
    """Give each patient the fold with the fewest of his stratum, then of all; the draw decides between equal ones."""
    shown = [patient for patient in known if patient.has_images]
    in_stratum = Counter((patient.stratum, patient.fold) for patient in shown)
    in_fold = Counter(patient.fold for patient in shown)
    dealt: dict[Patient, int] = {}
    for patient in _shuffled(patients):
        first = patient.draw % folds
        turns = [(first + step) % folds for step in range(folds)]
        *_, fold = min((in_stratum[patient.stratum, t], in_fold[t], place, t) for place, t in enumerate(turns))
        in_stratum[patient.stratum, fold] += patient.has_images
        in_fold[fold] += patient.has_images
        dealt[patient] = fold
    return dealt


def _shuffled(patients: Iterable[Patient]) -> list[Patient]:
    """In an order of their own: in that of the draws, each would find the splits as those before left them."""
    return sorted(patients, key=lambda patient: hashlib.sha256(b"order %d" % patient.draw).digest())


def _shares_of(patient: Patient, shares: Mapping[str, float]) -> Mapping[str, float]:
    """The shares of the splits that a patient may enter."""
    rest = 1 - shares[TEST]
    if patient.may_test or rest <= 0:
        return shares
    return {name: 0.0 if name == TEST else share / rest for name, share in shares.items()}


def _pick(weights: Mapping[str, float], draw: int) -> str:
    place = draw / 2**DRAW_BITS * sum(weights.values())
    for name, weight in weights.items():
        if place < weight:
            return name
        place -= weight
    return max(weights, key=lambda name: weights[name])


def _ranges(shares: Mapping[str, float]) -> Iterator[tuple[str, float, float]]:
    """(split, lowest draw, highest draw), of splits with a share."""
    low = 0.0
    for name in SPLIT_NAMES:
        if shares[name]:
            yield name, low, low + shares[name]
        low += shares[name]


def _distance(place: float, low: float, high: float) -> float:
    return max(low - place, place - high, 0.0)
