"""Which shards are kept, rewritten, added or removed: old ones change only where their frames did."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomprep.exchange.formats.registry import Layout
from dicomprep.exchange.manifest import Shard
from dicomprep.exchange.rows import Rows

__all__ = ["Plan", "Planned", "plan_shards"]

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Planned:
    """A shard that is to be written."""

    shard: Shard
    numbers: Numbers
    """Its frames in the rows of the export."""


@dataclass(slots=True)
class Plan:
    """What is to be done."""

    kept: list[Shard] = field(default_factory=list)
    changed: list[Planned] = field(default_factory=list)
    """Written by an earlier export; their frames or their metadata have changed."""
    added: list[Planned] = field(default_factory=list)
    gone: list[Shard] = field(default_factory=list)
    """None of their frames is wanted any more."""


def plan_shards(rows: Rows, known: Sequence[Shard], *, folder: Path, layout: Layout, size: int) -> Plan:
    """Plan an export."""
    plan = Plan()
    free = np.ones(len(rows), bool)
    for shard in known:
        numbers = _numbers(rows, shard.keys, split=shard.split)
        free[numbers] = False
        _judge(plan, rows, shard, numbers, is_whole=_is_whole(folder, shard))
    last = _last_numbers(known)
    for split, numbers in _by_split(rows, np.flatnonzero(free), by_split=layout.is_by_split):
        for start in range(0, len(numbers), size):
            piece = numbers[start : start + size]
            name = layout.shard_name(split, last[split])
            last[split] += 1
            plan.added.append(Planned(_described(rows, Shard(name, split, "", ""), piece), piece))
    return plan


def _judge(plan: Plan, rows: Rows, shard: Shard, numbers: Numbers, *, is_whole: bool) -> None:
    now = _described(rows, shard, numbers)
    if not len(numbers):
        plan.gone.append(shard)
    elif is_whole and now == shard:
        plan.kept.append(shard)
    else:
        plan.changed.append(Planned(now, numbers))


def _described(rows: Rows, shard: Shard, numbers: Numbers) -> Shard:
    keys = rows.keys[numbers].tobytes().decode()
    return replace(shard, fingerprint=rows.fingerprint(numbers), keys=keys)


def _numbers(rows: Rows, keys: str, *, split: str) -> Numbers:
    """Where the frames with these keys are, as far as they are still wanted, and in their split."""
    if not len(rows):
        return np.zeros(0, np.int64)
    wanted = np.frombuffer(keys.encode(), rows.keys.dtype)
    places = np.minimum(np.searchsorted(rows.keys, wanted), len(rows) - 1)
    found = places[rows.keys[places] == wanted]
    return found[_splits(rows, found) == split] if split else found


def _by_split(rows: Rows, numbers: Numbers, *, by_split: bool) -> Iterator[tuple[str, Numbers]]:
    if not by_split:
        yield "", numbers
        return
    splits = _splits(rows, numbers)
    for split in sorted(set(splits.tolist())):
        yield split, numbers[splits == split]


def _splits(rows: Rows, numbers: Numbers) -> NDArray[np.str_]:
    """The split of each of these frames."""
    column = rows.selection.coded("split")
    return np.array([*column.values, ""])[column.codes[rows.order[numbers]]]


def _last_numbers(known: Sequence[Shard]) -> Counter[str]:
    """For each split, the number that its next shard has."""
    numbers: Counter[str] = Counter()
    for shard in known:
        digits = re.findall(r"(\d+)\.\w+$", shard.file)
        numbers[shard.split] = max(numbers[shard.split], 1 + int(digits[0]) if digits else 0)
    return numbers


def _is_whole(folder: Path, shard: Shard) -> bool:
    try:
        return (folder / shard.file).stat().st_size == shard.bytes
    except OSError:
        return False
