"""Who is in which split, against what was asked, and how the classes are spread."""

from collections import Counter, defaultdict

from dicomprep.checks.audit.section import Ground, Section
from dicomprep.database.kinship import MAX_CROWD_GROUPS, MAX_STUDY_GROUPS
from dicomprep.database.queries import audit as queries
from dicomprep.pipeline.concerns import concerns, last_splits, percentages, unreachable_roots
from dicomprep.splits import SPLIT_NAMES

__all__ = ["classes", "patients", "shares"]

TOLERANCE_SD = 4.0
"""Standard deviations of a binomial draw: a fair split exceeds them once in 16,000 times."""


def patients(ground: Ground) -> Section:
    """Groups and images by split, and how many patients are in two."""
    connection = ground.connection
    kinds = queries.count_by_kind(connection)
    images = queries.count_images(connection)
    by_split: Counter[str] = Counter()
    for _, split, count in kinds:
        by_split[split] += count
    divided = queries.divided_patients(connection) + queries.divided_joined_groups(connection)
    notes = [f"{divided:,} patients are in two splits."]
    sets, largest = queries.joined_sets(connection)
    if sets:
        notes.append(f"{sets:,} sets of patients (the largest of {largest:,}) are one, as their images show.")
    notes += (*concerns(connection), *unreachable_roots(connection))
    torn = queries.divided_studies(connection, most=MAX_STUDY_GROUPS)
    if torn:
        notes.append(f"{torn:,} studies are in two splits: labelled before they were known to be one, so they stay.")
    crowded = queries.divided_studies(connection, above=MAX_STUDY_GROUPS, most=MAX_CROWD_GROUPS)
    if crowded:
        notes.append(
            f"{crowded:,} studies are in two splits and of {MAX_STUDY_GROUPS + 1} to {MAX_CROWD_GROUPS} patients, "
            "too many to join them. If a study is real, correct Patient ID; if its UID is made up, Study Instance UID."
        )
    shared = queries.divided_studies(connection, above=MAX_CROWD_GROUPS)
    if shared:
        notes.append(
            f"{shared:,} Study Instance UIDs are in two splits and of more than {MAX_CROWD_GROUPS} patients each: "
            "they are made up, so nobody was joined by them."
        )
    rows = [(name, by_split[name], images.get(name, 0)) for name in SPLIT_NAMES]
    return Section(
        "patients", "Patients by split", ("split", "patients", "images"), rows, divided + torn + crowded, tuple(notes)
    )


def shares(ground: Ground) -> Section:
    """The shares that were asked for, the shares of identified groups, and whether chance explains the difference."""
    options = last_splits(ground.connection)
    counts: Counter[str] = Counter()
    for kind, split, count in queries.count_by_kind(ground.connection):
        if kind == options.group_by:
            counts[split] += count
    total, rows, outside = counts.total(), [], []
    got = percentages([counts[name] for name in SPLIT_NAMES], digits=2)
    for name, share, part in zip(SPLIT_NAMES, options.shares, got, strict=True):
        bound = TOLERANCE_SD * (total * share * (1 - share)) ** 0.5
        difference = counts[name] - total * share
        if abs(difference) > bound + 0.5:
            outside.append(name)
        rows.append((name, round(100 * share, 2), part, round(100 * bound / total, 2) if total else 0.0))
    notes = (
        (f"Beyond {TOLERANCE_SD:g} standard deviations: {', '.join(outside)}. Were other shares asked for before?",)
        if outside
        else ()
    )
    columns = ("split", "asked, %", "got, % of patients", "bound, ± %")
    return Section("shares", "Shares of the last --split", columns, rows, notes=notes)


def classes(ground: Ground) -> Section:
    """Labelled images by class and split."""
    table: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for label, split, count in queries.count_classes(ground.connection):
        table[label][split] += count
    rows: list[tuple[str | int | float, ...]] = [
        (label, *(counts[name] for name in SPLIT_NAMES)) for label, counts in sorted(table.items())
    ]
    notes = tuple(
        f"No image of {label} is in {name}."
        for label, *counts in rows
        for name, n in zip(SPLIT_NAMES, counts, strict=True)
        if not n
    )
    return Section(
        "classes", "Labelled images", ("class", *SPLIT_NAMES), rows, notes=notes or (() if rows else ("No labels.",))
    )
