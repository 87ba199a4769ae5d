"""Patients by split, actual against target percentages, and classes by split."""

from collections import Counter, defaultdict

from dicomprep.checks.audit.section import AuditContext, Section
from dicomprep.config import SPLIT_NAMES
from dicomprep.database.kinship import MAX_CROWD_GROUPS, MAX_STUDY_GROUPS
from dicomprep.database.queries import audit as queries
from dicomprep.pipeline.concerns import concerns, last_splits, percentages, unreachable_roots

__all__ = ["classes", "patients", "shares"]

TOLERANCE_SD = 4.0
"""Standard deviations of a binomial draw: a fair one is beyond them once in 16,000 times."""


def patients(context: AuditContext) -> Section:
    """Groups and images by split, and how many patients are in two."""
    connection = context.connection
    kinds = queries.count_by_kind(connection)
    images = queries.count_images(connection)
    by_split: Counter[str] = Counter()
    for _, split, count in kinds:
        by_split[split] += count
    divided = queries.divided_patients(connection) + queries.divided_joined_groups(connection)
    notes = [f"Patients in more than one split: {divided:,}."]
    sets, largest = queries.joined_sets(connection)
    if sets:
        known = f"Patients recorded under several IDs, as their images show: {sets:,}"
        notes.append(f"{known} (up to {largest:,} IDs each); each is kept within one split.")
    notes += (*concerns(connection), *unreachable_roots(connection))
    sizes = queries.divided_studies(connection)
    torn = sum(size <= MAX_STUDY_GROUPS for size in sizes)
    if torn:
        notes.append(f"Studies in more than one split: {torn:,}; labeled before that was known, so they stay.")
    crowded = sum(MAX_STUDY_GROUPS < size <= MAX_CROWD_GROUPS for size in sizes)
    if crowded:
        notes.append(
            f"Studies in more than one split, each of {MAX_STUDY_GROUPS + 1} to {MAX_CROWD_GROUPS} patients "
            f"(too many to join): {crowded:,}. If a study is real, correct Patient ID; if its UID is invalid, "
            "Study Instance UID."
        )
    shared = sum(size > MAX_CROWD_GROUPS for size in sizes)
    if shared:
        notes.append(
            f"Study Instance UIDs shared by more than {MAX_CROWD_GROUPS} patients each, across splits: {shared:,}. "
            "They are taken for invalid: no patients are joined by them."
        )
    rows = [(name, by_split[name], images.get(name, 0)) for name in SPLIT_NAMES]
    return Section(
        "patients", "Patients by split", ("split", "patients", "images"), rows, divided + torn + crowded, tuple(notes)
    )


def shares(context: AuditContext) -> Section:
    """Target and actual percentages of identified groups, and whether chance explains the difference."""
    options = last_splits(context.connection)
    counts: Counter[str] = Counter()
    for kind, split, count in queries.count_by_kind(context.connection):
        if kind == options.group_by:
            counts[split] += count
    total, rows, outside = counts.total(), [], []
    actual = percentages([counts[name] for name in SPLIT_NAMES], digits=2)
    for name, share, part in zip(SPLIT_NAMES, options.shares, actual, strict=True):
        tolerance = TOLERANCE_SD * (total * share * (1 - share)) ** 0.5
        difference = counts[name] - total * share
        if abs(difference) > tolerance + 0.5:
            outside.append(name)
        rows.append((name, round(100 * share, 2), part, round(100 * tolerance / total, 2) if total else 0.0))
    notes = (f"Outside the tolerance: {', '.join(outside)}. Did earlier runs use another --split?",) if outside else ()
    columns = ("split", "target %", "actual %", f"tolerance % ({TOLERANCE_SD:g} SD)")
    return Section("shares", "Percentages of patients against the last --split", columns, rows, notes=notes)


def classes(context: AuditContext) -> Section:
    """Labeled images by class and split."""
    table: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for label, split, count in queries.count_classes(context.connection):
        table[label][split] += count
    rows: list[tuple[str | int | float, ...]] = [
        (label, *(counts[name] for name in SPLIT_NAMES)) for label, counts in sorted(table.items())
    ]
    notes = tuple(
        f"Class {label} has no images in {name}."
        for label, *counts in rows
        for name, n in zip(SPLIT_NAMES, counts, strict=True)
        if not n
    )
    return Section(
        "classes", "Labeled images", ("class", *SPLIT_NAMES), rows, notes=notes or (() if rows else ("No labels.",))
    )
