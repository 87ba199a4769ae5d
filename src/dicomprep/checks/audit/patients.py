"""Patients by split, actual against target percentages, and classes by split."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection

from dicomprep.checks.audit.section import AuditContext, Section
from dicomprep.config import SPLIT_NAMES, TEST, Splits
from dicomprep.database.connection import read_meta
from dicomprep.database.kinship import MAX_CROWD_GROUPS, MAX_STUDY_GROUPS
from dicomprep.database.queries import audit as queries
from dicomprep.database.queries.options import last_splits
from dicomprep.database.queries.strata import groups_where
from dicomprep.database.writes.groups import IMPORTED, PINNED, WHERE
from dicomprep.database.writes.settling import FILLED
from dicomprep.database.writes.splits import CLOSED_TEST
from dicomprep.errors import count_of
from dicomprep.pipeline.concerns import concerns, percentages, unreachable_roots
from dicomprep.splits import drawn_shares

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
    between_folds = queries.count_divided_folds(connection)
    if between_folds:
        notes.append(
            f"Patients in more than one fold: {between_folds:,}. The next run of `dicomprep preprocess` joins them."
        )
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
        "patients",
        "Patients by split",
        ("split", "patients", "images"),
        rows,
        divided + between_folds + torn + crowded,
        tuple(notes),
    )


def shares(context: AuditContext) -> Section:
    """Target and actual percentages of groups that were drawn, and whether chance explains the difference."""
    connection = context.connection
    options = last_splits(connection)
    reasons = queries.count_by_reason(connection, options.group_by)
    counts: Counter[str] = Counter()
    for (split, why), count in reasons.items():
        counts[split] += count if why not in PINNED else 0
    closed = bool(options.test_where) or read_meta(connection, CLOSED_TEST) is not None
    counts[TEST] *= not closed  # who was drawn before that is in test all the same
    filled = sum(n for (_, why), n in reasons.items() if why == FILLED)
    total, rows, outside = counts.total(), [], []
    actual = percentages([counts[name] for name in SPLIT_NAMES], digits=2)
    targets = drawn_shares(options, closed=closed)
    for name, part in zip(SPLIT_NAMES, actual, strict=True):
        share = targets[name]
        tolerance = TOLERANCE_SD * (total * share * (1 - share)) ** 0.5 + filled
        if abs(counts[name] - total * share) > tolerance + 0.5:
            outside.append(name)
        rows.append((name, round(100 * share, 2), part, round(100 * tolerance / total, 2) if total else 0.0))
    notes = [f"Outside the tolerance: {', '.join(outside)}. Did earlier runs use another --split?"] if outside else []
    columns = ("split", "target %", "actual %", f"tolerance % ({TOLERANCE_SD:g} SD)")
    title = "Percentages of patients against the last --split"
    return Section(
        "shares",
        title,
        columns,
        rows,
        notes=(*notes, *_other_rules(options, reasons), *_outside_test(connection, options)),
    )


def _other_rules(options: Splits, reasons: Mapping[tuple[str, str], int]) -> Iterator[str]:
    """Who is in a split for another reason than its draw."""
    by_reason: Counter[str] = Counter()
    for (_, why), count in reasons.items():
        by_reason[why] += count
    for why, sentence in _REASONS.items():
        if by_reason[why]:
            yield f"{count_of(by_reason[why], 'patient')} {sentence}"
    if options.stratify is not None:
        yield f"New patients are balanced by {options.stratify} (--stratify)."


def _outside_test(connection: Connection, options: Splits) -> Iterator[str]:
    """Who has an image that fulfills `--test-where` and is not in test."""
    matching = groups_where(connection, options.test_where) if options.test_where else set()
    outside = sum(split != TEST for split in queries.splits_of(connection, matching).values())
    if outside:
        yield f"{count_of(outside, 'patient')} with images that fulfill --test-where not in test, as recorded before."


_REASONS = {
    IMPORTED: "in the split that an imported table names: not counted here.",
    WHERE: "in test by --test-where: not counted here.",
    FILLED: "assigned to a split that would have been empty: counted, and added to the tolerance.",
}


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
