"""How far annotators agree beyond chance: Cohen's kappa for two, Fleiss' for more."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["cohen_kappa", "fleiss_kappa", "kappa_in_words"]

WORDS = (
    (0.0, "poor"),
    (0.2, "slight"),
    (0.4, "fair"),
    (0.6, "moderate"),
    (0.8, "substantial"),
    (1.0, "almost perfect"),
)
"""Landis and Koch (1977): up to each value."""


def cohen_kappa(pairs: Iterable[tuple[str, str]]) -> float | None:
    """Agreement of two annotators over the images that both labeled (Cohen, 1960).

    None where there is no such image, or both always say one and the same.

    >>> cohen_kappa([("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15)
    0.4
    """
    counts = Counter(pairs)
    total = sum(counts.values())
    if total == 0:
        return None
    first: Counter[str] = Counter()
    second: Counter[str] = Counter()
    for (one, other), count in counts.items():
        first[one] += count
        second[other] += count
    observed = sum(count for (one, other), count in counts.items() if one == other) / total
    expected = sum(first[name] * second[name] for name in first) / total**2
    return _beyond_chance(observed, expected)


def fleiss_kappa(ratings: Iterable[Mapping[str, int] | Sequence[str]]) -> float | None:
    """Agreement of any annotators over images with two labels or more (Fleiss, 1971).

    Each item is what was said of an image, or how often each label was given. Where images have different numbers
    of labels, each counts alike in what is observed. None where there is no such image, or all always say the same.

    >>> fleiss_kappa([["a", "a", "a"], ["b", "b", "b"]])
    1.0
    """
    labels: Counter[str] = Counter()
    agreements = []
    for rating in ratings:
        counts = Counter(rating)
        given = sum(counts.values())
        if given < 2:
            continue
        labels.update(counts)
        agreements.append(sum(count * (count - 1) for count in counts.values()) / (given * (given - 1)))
    total = sum(labels.values())
    if not agreements:
        return None
    expected = sum((count / total) ** 2 for count in labels.values())
    return _beyond_chance(sum(agreements) / len(agreements), expected)


def kappa_in_words(kappa: float) -> str:
    """A word for a kappa, as Landis and Koch (1977) have them.

    >>> kappa_in_words(0.7)
    'substantial'
    """
    return next((word for most, word in WORDS if kappa <= most), WORDS[-1][1])


def _beyond_chance(observed: float, expected: float) -> float | None:
    return None if expected >= 1 else round((observed - expected) / (1 - expected), 12)
