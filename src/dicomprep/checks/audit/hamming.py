"""Which of millions of 64-bit hashes differ by few bits, without comparing each with each."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["near_pairs"]

MAX_DIFFERING_BITS = 4
"""Bits in which the hashes of near-duplicates may differ."""

BLOCKS = 6
"""If 4 bits differ, at least two of six blocks are equal: it is enough to compare the hashes that share two."""

MAX_NEIGHBORS = 2000
"""Hashes with the same two blocks that each is compared with; bounds time. Beyond, the search is not complete."""

MAX_PAIRS = 1_000_000
"""Pairs that are found; bounds memory. Beyond, the search is not complete."""

STARTS = 2**18
"""Hashes that are compared at once; bounds memory."""


def near_pairs(hashes: NDArray[np.uint64], groups: NDArray[np.int64]) -> tuple[list[tuple[int, int, int]], bool]:
    """(differing bits, index, index) of hashes of different groups that are near, and whether that is all of them."""
    if not len(hashes):
        return [], True
    kept = _distinct(hashes, groups)
    hashes, groups = hashes[kept], groups[kept]
    found: set[tuple[int, int, int]] = set()
    complete = True
    for mask in _masks():
        order = np.argsort(hashes & mask, kind="stable").astype(np.int32)
        ended = _walk(mask, hashes[order], groups[order], order, found)
        complete = complete and ended and len(found) < MAX_PAIRS
        if len(found) >= MAX_PAIRS:
            break
    return [(bits, int(kept[a]), int(kept[b])) for bits, a, b in found], complete


def _distinct(hashes: NDArray[np.uint64], groups: NDArray[np.int64]) -> NDArray[np.int32]:
    """The index of the first of each hash and group, in the order of both."""
    order = np.lexsort((groups, hashes.view(np.int64))).astype(np.int32)
    is_first = np.ones(len(order), bool)
    is_first[1:] = np.diff(hashes[order]) != 0
    is_first[1:] |= np.diff(groups[order]) != 0
    return order[is_first]


def _masks() -> list[np.uint64]:
    """All choices of two blocks, as bits."""
    bounds = [64 * number // BLOCKS for number in range(BLOCKS + 1)]
    blocks = [(1 << bounds[i + 1]) - (1 << bounds[i]) for i in range(BLOCKS)]
    return [np.uint64(one | other) for one, other in combinations(blocks, BLOCKS - MAX_DIFFERING_BITS)]


def _walk(
    mask: np.uint64,
    hashes: NDArray[np.uint64],
    groups: NDArray[np.int64],
    order: NDArray[np.int32],
    found: set[tuple[int, int, int]],
) -> bool:
    """Compare hashes with all that share their bits of the mask, by which they are sorted; whether to the end."""
    keys = hashes & mask
    ended = True
    for first in range(0, len(keys), STARTS):
        starts = np.arange(first, min(first + STARTS, len(keys)))
        ended &= _compare_with_next(starts, keys, hashes, groups, order, found)
        if len(found) >= MAX_PAIRS:
            return False
    return ended


def _compare_with_next(
    starts: NDArray[np.intp],
    keys: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
    groups: NDArray[np.int64],
    order: NDArray[np.int32],
    found: set[tuple[int, int, int]],
) -> bool:
    """Compare each hash with the next, the one after it, and so on, while they share their key; whether to the end."""
    for distance in range(1, MAX_NEIGHBORS + 1):
        starts = starts[: np.searchsorted(starts, len(keys) - distance)]
        starts = starts[keys[starts] == keys[starts + distance]]
        if not len(starts):
            return True
        ends = starts + distance
        bits = np.bitwise_count(hashes[starts] ^ hashes[ends])
        near = (bits <= MAX_DIFFERING_BITS) & (groups[starts] != groups[ends])
        firsts, seconds = order[starts[near]], order[ends[near]]
        lows, highs = np.minimum(firsts, seconds), np.maximum(firsts, seconds)
        found.update(zip(bits[near].tolist(), lows.tolist(), highs.tolist(), strict=True))
        if len(found) >= MAX_PAIRS:
            return False
    return False
