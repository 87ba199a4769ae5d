"""What should be known of a data set before anyone trains on it: the same sentences in runs, `status` and `audit`."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection

from dicomprep.config import Splits
from dicomprep.database.queries import counts
from dicomprep.database.queries.audit import count_by_kind, last_split
from dicomprep.database.queries.concerns import changed_side
from dicomprep.database.queries.roots import count_recorded, recorded_roots
from dicomprep.database.writes.absent import count_absent
from dicomprep.splits import SPLIT_NAMES
from dicomprep.storage.paths import actual_path
from dicomprep.storage.roots import Part

__all__ = ["absent_inputs", "concerns", "last_splits", "percentages", "unreachable_roots"]

FEW_PATIENTS = 5
"""What is measured on fewer says little."""


def concerns(connection: Connection, *, of_run: bool = False) -> tuple[str, ...]:
    """Sentences on how patients are divided, on labels, and on inputs that are no longer there.

    At the end of a run (`of_run`) nothing is said of labels that earlier runs brought into another split.
    """
    options = last_splits(connection)
    kinds = count_by_kind(connection)
    patients: Counter[str] = Counter()
    for _, split, count in kinds:
        patients[split] += count
    if not patients:
        return tuple(absent_inputs(connection))
    images = {split: count for split, count in counts.count_by(connection, "split").items() if count}
    known = sum(count for kind, _, count in kinds if kind == options.group_by)
    return (
        *_division(options, patients, images),
        *_unidentified(options, known, patients.total()),
        *_changed_side(*changed_side(connection), of_run=of_run),
        *absent_inputs(connection),
    )


def absent_inputs(connection: Connection) -> Iterator[str]:
    """How many recorded inputs are no longer there, as the runs that searched their folders found."""
    count = count_absent(connection)
    if count:
        verb = "is" if count == 1 else "are"
        yield (
            f"{count:,} recorded input{'s' * (count > 1)} {verb} no longer there, but still in exports. "
            "`dicomprep preprocess` of the same folder with --prune removes their images and rows."
        )


def unreachable_roots(connection: Connection) -> Iterator[str]:
    """Recorded folders that are gone or empty: what lay there may be on a disk that is not mounted."""
    for root in recorded_roots(connection):
        state = _state(actual_path(root))
        count = count_recorded(connection, Part(root)) if state else 0
        if count:
            yield f"The folder {root} is {state}: is a disk not mounted? {count:,} inputs are recorded there."


def last_splits(connection: Connection) -> Splits:
    """What the newest run was asked for."""
    recorded = last_split(connection)
    return Splits(**json.loads(recorded)["splits"]) if recorded else Splits()


def percentages(counts: Sequence[int], *, digits: int = 1) -> list[float]:
    """Shares in percent that add up to 100: the largest remainders are rounded up.

    >>> percentages([1, 1, 1])
    [33.4, 33.3, 33.3]
    """
    total, unit = sum(counts), 10**digits
    if not total:
        return [0.0] * len(counts)
    units = [count * 100 * unit // total for count in counts]
    remainders = sorted(range(len(counts)), key=lambda i: -(counts[i] * 100 * unit % total))
    for index in remainders[: 100 * unit - sum(units)]:
        units[index] += 1
    return [number / unit for number in units]


def _division(options: Splits, patients: Mapping[str, int], images: Mapping[str, int]) -> Iterator[str]:
    if len(images) == 1 and sum(images.values()) > 1:
        (only,) = images
        if patients[only] == 1:
            what = f"One group holds everything: all images (100 %) are of one patient, in {only}"
            yield f"{what}. If they are not (one Patient ID for all, or no ID and one study), {_AGAIN}"
            return
        if sum(share > 0 for share in options.shares) > 1:
            yield f"All images (100 %) are in {only}. If the groups are not patients, {_AGAIN}"
    asked = [name for name, share in zip(SPLIT_NAMES, options.shares, strict=True) if share]
    few = [f"{name} {patients.get(name, 0):,}" for name in asked if patients.get(name, 0) < FEW_PATIENTS]
    if few:
        yield f"Splits with fewer than {FEW_PATIENTS} patients: {', '.join(few)}. A figure measured there says little."


_AGAIN = "begin again with --group-by folder and another --db."


def _unidentified(options: Splits, known: int, total: int) -> Iterator[str]:
    if known < total:
        _, share = percentages([known, total - known])
        out = "" if options.test_unidentified else " and kept out of test"
        yield (
            f"{share:g} % of patients ({total - known:,} of {total:,}) could not be identified by {options.group_by}: "
            f"they are told apart by study or folder{out}."
        )


def _changed_side(newest: int, total: int, when: str, *, of_run: bool) -> Iterator[str]:
    count = newest if of_run or newest == total else total
    if count:
        verb = "image has" if count == 1 else "images have"
        last = "in the last run" if count == newest else f"in earlier runs, last on {when[:10]}"
        yield f"{count:,} labelled {verb} changed their split {last}: their patients are others than before."


def _state(folder: str) -> str:
    """Why nothing can be said of a folder; "" where it holds something or cannot be looked at."""
    try:
        with os.scandir(folder) as entries:
            return "" if next(entries, None) else "empty"
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except OSError:
        return ""
