"""The same image more than once: exactly, as found while preprocessing, or nearly so, as found here."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from dicomprep.checks.audit.hamming import near_pairs
from dicomprep.checks.audit.section import Ground, Section
from dicomprep.database.queries import audit as queries
from dicomprep.database.writes.duplicates import MAX_GROUPS_PER_IMAGE
from dicomprep.errors import EnvironmentFault
from dicomprep.pixels.png import decode_png
from dicomprep.pixels.similarity import similarity
from dicomprep.storage.base import ImageStore

__all__ = ["exact_duplicates", "near_duplicates"]

MIN_CORRELATION = 0.99
"""Correlation of two thumbnails of 64 rows from which they count as one picture."""

MAX_COMPARED_PAIRS = 3
"""Pairs of images compared for two patients, the most similar first; bounds the reading of images."""

MAX_LISTED_PAIRS = 20
"""Pairs of patients listed; bounds the output."""


def exact_duplicates(ground: Ground) -> Section:
    """Inputs that hold the image of another one: of the same group, of another on the same side, in another split."""
    pairs = queries.duplicate_pairs(ground.connection)
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
        ("of the same patient", queries.count_duplicates_within_groups(ground.connection)),
        ("of another patient, in the same split", counts["side"]),
        ("of another patient, in another split", counts["leak"]),
        (f"of more than {MAX_GROUPS_PER_IMAGE} patients (forms, test patterns)", counts["many"]),
    ]
    notes = ("Labelled before they were found, so they stay. See docs/splits.md.",) if leaking else ()
    title = "Exact duplicates (not in `images`)"
    return Section("duplicates", title, ("duplicates", "inputs"), rows, len(set(leaking)), notes, tuple(leaking))


def near_duplicates(ground: Ground) -> Section:
    """Pictures of different groups that look the same: found by perceptual hashes, confirmed by the thumbnails."""
    name, title, columns = (
        "near_duplicates",
        "Near-duplicates of different patients",
        ("images", "", "likeness", "splits"),
    )
    if not ground.near:
        return Section(name, title, columns, [], notes=("Not searched for.",))
    rows = np.fromiter(queries.hashes(ground.connection), np.dtype([("hash", "i8"), ("group", "i8"), ("frame", "i8")]))
    ground.connection.rollback()  # ends the reading transaction: a run could not write meanwhile
    candidates, complete = near_pairs(rows["hash"].view(np.uint64), rows["group"])
    found, pairs, leaks = [], [], 0
    for groups, frames in _likeliest(candidates, rows["group"], rows["frame"]).items():
        shown = _confirm(ground, frames)
        if shown is None:
            continue
        pairs.append(groups)
        found.append(shown)
        leaks += "/" in str(shown[3])
    found.sort(key=lambda row: ("/" not in str(row[3]), row))
    notes = (
        [f"{len(found):,} pairs of patients, {leaks:,} of them across splits; the first {MAX_LISTED_PAIRS} are shown."]
        if found
        else []
    )
    if leaks:
        notes.append(
            "Look at them; `dicomprep audit --join` puts such patients on one side, if nobody has labelled them."
        )
    if not complete:
        notes.append("There are so many like pictures that not all were compared.")
    blank = queries.unhashed_images(ground.connection)
    if blank:
        notes.append(f"{blank:,} images with too little in them (blank, masks, patterns) were not compared.")
    return Section(name, title, columns, found[:MAX_LISTED_PAIRS], leaks, tuple(notes), tuple(pairs))


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


def _confirm(ground: Ground, pairs: list[tuple[int, int]]) -> tuple[str, str, float, str] | None:
    """The first of the pairs that holds when the thumbnails are compared."""
    known = queries.find_frames(ground.connection, [frame for pair in pairs for frame in pair])
    for one, other in pairs:
        likeness = _compare(ground.images, known[one][1], known[other][1])
        if likeness >= MIN_CORRELATION:
            splits = sorted({known[one][2], known[other][2]})
            return known[one][0], known[other][0], round(likeness, 4), "/".join(splits)
    return None


def _compare(images: ImageStore, one: str, other: str) -> float:
    """The likeness of two thumbnails; 1.0 where one of them cannot be read, for then the hashes decide."""
    try:
        return similarity(decode_png(images.read(one)), decode_png(images.read(other)))
    except (OSError, ValueError, EnvironmentFault):
        return 1.0
