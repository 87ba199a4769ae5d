"""Duplicate images: exact ones, found while preprocessing, and near-duplicates, found here."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from dicomprep.checks.audit.hamming import near_pairs
from dicomprep.checks.audit.section import AuditContext, Section
from dicomprep.database.queries import audit as queries
from dicomprep.database.queries.counts import count_frames
from dicomprep.database.writes.duplicates import MAX_GROUPS_PER_IMAGE
from dicomprep.errors import EnvironmentFault, count_of
from dicomprep.pixels.image_file import decode_image
from dicomprep.pixels.similarity import similarity
from dicomprep.storage.base import ImageStore

__all__ = ["exact_duplicates", "near_duplicates"]

MIN_CORRELATION = 0.99
"""Correlation of two thumbnails of 64 rows from which they are near-duplicates."""

MAX_COMPARED_PAIRS = 3
"""Pairs of images compared for two groups, the likeliest first; bounds time."""

MAX_SHOWN_PAIRS = 20
"""Pairs of patients that the table lists."""


def exact_duplicates(context: AuditContext) -> Section:
    """Duplicate files by group and split: of the same group, of another in the same split, in another split."""
    pairs = queries.duplicate_pairs(context.connection)
    names: defaultdict[int, set[int]] = defaultdict(set)
    for pair in pairs:
        names[pair.original] |= {pair.group_id, pair.original_group_id}
    counts: Counter[str] = Counter()
    leaking = []
    for pair in pairs:
        if len(names[pair.original]) > MAX_GROUPS_PER_IMAGE:
            counts["many"] += pair.count
        elif pair.split == pair.original_split:
            counts["side"] += pair.count
        else:
            counts["leak"] += pair.count
            leaking.append((pair.group_id, pair.original_group_id))
    rows = [
        ("of the same patient", queries.count_duplicates_within_groups(context.connection)),
        ("of another patient, in the same split", counts["side"]),
        ("of another patient, in another split", counts["leak"]),
        (f"of more than {MAX_GROUPS_PER_IMAGE} patients (forms, test patterns)", counts["many"]),
    ]
    notes = ("Found after labeling: labeled patients are not moved. See docs/splits.md.",) if leaking else ()
    title = "Exact duplicates (excluded from `images`)"
    return Section("duplicates", title, ("duplicates", "files"), rows, len(set(leaking)), notes, tuple(leaking))


def near_duplicates(context: AuditContext) -> Section:
    """Near-duplicates of different groups: found by perceptual hashes, confirmed by comparing the thumbnails."""
    name, title, columns = (
        "near_duplicates",
        "Near-duplicates of different patients",
        ("image", "near-duplicate", "correlation", "splits"),
    )
    if not context.near:
        return Section(name, title, columns, [], notes=("Not searched for (--no-near).",))
    hashes, groups_of, frames_of = _read_hashes(context.connection)
    blank = count_frames(context.connection) - len(hashes)
    context.connection.rollback()  # ends the reading transaction: a run could not write meanwhile
    candidates, complete = near_pairs(hashes.view(np.uint64), groups_of)
    found, pairs, leaks = [], [], 0
    for groups, frames in _likeliest(candidates, groups_of, frames_of).items():
        shown = _confirm(context, frames)
        if shown is None:
            continue
        pairs.append(groups)
        found.append(shown)
        leaks += "/" in str(shown[3])
    found.sort(key=lambda row: ("/" not in str(row[3]), row))
    notes = (
        [f"{count_of(len(found), 'pair')} of patients, {leaks:,} across splits; up to {MAX_SHOWN_PAIRS} are shown."]
        if found
        else []
    )
    if leaks:
        notes.append("Review them. `dicomprep audit --join` moves such patients to one split, unless they are labeled.")
    if not complete:
        notes.append("Too many similar images: not all of them were compared.")
    if blank:
        notes.append(f"{count_of(blank, 'image')} with too little content (blank, masks, patterns) not compared.")
    return Section(name, title, columns, found[:MAX_SHOWN_PAIRS], leaks, tuple(notes), tuple(pairs))


def _read_hashes(connection: Connection) -> list[NDArray[np.int64]]:
    """The perceptual hashes of all images, their groups and their frames."""
    columns = [array("q") for _ in range(3)]
    for rows in queries.hashes(connection):
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(values)
    return [np.frombuffer(column, np.int64) for column in columns]


def _likeliest(
    candidates: Iterable[tuple[int, int, int]], groups: np.ndarray, frames: np.ndarray
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """For each two groups a few pairs of frames, those with the fewest differing bits first."""
    chosen: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for _, a, b in sorted(candidates):
        first, second = sorted(((int(groups[a]), int(frames[a])), (int(groups[b]), int(frames[b]))))
        pairs = chosen.setdefault((first[0], second[0]), [])
        if len(pairs) < MAX_COMPARED_PAIRS:
            pairs.append((first[1], second[1]))
    return chosen


def _confirm(context: AuditContext, pairs: list[tuple[int, int]]) -> tuple[str, str, float, str] | None:
    """(image, near-duplicate, correlation, splits) of the first pair whose thumbnails agree."""
    known = queries.find_frames(context.connection, [frame for pair in pairs for frame in pair])
    for one, other in pairs:
        correlation = _compare(context.images, known[one][1], known[other][1])
        if correlation >= MIN_CORRELATION:
            splits = sorted({known[one][2], known[other][2]})
            return known[one][0], known[other][0], round(correlation, 4), "/".join(splits)
    return None


def _compare(images: ImageStore, one: str, other: str) -> float:
    """The correlation of two thumbnails; 1.0 where one of them cannot be read, for then the hashes decide."""
    try:
        return similarity(decode_image(images.read(one)), decode_image(images.read(other)))
    except (OSError, ValueError, EnvironmentFault):
        return 1.0
