"""Series, studies or patients as the labeling page has them: one key labels the whole of one."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from threading import Lock
from typing import Any

from sqlalchemy import Connection

from dicomprep.database.queries.filters import Filter, conditions_of
from dicomprep.database.queries.labeling import Event
from dicomprep.database.queries.queue import Queue, choose_spare, reserved_by_others
from dicomprep.database.queries.unit_queue import (
    ListedUnit,
    find_key,
    list_keys,
    list_units,
    new_events,
    skipped_by,
    unit_images,
)
from dicomprep.database.queries.units import Unit, UnitLabel
from dicomprep.database.writes.commands import Command
from dicomprep.database.writes.labels import Said, add_unit_label, release_image
from dicomprep.errors import LabelError
from dicomprep.web.items import Items
from dicomprep.web.site import PageContext

__all__ = ["UnitItems"]

LISTED_SECONDS = 20.0
"""After which new images may have brought new units."""

LISTED_SHARE = 30
"""So many times longer than listing takes, the list is used at the least."""

MAX_UNIT_IMAGES = 2000
"""Images of a unit on the page; bounds it."""

MAX_REMEMBERED_FILTERS = 16
DRAWS = 1_000_000


@dataclass(slots=True)
class _Said:
    """What annotators say of units now, by unit and annotator: read on from the last event."""

    by_unit: dict[str, dict[str, UnitLabel]] = field(default_factory=dict)
    last: int = 0

    def read_on(self, connection: Connection, level: str) -> None:
        for event in new_events(connection, level, after=self.last):
            self.by_unit.setdefault(event.key, {})[event.annotator] = event
            self.last = event.event


class UnitItems(Items):
    """Units in place of images; each goes by the id of its first image."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._level = context.settings.unit
        self._lock = Lock()
        self._said = _Said()
        self._units: dict[int, ListedUnit] = {}
        self._list_again = 0.0
        self._matching: dict[Filter, tuple[float, frozenset[str]]] = {}

    def prepare(self, wanted: Filter) -> None:
        """Read what takes long before the database is asked to let nobody else write."""
        with self._context.reading() as connection:
            self._matching_units(connection, wanted)

    def next(self, connection: Connection, queue: Queue, *, limit: int, held: Sequence[int]) -> list[int]:
        """The units that come next."""
        theirs = reserved_by_others(connection, queue.annotator)
        taken = {*held, *(frame_id for those in theirs.values() for frame_id in those)}
        due = (frame_id for frame_id in self._due(connection, queue) if frame_id not in taken)
        return [frame_id for frame_id, _ in zip(due, range(limit), strict=False)]

    def spare(self, connection: Connection, queue: Queue) -> list[int]:
        """What others have far ahead, for one who would have to wait."""
        due = set(self._due(connection, queue))
        theirs = reserved_by_others(connection, queue.annotator)
        return choose_spare({name: [one for one in those if one in due] for name, those in theirs.items()})

    def _due(self, connection: Connection, queue: Queue) -> Iterator[int]:
        """What an annotator is to see, also if others have it before them."""
        wanted, skipped = queue.wanted, skipped_by(connection, queue.annotator)
        units = self._matching_units(connection, wanted)
        if wanted.is_of_labeled:
            units = sorted((u for u in units if u.frame_id > queue.after), key=lambda unit: unit.frame_id)
        for unit in units:
            is_skipped = unit.frame_id in skipped
            if is_skipped == (wanted.state == "skipped") and (
                wanted.is_of_labeled or self._is_due(unit, queue.annotator)
            ):
                yield unit.frame_id

    def history(self, connection: Connection, annotator: str, *, limit: int, before: int | None) -> list[Event]:
        """The units that an annotator labeled last, the last one first."""
        by_key = {unit.key: unit.frame_id for unit in self._all_units(connection).values()}
        mine = [
            Event(said[annotator].event, by_key[key], annotator)
            for key, said in self._votes(connection).items()
            if annotator in said and said[annotator].label is not None and key in by_key
        ]
        mine = [event for event in mine if before is None or event.id < before]
        return sorted(mine, key=lambda event: -event.id)[:limit]

    def describe(self, connection: Connection, frame_ids: Sequence[int], annotator: str) -> list[dict[str, Any]]:
        """Units by any image of theirs."""
        items = super().describe(connection, frame_ids, annotator)
        units, votes = self._all_units(connection), self._votes(connection)
        for item in items:
            key = find_key(connection, self._level, item["id"])
            mine = votes.get(key or "", {}).get(annotator)
            unit = units.get(item["id"])
            item |= {"unit": self._level, "images": unit.images if unit else None, "strip": [item["id"]]}
            item |= {
                "mine": mine.label if mine else None,
                "unsure": bool(mine and mine.unsure),
                "note": (mine.note if mine else None) or "",
            }
        return items

    def images(self, connection: Connection, frame_id: int) -> dict[str, Any]:
        """All images of a unit, by their series."""
        found = unit_images(connection, self._level, frame_id, limit=MAX_UNIT_IMAGES + 1)
        groups: dict[str, list[tuple[int, int, str]]] = {}
        titles: dict[str, str] = {}
        for image in found[:MAX_UNIT_IMAGES]:
            series = image.series or ""
            groups.setdefault(series, []).append((image.id, image.frame_number, bytes(image.digest).hex()))
            titles.setdefault(series, image.modality or "no modality")
        series_of = [{"title": titles[name], "images": images} for name, images in groups.items()]
        return {"series": series_of, "more": len(found) > MAX_UNIT_IMAGES}

    def record(self, connection: Connection, frame_id: int, said: Said, annotator: str) -> Command:
        """Label the unit of an image."""
        key = find_key(connection, self._level, frame_id)
        if key is None:
            raise LabelError(f"Image {frame_id} is of no {self._level}.")
        event = add_unit_label(connection, Unit(self._level, key), said, annotator=annotator)
        release_image(connection, frame_id, annotator=annotator)
        return Command("unit", frame_id, unit_label_id=event)

    def counts(self, connection: Connection, annotator: str, wanted: Filter | None = None) -> dict[str, Any]:
        """Units of the queue, how many are labeled, and how many by this annotator."""
        votes, names = self._votes(connection), self._context.class_names(connection)
        units = self._matching_units(connection, wanted or Filter())
        labels = [_labels(votes.get(unit.key, {})) for unit in units]
        given = [name for said in labels for label in set(said.values()) for name in label.split(",")]
        counts: dict[str, Any] = {"total": len(units), "classes": {name: given.count(name) for name in names}}
        if wanted is not None and wanted.is_of_labeled:
            return counts
        return counts | {"labelled": sum(map(bool, labels)), "mine": sum(annotator in said for said in labels)}

    def _is_due(self, unit: ListedUnit, annotator: str) -> bool:
        """Whether an annotator is to label a unit that others may have labeled."""
        said, settings = self._said.by_unit.get(unit.key, {}), self._context.settings
        labels = _labels(said)
        if settings.adjudicates:
            return len(set(labels.values())) > 1 and not any(vote.adjudicated for vote in said.values())
        wanted = settings.raters if _draw(unit.key) < settings.overlap * DRAWS else 1
        return annotator not in labels and len(labels) < wanted

    def _matching_units(self, connection: Connection, wanted: Filter) -> list[ListedUnit]:
        units, votes = list(self._all_units(connection).values()), self._votes(connection)
        of_images = replace(wanted, state="", label="")
        if of_images.stated:
            keys = self._keys(connection, of_images)
            units = [unit for unit in units if unit.key in keys]
        if wanted.label or wanted.state not in ("", "skipped"):
            units = [unit for unit in units if _is_so(votes.get(unit.key, {}), wanted)]
        return units

    def _keys(self, connection: Connection, wanted: Filter) -> frozenset[str]:
        now = time.monotonic()
        at, keys = self._matching.get(wanted, (-LISTED_SECONDS, frozenset()))
        if now - at >= LISTED_SECONDS:
            keys = list_keys(connection, self._level, conditions_of(connection, wanted))
            with self._lock:
                self._matching.pop(wanted, None)
                self._matching[wanted] = now, keys
                while len(self._matching) > MAX_REMEMBERED_FILTERS:
                    del self._matching[next(iter(self._matching))]
        return keys

    def _all_units(self, connection: Connection) -> dict[int, ListedUnit]:
        with self._lock:
            began = time.monotonic()
            if not self._units or began >= self._list_again:
                self._units = {unit.frame_id: unit for unit in list_units(connection, self._level)}
                took = time.monotonic() - began
                self._list_again = began + took + max(LISTED_SECONDS, took * LISTED_SHARE)
            return self._units

    def _votes(self, connection: Connection) -> dict[str, dict[str, UnitLabel]]:
        with self._lock:
            self._said.read_on(connection, self._level)
            return self._said.by_unit


def _labels(said: dict[str, UnitLabel]) -> dict[str, str]:
    """The label of each annotator who gives one."""
    return {name: vote.label for name, vote in said.items() if vote.label is not None}


def _is_so(said: dict[str, UnitLabel], wanted: Filter) -> bool:
    """Whether the labels of a unit are what a filter asks for."""
    labels = _labels(said)
    if wanted.label and wanted.label not in labels.values():
        return False
    states = {
        "labelled": bool(labels),
        "unlabelled": not labels,
        "disputed": len(set(labels.values())) > 1,
        "unsure": any(vote.unsure and vote.label is not None for vote in said.values()),
        "mine": wanted.annotator in labels,
    }
    return states.get(wanted.state, True)


def _draw(key: str) -> int:
    """Always the same of a unit."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") % DRAWS
