"""How far annotators agree beyond chance: Cohen's kappa for two, Fleiss' for more."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from dicomprep.database.queries.labeling import ratings
from dicomprep.web.site import PageContext

__all__ = ["Agreement", "cohen_kappa", "fleiss_kappa", "kappa_in_words", "measure_agreement"]

MAX_DISAGREEMENTS = 200
"""Images listed that annotators disagree on; bounds the page."""

RATINGS_PER_QUERY = 10_000
"""Images whose labels are read in one transaction."""

WORDS = (
    (0.0, "poor"),
    (0.2, "slight"),
    (0.4, "fair"),
    (0.6, "moderate"),
    (0.8, "substantial"),
    (1.0, "almost perfect"),
)
"""Landis and Koch (1977): up to each value."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far annotators agree on the images that several of them have labeled."""

    images: int
    same: int
    """Images with one label by all."""
    fleiss: float | None
    """Of all annotators; None for two, or where it is not defined."""
    cohen: list[tuple[str, str, int, float | None]]
    """(annotator, another one, images in common, kappa) of each pair."""
    differing: list[tuple[int, dict[str, str]]]
    """(image, label by annotator) of the first images with a disagreement."""


def measure_agreement(context: PageContext) -> Agreement:
    """Kappas of all annotators and of each pair, and the images on which they differ."""
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    rated: list[list[str]] = []
    differing: list[tuple[int, dict[str, str]]] = []
    for frame_id, labels in _read_ratings(context):
        rated.append(list(labels.values()))
        for one, other in combinations(sorted(labels), 2):
            pairs.setdefault((one, other), []).append((labels[one], labels[other]))
        if len(set(labels.values())) > 1 and len(differing) < MAX_DISAGREEMENTS:
            differing.append((frame_id, labels))
    several = len({name for pair in pairs for name in pair}) > 2
    return Agreement(
        images=len(rated),
        same=sum(len(set(labels)) == 1 for labels in rated),
        fleiss=fleiss_kappa(rated) if several else None,
        cohen=[(one, other, len(both), cohen_kappa(both)) for (one, other), both in sorted(pairs.items())],
        differing=differing,
    )


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


def _read_ratings(context: PageContext) -> Iterator[tuple[int, dict[str, str]]]:
    """(image, label by annotator), in short transactions."""
    after = 0
    while found := context.ask(ratings, after=after, limit=RATINGS_PER_QUERY):
        yield from found.items()
        after = max(found)
