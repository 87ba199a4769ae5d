"""What the labeling page is sent of images, and how far everyone is with those of its queue."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from dicomprep.database.queries.filters import Filter
from dicomprep.database.queries.labeling import Card, count_own_labels, describe, neighbors
from dicomprep.database.queries.predictions import find_predictions
from dicomprep.database.queries.thumbnails import find_digests
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
