"""The end of a delivery: its new patients are settled in their splits, all of them looked at together.

Each was drawn when it arrived. What that cannot know is decided here, and so depends on who came, not on the order:
who belongs to an external test, what balances strata, who fills a split that nobody drew, and folds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, and_, bindparam, or_, select, update

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.queries.counts import count_by, groups_with_images
from dicomprep.database.queries.judged import is_judged
from dicomprep.database.queries.strata import groups_where, strata_of_groups
from dicomprep.database.schema import files, frames, groups
from dicomprep.database.writes.dealing import Patient, deal_folds, deal_splits, fill_splits
from dicomprep.database.writes.groups import NEW, WHERE
from dicomprep.errors import count_of
from dicomprep.privacy.draws import reveal_draw
from dicomprep.splits import TEST, SplitRule

__all__ = ["FILLED", "settle", "settle_folds"]

DEALT, FILLED = "dealt", "filled"
"""Why a group is in its split: its stratum was balanced, or the split would have been empty."""

_IS_NEW = groups.c.split_reason == NEW
_COLUMNS = (
    *(groups.c.id, groups.c.joined_id, groups.c.key, groups.c.kind, groups.c.split),
    *(groups.c.split_reason, groups.c.draw, groups.c.fold),
)
_LABELED = (
    select(files.c.group_id).select_from(frames.join(files)).distinct().where(is_judged, any_of(files.c.group_id))
)
_SETTLE = (
    update(groups)
    .where(groups.c.id == bindparam("group"))
    .values(split=bindparam("side"), drawn_split=None, split_reason=bindparam("why"))
)
_FOLD = update(groups).where(groups.c.id == bindparam("group")).values(fold=bindparam("number"))


@dataclass(slots=True)
class _Settling:
    """The patients of a data set while those of a delivery are settled."""

    connection: Connection
    rule: SplitRule
    patients: list[Patient]
    reasons: dict[tuple[int, ...], str]
    """Of patients that were moved, why."""

    def move(self, splits: Mapping[Patient, str], why: str) -> None:
        """Put patients into splits. Those whose stratum was balanced may still fill one that is empty."""
        moved = {patient.ids: split for patient, split in splits.items()}
        self.reasons |= dict.fromkeys(moved, why)
        self.patients = [
            replace(patient, split=moved[patient.ids], is_free=why == DEALT) if patient.ids in moved else patient
            for patient in self.patients
        ]

    @property
    def free(self) -> list[Patient]:
        return [patient for patient in self.patients if patient.is_free]


def settle(connection: Connection, rule: SplitRule) -> tuple[str, ...]:
    """Settle the groups that are new since the last delivery, and give folds to those without one.

    Returns what a person should know of it, in sentences.
    """
    options, sentences = rule.options, list[str]()
    has_new = connection.execute(select(groups.c.id).where(_IS_NEW).limit(1)).first() is not None
    decides = options.stratify or options.test_where or options.folds or _has_empty_split(connection, rule)
    if (has_new and decides) or (options.folds and _lacks_folds(connection)):
        settling = _Settling(connection, rule, _read_patients(connection, rule), {})
        sentences += _settle_splits(settling)
        _write_splits(settling)
        _write_folds(connection, settling.patients, options.folds or 0)
    connection.execute(update(groups).where(_IS_NEW).values(split_reason=None))
    return tuple(sentences)


def settle_folds(connection: Connection, rule: SplitRule) -> None:
    """Keep folds true to splits and patients that were changed between two deliveries."""
    if rule.options.folds and _lacks_folds(connection):
        _write_folds(connection, _read_patients(connection, rule), rule.options.folds)


def _has_empty_split(connection: Connection, rule: SplitRule) -> bool:
    images = count_by(connection, "split")
    return any(share and not images.get(name) for name, share in rule.shares.items())


def _lacks_folds(connection: Connection) -> bool:
    """Whether a group has no fold and should have one, has one and should not, or not that of its patient."""
    head = groups.alias()
    wrong = or_(
        and_(groups.c.fold.is_(None), groups.c.split != TEST),
        and_(groups.c.fold.is_not(None), groups.c.split == TEST),
        and_(groups.c.fold != head.c.fold, groups.c.split == head.c.split),
    )
    statement = select(groups.c.id).select_from(groups.outerjoin(head, head.c.id == groups.c.joined_id))
    return connection.execute(statement.where(wrong).limit(1)).first() is not None


def _settle_splits(settling: _Settling) -> Iterable[str]:
    connection, rule = settling.connection, settling.rule
    if rule.options.test_where is not None:
        yield from _settle_external_test(settling, groups_where(connection, rule.options.test_where))
    if rule.options.stratify is not None:
        known = [patient for patient in settling.patients if not patient.is_free]
        settling.move(deal_splits(settling.free, known, rule.shares), DEALT)
    filled = fill_splits(settling.patients, rule.shares)
    settling.move(filled, FILLED)
    for name, count in sorted(Counter(filled.values()).items()):
        yield f"{count_of(count, 'new patient')} assigned to {name}, which would have been empty."


def _settle_external_test(settling: _Settling, matching: set[int]) -> Iterable[str]:
    """Patients with an image that fulfills `--test-where` are in test, if they are new; the others are counted."""
    those = [patient for patient in settling.patients if not matching.isdisjoint(patient.ids)]
    settling.move({patient: TEST for patient in those if patient.is_free}, WHERE)
    unknown = sum(patient.is_free and not patient.may_test for patient in those)
    if unknown:
        yield (
            f"{count_of(unknown, 'group')} without a usable Patient ID put into test by --test-where: "
            "they may be patients of train under another name."
        )
    outside = sum(patient.split != TEST and not patient.is_free for patient in those)
    if outside:
        yield (
            f"{count_of(outside, 'patient')} with images that fulfill --test-where not in test: "
            "recorded in another split before, or labeled. Recorded patients are not moved."
        )


def _read_patients(connection: Connection, rule: SplitRule) -> list[Patient]:
    rows = connection.execute(select(*_COLUMNS).order_by(groups.c.id)).all()
    sets: dict[int, list[Any]] = {}
    for row in rows:
        sets.setdefault(row.joined_id or row.id, []).append(row)
    new = [row.id for row in rows if row.split_reason == NEW]
    labeled = {row[0] for row in look_up(connection, _LABELED, new)}
    shown = groups_with_images(connection)
    strata = strata_of_groups(connection, rule.options.stratify) if rule.options.stratify else {}
    return [
        Patient(
            ids=tuple(row.id for row in members),
            split=next((row.split for row in members if row.split != TEST), TEST),
            draw=_draw_of(head, members, rule.key),
            may_test=rule.options.test_unidentified or all(row.kind == rule.options.group_by for row in members),
            is_free=all(row.split_reason == NEW and row.id not in labeled for row in members),
            has_images=any(row.id in shown for row in members),
            stratum=_stratum_of(members, strata),
            fold=_fold_of(head, members),
        )
        for head, members in sets.items()
    ]


def _draw_of(head: int, members: Sequence[Any], key: bytes) -> int:
    """The draw of the group whose split all have."""
    row = next((row for row in members if row.id == head), members[0])
    return reveal_draw(key, row.key, row.draw)


def _stratum_of(members: Sequence[Any], strata: Mapping[int, Counter[str]]) -> str:
    """What most images of a patient have; of several values that are as frequent the first in the alphabet."""
    counts = sum((strata.get(row.id, Counter()) for row in members), Counter[str]())
    return min(counts, key=lambda value: (-counts[value], value), default="")


def _fold_of(head: int, members: Sequence[Any]) -> int | None:
    """The fold of the group whose split all have, else of any of them."""
    known = sorted((row.id != head, row.id, row.fold) for row in members if row.fold is not None)
    return known[0][2] if known else None


def _write_splits(settling: _Settling) -> None:
    rows = [
        {"group": number, "side": patient.split, "why": settling.reasons[patient.ids]}
        for patient in settling.patients
        if patient.ids in settling.reasons
        for number in patient.ids
    ]
    if rows:
        settling.connection.execute(_SETTLE, rows)


def _write_folds(connection: Connection, patients: Sequence[Patient], folds: int) -> None:
    """Deal those without a fold; nobody in test has one, and all groups of a patient have the same."""
    if not folds:
        return
    outside = [patient for patient in patients if patient.split != TEST]
    known = [patient for patient in outside if patient.fold is not None]
    dealt = deal_folds([patient for patient in outside if patient.fold is None], known, folds)
    fold_of = {number: dealt.get(patient, patient.fold) for patient in outside for number in patient.ids}
    rows: list[dict[str, int | None]] = []
    for number, split, fold in connection.execute(select(groups.c.id, groups.c.split, groups.c.fold)):
        wanted = None if split == TEST else fold_of[number]
        if fold != wanted:
            rows.append({"group": number, "number": wanted})
    if rows:
        connection.execute(_FOLD, rows)
