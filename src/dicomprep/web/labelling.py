"""One image, one key, the next image."""

import random
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from dicomprep.database import label_queries, queries
from dicomprep.database.label_queries import (
    Card,
    Order,
    describe,
    held_by_others,
    neighbours,
    next_images,
    own_history,
    spare_images,
)
from dicomprep.database.label_store import (
    add_classes,
    add_label,
    ask_for_more,
    pass_image,
    release,
    reserve,
    undo_label,
)
from dicomprep.database.prediction_queries import find_predictions
from dicomprep.errors import LabelError
from dicomprep.web.site import CLASS_KEYS, Site, answered, checked_name, no_such_image, read_body

__all__ = ["Labelling"]

RESERVED_SECONDS = 600.0
MOST_AHEAD = 24
HISTORY = 30
NEIGHBOURS = 6
"""Shown on each side of an image."""


class Labelling:
    """The routes of the labelling page."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._chance = random.Random()  # noqa: S311  (it decides what is labelled, not who may)

    def routes(self) -> list[Route]:
        """What this page answers."""
        return [
            Route("/", self.show),
            Route("/who", self.who),
            Route("/image/{frame_id:id}", self.picture),
            Route("/progress", self.progress),
            Route("/next", self.take_next, methods=["POST"]),
            Route("/leave", self.leave, methods=["POST"]),
            Route("/label", self.label, methods=["POST"]),
            Route("/undo", self.undo, methods=["POST"]),
            Route("/skip", self.skip, methods=["POST"]),
            Route("/classes", self.add_class, methods=["POST"]),
            Route("/annotator", self.choose_annotator, methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """The page; without an image: those come by `take_next`."""
        if not self._site.is_named(request):
            return RedirectResponse("/who", 303)
        with self._site.reading() as connection:
            names = label_queries.class_names(connection)
        keys = list(zip(CLASS_KEYS, names, strict=False))
        settings = self._site.settings
        return self._site.page("label.html", request, keys=keys, multi=settings.multi, order=settings.order)

    def who(self, request: Request) -> Response:
        """Ask who is labelling."""
        return self._site.page("who.html", request)

    def picture(self, request: Request) -> Response:
        """A thumbnail, by its id."""
        with self._site.reading() as connection:
            place = queries.find_thumbnail(connection, request.path_params["frame_id"])
        path = None if place is None else self._site.file_of(place)
        if path is None:
            return no_such_image()
        return FileResponse(path, media_type="image/png", headers={"cache-control": "private, max-age=300"})

    def progress(self, _request: Request) -> Response:
        """How far everyone is."""
        with self._site.reading() as connection:
            return JSONResponse(self._counts(connection))

    async def take_next(self, request: Request) -> Response:
        """Reserve the next images for an annotator; with `history`, also what he labelled last."""
        body = await read_body(request)
        held = [int(frame_id) for frame_id in _list(body, "held")]
        limit = max(1, min(MOST_AHEAD, int(body.get("limit", 8))))
        return await answered(self._take_next, self._who(body), held, limit, bool(body.get("history")))

    async def leave(self, request: Request) -> Response:
        """Give back what was reserved: the page is being closed."""
        body = await read_body(request)
        return await answered(self._leave, self._who(body))

    async def label(self, request: Request) -> Response:
        """Record a label; None takes it back."""
        body = await read_body(request)
        return await answered(self._label, self._who(body), _frame(body), body.get("label"))

    async def undo(self, request: Request) -> Response:
        """Take back what this annotator did last."""
        body = await read_body(request)
        return await answered(self._undo, self._who(body))

    async def skip(self, request: Request) -> Response:
        """Do not show an image again to this annotator; or, with `again`, do."""
        body = await read_body(request)
        return await answered(self._skip, self._who(body), _frame(body), bool(body.get("again")))

    async def add_class(self, request: Request) -> Response:
        """Append a class; it stays."""
        body = await read_body(request)
        return await answered(self._add_class, checked_name(str(body.get("name", "")), "A class"))

    async def choose_annotator(self, request: Request) -> Response:
        """Keep the annotator's name in this browser."""
        name = checked_name(str((await read_body(request)).get("name", "")), "A name")
        answer = JSONResponse({"annotator": name})
        self._site.keep_annotator(answer, name)
        return answer

    def _who(self, body: dict[str, Any]) -> str:
        return checked_name(str(body.get("annotator", "")), "A name")

    def _take_next(self, annotator: str, held: list[int], limit: int, history: bool) -> dict[str, Any]:
        with self._site.store.transaction() as connection:
            lost = held_by_others(connection, annotator, held)
            found = self._choose(connection, annotator, limit, held)
            if not found and len(held) - len(lost) <= 1:
                found = spare_images(connection, annotator)
            kept = [frame_id for frame_id in held if frame_id not in lost]
            reserve(connection, [*kept, *found], annotator=annotator, seconds=RESERVED_SECONDS)
        with self._site.reading() as connection:
            past = own_history(connection, annotator, limit=HISTORY)[::-1] if history else []
            items = self._items(connection, [f for f in found if f not in past], annotator)
            past_items = self._items(connection, past, annotator)
            return {"items": items, "past": past_items, "lost": sorted(lost), **self._counts(connection)}

    def _leave(self, annotator: str) -> dict[str, Any]:
        with self._site.store.transaction() as connection:
            release(connection, annotator)
        return {}

    def _choose(self, connection: Connection, annotator: str, limit: int, held: list[int]) -> list[int]:
        """In the order that was asked for, or some of them by chance in the shuffled one."""
        order, settings = self._site.settings.order, self._site.settings
        by_chance = sum(self._chance.random() < settings.random_share for _ in range(limit))
        limits = [limit] if order.kind == "shuffled" else [limit - by_chance, by_chance]
        found: list[int] = []
        for chosen, most in zip((order, Order()), limits, strict=False):
            if most:
                found += next_images(connection, annotator, chosen, limit=most, without=[*held, *found])
        if by_chance and len(limits) > 1:
            self._chance.shuffle(found)
        return found

    def _label(self, annotator: str, frame_id: int, label: str | None) -> dict[str, Any]:
        settings = self._site.settings
        with self._site.store.transaction() as connection:
            if label is not None:
                label = self._checked_label(str(label), label_queries.class_names(connection))
            before = label_queries.current_label(connection, frame_id)
            if settings.overlap:
                ask_for_more(connection, frame_id, share=settings.overlap, raters=settings.raters)
            add_label(connection, frame_id, label, annotator=annotator)
            if settings.order.kind == "disagreement":  # it has been looked at: that may be the end of it
                pass_image(connection, frame_id, annotator=annotator)
            after = label_queries.current_label(connection, frame_id)
        return self._changed(before, after)

    def _checked_label(self, label: str, names: Sequence[str]) -> str:
        """One class; or with several allowed, any of them in the order of the list, separated by commas."""
        chosen = set(label.split(",")) if label or not self._site.settings.multi else set()
        if not chosen <= set(names) or (len(chosen) != 1 and not self._site.settings.multi):
            raise LabelError("That is no class of this page.")
        return ",".join(name for name in names if name in chosen)

    def _undo(self, annotator: str) -> dict[str, Any]:
        with self._site.store.transaction() as connection:
            event = label_queries.newest_event(connection, annotator)
            if event is None:
                return {"item": None, **self._counts(connection)}
            before = label_queries.current_label(connection, event.frame_id)
            undo_label(connection, event)
            after = label_queries.current_label(connection, event.frame_id)
            pass_image(connection, event.frame_id, annotator=annotator, again=True)
            reserve(connection, [event.frame_id], annotator=annotator, seconds=RESERVED_SECONDS)
        counts = self._changed(before, after)
        with self._site.reading() as connection:
            items = self._items(connection, [event.frame_id], annotator)
        return {"item": next(iter(items), None), **counts}

    def _skip(self, annotator: str, frame_id: int, again: bool) -> dict[str, Any]:
        with self._site.store.transaction() as connection:
            pass_image(connection, frame_id, annotator=annotator, again=again)
            return self._counts(connection)

    def _add_class(self, name: str) -> dict[str, Any]:
        with self._site.store.transaction() as connection:
            if len(label_queries.class_names(connection)) >= len(CLASS_KEYS):
                raise LabelError(f"There are keys for {len(CLASS_KEYS)} classes only.")
            add_classes(connection, [name])
            names = label_queries.class_names(connection)
        return {"classes": names}

    def _changed(self, before: str | None, after: str | None) -> dict[str, Any]:
        self._site.keeper.change(before, after)
        with self._site.reading() as connection:
            return self._counts(connection)

    def _counts(self, connection: Connection) -> dict[str, Any]:
        return self._site.keeper.counts(label_queries.class_names(connection))

    def _items(self, connection: Connection, frame_ids: Sequence[int], annotator: str) -> list[dict[str, Any]]:
        cards = describe(connection, frame_ids, annotator=annotator)
        predictions = find_predictions(connection, frame_ids, model=self._site.settings.order.model)
        return [self._item(connection, card, predictions.get(card.id)) for card in cards]

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
            "prediction": prediction,
            "strip": neighbours(connection, card, each_way=NEIGHBOURS),
        }


def _list(body: dict[str, Any], name: str) -> list[Any]:
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(number, int) for number in value) or len(value) > 100:
        raise LabelError(f"{name} is no list of images.")
    return value


def _frame(body: dict[str, Any]) -> int:
    frame_id = body.get("frame")
    if not isinstance(frame_id, int) or not 0 < frame_id < 2**63:
        raise LabelError("That is no image.")
    return frame_id
