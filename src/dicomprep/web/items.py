"""What the labeling page is sent of images, and how far everyone is with those of its queue."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from dicomprep.database.queries.filters import Filter
from dicomprep.database.queries.labeling import Card, Event, count_own_labels, describe, neighbors, own_history
from dicomprep.database.queries.predictions import find_predictions
from dicomprep.database.queries.queue import Order, Queue, next_images, spare_images
from dicomprep.database.queries.thumbnails import find_digests
from dicomprep.database.writes.commands import Command
from dicomprep.database.writes.labels import Said, add_label, ask_for_more, pass_image
from dicomprep.web.census import Censuses
from dicomprep.web.site import PageContext

__all__ = ["Items"]

NEIGHBORS_EACH_WAY = 6
"""Shown on each side of an image."""


class Items:
    """Images as the page has them, and counts."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._censuses = Censuses()
        self._chance = random.Random()  # noqa: S311  (it decides what is labeled, not who may)

    def prepare(self, wanted: Filter) -> None:
        """Read ahead what `next` needs: of images nothing."""

    def next(self, connection: Connection, queue: Queue, *, limit: int, held: Sequence[int]) -> list[int]:
        """The images that come next: in the order that was asked for, or some of them by chance in the shuffled one."""
        by_chance = sum(self._chance.random() < self._context.settings.random_share for _ in range(limit))
        if queue.order.kind == "shuffled" or queue.wanted.is_of_labeled:
            return next_images(connection, queue, limit=limit, without=held)
        found: list[int] = []
        for chosen, most in ((queue, limit - by_chance), (replace(queue, order=Order()), by_chance)):
            if most:
                found += next_images(connection, chosen, limit=most, without=[*held, *found])
        if by_chance:
            self._chance.shuffle(found)
        return found

    def spare(self, connection: Connection, queue: Queue) -> list[int]:
        """What others have far ahead, for one who would have to wait."""
        return [] if queue.wanted.is_of_labeled else spare_images(connection, queue)

    def history(self, connection: Connection, annotator: str, *, limit: int, before: int | None) -> list[Event]:
        """The images that an annotator labeled last, the last one first; those `before` an event."""
        return own_history(connection, annotator, limit=limit, before=before)

    def record(self, connection: Connection, frame_id: int, said: Said, annotator: str) -> Command:
        """Label what an image stands for: itself."""
        self.add(connection, frame_id, said, annotator)
        return Command("label", frame_id)

    def add(self, connection: Connection, frame_id: int, said: Said, annotator: str) -> int:
        """Label an image. The event's id."""
        settings = self._context.settings
        if settings.overlap:
            ask_for_more(connection, frame_id, share=settings.overlap, raters=settings.raters)
        event_id = add_label(connection, frame_id, said, annotator=annotator)
        if settings.order.kind == "disagreement":  # it has been looked at: that may be the end of it
            pass_image(connection, frame_id, annotator=annotator)
        return event_id

    def describe(self, connection: Connection, frame_ids: Sequence[int], annotator: str) -> list[dict[str, Any]]:
        """Images, in the order of `frame_ids`."""
        cards = describe(connection, frame_ids, annotator=annotator)
        predictions = find_predictions(connection, frame_ids, model=self._context.settings.order.model)
        return [self._item(connection, card, predictions.get(card.id)) for card in cards]

    def digests(self, connection: Connection, items: Sequence[dict[str, Any]], held: Sequence[int]) -> dict[int, str]:
        """Of all images that items show, and of those that the page has already: they may have changed."""
        return find_digests(connection, {*held, *(one for item in items for one in (item["id"], *item["strip"]))})

    def counts(self, connection: Connection, annotator: str, wanted: Filter | None = None) -> dict[str, Any]:
        """Images of the queue, how many are labeled, and how many by this annotator."""
        counts = self._context.catalogue.counts(self._context.class_names(connection))
        if wanted is None or not wanted.stated:
            return counts | {"mine": count_own_labels(connection, annotator)}
        total, is_complete = self._censuses.count(connection, wanted)
        del counts["labelled"]
        counts |= {"total": total, "complete": is_complete}
        if not wanted.is_of_labeled and not wanted.state:
            counts["labelled"], _ = self._censuses.count(connection, replace(wanted, state="labelled"))
            counts["mine"], _ = self._censuses.count(connection, replace(wanted, state="mine", annotator=annotator))
        return counts

    def _item(self, connection: Connection, card: Card, prediction: tuple[str, float] | None) -> dict[str, Any]:
        return {
            "id": card.id,
            "name": card.filename,
            "modality": card.modality or "no modality",
            "view": " ".join(word for word in (card.laterality, card.view) if word),
            "frame": card.frame_number + 1,
            "frames": card.frame_count,
            "split": card.split,
            "mine": card.mine,
            "unsure": bool(card.unsure),
            "note": card.note or "",
            "prediction": prediction,
            "strip": neighbors(connection, card, each_way=NEIGHBORS_EACH_WAY),
        }
