"""Concerns about a data set, to be known before training on it: the same sentences in runs, `status` and `audit`."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection

from dicomprep.config import SPLIT_NAMES, TEST, GroupBy, Splits
from dicomprep.database.connection import read_meta
from dicomprep.database.queries import counts
from dicomprep.database.queries.audit import count_by_kind
from dicomprep.database.queries.concerns import changed_splits
from dicomprep.database.queries.options import last_splits
from dicomprep.database.queries.roots import count_recorded, recorded_roots
from dicomprep.database.writes.absent import count_absent
from dicomprep.database.writes.splits import CLOSED_TEST
from dicomprep.errors import count_of
from dicomprep.storage.archives.places import find_archive
from dicomprep.storage.paths import actual_path
from dicomprep.storage.place import is_url
from dicomprep.storage.roots import Part

__all__ = ["absent_inputs", "concerns", "percentages", "unreachable_roots"]

MIN_PATIENTS = 5
"""Patients in a split, below which its metrics are not reliable."""


def concerns(connection: Connection, *, of_run: bool = False) -> tuple[str, ...]:
    """Sentences on the splits, on labels, and on missing files.

    At the end of a run (`of_run`), labels that earlier runs moved to another split are not mentioned.
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
        *_division(connection, options, patients, images),
        *_unidentified(options, known, patients.total()),
        *_changed_side(*changed_splits(connection), of_run=of_run),
        *absent_inputs(connection),
    )


def absent_inputs(connection: Connection) -> Iterator[str]:
    """How many recorded files no longer exist, as the runs that searched their folders found."""
    count = count_absent(connection)
    if count:
        yield (
            f"Gone since an earlier run: {count_of(count, 'recorded file')}, still in exports. "
            "`dicomprep preprocess` of the same folder with --prune removes their images and records."
        )


def unreachable_roots(connection: Connection) -> Iterator[str]:
    """Source folders that are missing or empty: the disk may not be mounted."""
    for root in recorded_roots(connection):
        state = _state(actual_path(root))
        count = count_recorded(connection, Part(root)) if state else 0
        if count:
            yield f"The source folder {root} of {count_of(count, 'recorded file')} is {state}. Is its disk mounted?"


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


def _division(
    connection: Connection, options: Splits, patients: Mapping[str, int], images: Mapping[str, int]
) -> Iterator[str]:
    if len(images) == 1 and sum(images.values()) > 1:
        (only,) = images
        if patients[only] == 1:
            what = f"All images (100 %) belong to one patient, in {only}"
            yield f"{what}. If that is wrong (one Patient ID for all, or no ID and one study), {_AGAIN}"
            return
        if sum(share > 0 for share in options.shares) > 1:
            yield f"All images (100 %) are in {only}. If the groups are not patients, {_AGAIN}"
    yield from _small_splits(connection, options, patients)


def _small_splits(connection: Connection, options: Splits, patients: Mapping[str, int]) -> Iterator[str]:
    """Splits that were asked for, or that a table or a condition fills, and are empty or nearly so."""
    asked = {name: f"{100 * share:g} % asked" for name, share in zip(SPLIT_NAMES, options.shares, strict=True) if share}
    asked |= {TEST: "imported"} if read_meta(connection, CLOSED_TEST) else {}
    asked |= {TEST: "by --test-where"} if options.test_where else {}
    total = sum(patients.values())
    counts = {name: patients.get(name, 0) for name in SPLIT_NAMES if name in asked}
    few = [f"{name} {n:,} ({100 * n / total:.3g} %, {asked[name]})" for name, n in counts.items() if n < MIN_PATIENTS]
    if few:
        yield f"Splits with fewer than {MIN_PATIENTS} patients: {', '.join(few)}. Metrics on them are not reliable."


_AGAIN = "start again with --group-by folder and another --db."


def _unidentified(options: Splits, known: int, total: int) -> Iterator[str]:
    if known < total:
        _, share = percentages([known, total - known])
        out = "" if options.test_unidentified or options.test_where else ", excluded from test"
        missing = _IDENTIFIERS[options.group_by]
        yield (
            f"{count_of(total - known, 'group')} of {total:,} ({share:g} %) without a usable {missing}: "
            f"grouped by study or folder{out}."
        )


_IDENTIFIERS = {GroupBy.PATIENT: "Patient ID", GroupBy.STUDY: "Study Instance UID", GroupBy.FOLDER: "folder"}
"""What identifies a group."""


def _changed_side(newest: int, total: int, when: str, *, of_run: bool) -> Iterator[str]:
    count = newest if of_run or newest == total else total
    if count:
        last = "in the last run" if count == newest else f"in earlier runs, last on {when[:10]}"
        yield f"{count_of(count, 'labeled image')} moved to another split {last}: their Patient IDs have changed."


def _state(folder: str) -> str:
    """Why a source folder cannot be searched; "" where it holds something or cannot be read, and of what is none."""
    if is_url(folder) or find_archive(folder) is not None:
        return ""
    try:
        with os.scandir(folder) as entries:
            return "" if next(entries, None) else "empty"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError:
        return ""
