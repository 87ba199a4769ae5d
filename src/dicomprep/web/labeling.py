"""One image, one key, the next image."""

import random
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from dicomprep.database.queries import labeling
from dicomprep.database.queries.labeling import (
    Card,
    Order,
    count_own_labels,
    describe,
    held_by_others,
    neighbors,
    next_images,
    own_history,
    spare_images,
)
from dicomprep.database.queries.predictions import find_predictions
from dicomprep.database.queries.thumbnails import find_digests
from dicomprep.database.writes.commands import Command, find_command, note_command, show_again, undo_last
from dicomprep.database.writes.labels import add_classes, add_label, ask_for_more, pass_image, release, reserve
from dicomprep.errors import LabelError
from dicomprep.web.bodies import Body
from dicomprep.web.names import CLASS_KEYS, clean_name, find_new_classes
from dicomprep.web.site import PageContext, respond
from dicomprep.web.thumbnails import check_thumbnail

__all__ = ["Labeling"]

RESERVED_SECONDS = 600.0
MAX_AHEAD = 24
"""Images reserved for an annotator; bounds what others cannot be given."""

MAX_HISTORY = 30
"""Labeled images shown to go back to; bounds the page."""

NEIGHBORS_EACH_WAY = 6
"""Shown on each side of an image."""


class Labeling:
    """The routes of the labeling page."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._chance = random.Random()  # noqa: S311  (it decides what is labeled, not who may)

    def routes(self) -> list[Route]:
        """What this page answers."""
        return [
            Route("/", self.show),
            Route("/who", self.who),
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
        if not self._context.is_named(request):
            return RedirectResponse("/who", 303)
        with self._context.reading() as connection:
            names = self._context.class_names(connection)
        keys = list(zip(CLASS_KEYS, names, strict=False))
        settings = self._context.settings
        return self._context.page("label.html", request, keys=keys, multi=settings.multi, order=settings.order)

    def who(self, request: Request) -> Response:
        """Ask for the annotator's name."""
        return self._context.page("who.html", request)

    def progress(self, _request: Request) -> Response:
        """How far everyone is."""
        with self._context.reading() as connection:
            return JSONResponse(self._counts(connection))

    async def take_next(self, request: Request) -> Response:
        """Reserve the next images for an annotator; with `history`, also those labeled last."""
        body = await self._context.read_body(request)
        limit = max(1, min(MAX_AHEAD, body.number("limit", 8)))
        return await respond(
            self._take_next, self._annotator_of(body), body.images("held"), limit, body.flag("history")
        )

    async def leave(self, request: Request) -> Response:
        """Give back what was reserved: the page is being closed."""
        body = await self._context.read_body(request)
        return await respond(self._leave, self._annotator_of(body))

    async def label(self, request: Request) -> Response:
        """Record a label; None takes it back."""
        body = await self._context.read_body(request)
        return await respond(self._label, self._annotator_of(body), body)

    async def undo(self, request: Request) -> Response:
        """Take back what this annotator did last."""
        body = await self._context.read_body(request)
        return await respond(self._undo, self._annotator_of(body), body.command())

    async def skip(self, request: Request) -> Response:
        """Do not show an image again to this annotator; or, with `again`, do."""
        body = await self._context.read_body(request)
        return await respond(self._skip, self._annotator_of(body), body)

    async def add_class(self, request: Request) -> Response:
        """Append a class; it stays."""
        body = await self._context.read_body(request)
        return await respond(self._add_class, clean_name(body.text("name"), "A class"))

    async def choose_annotator(self, request: Request) -> Response:
        """Keep the annotator's name in this browser."""
        name = clean_name((await self._context.read_body(request)).text("name"), "A name")
        answer = JSONResponse({"annotator": name})
        self._context.keep_annotator(answer, name)
        return answer

    def _annotator_of(self, body: Body) -> str:
        return clean_name(body.text("annotator"), "A name")

    def _take_next(self, annotator: str, held: list[int], limit: int, history: bool) -> dict[str, Any]:
        with self._context.store.transaction() as connection:
            lost = held_by_others(connection, annotator, held)
            found = self._choose(connection, annotator, limit, held)
            if not found and len(held) - len(lost) <= 1:
                found = spare_images(connection, annotator)
            kept = [frame_id for frame_id in held if frame_id not in lost]
            reserve(connection, [*kept, *found], annotator=annotator, seconds=RESERVED_SECONDS)
        with self._context.reading() as connection:
            past = own_history(connection, annotator, limit=MAX_HISTORY)[::-1] if history else []
            items = self._items(connection, [f for f in found if f not in past], annotator)
            past_items = self._items(connection, past, annotator)
            digests = self._digests(connection, [*items, *past_items], held)
            answer = {"items": items, "past": past_items, "lost": sorted(lost), "digests": digests}
            if not items:
                answer["mine"] = count_own_labels(connection, annotator)
            return answer | self._counts(connection)

    def _leave(self, annotator: str) -> dict[str, Any]:
        with self._context.store.transaction() as connection:
            release(connection, annotator)
        return {}

    def _choose(self, connection: Connection, annotator: str, limit: int, held: list[int]) -> list[int]:
        """In the order that was asked for, or some of them by chance in the shuffled one."""
        order, settings = self._context.settings.order, self._context.settings
        by_chance = sum(self._chance.random() < settings.random_share for _ in range(limit))
        limits = [limit] if order.kind == "shuffled" else [limit - by_chance, by_chance]
        found: list[int] = []
        for chosen, most in zip((order, Order()), limits, strict=False):
            if most:
                found += next_images(connection, annotator, chosen, limit=most, without=[*held, *found])
        if by_chance and len(limits) > 1:
            self._chance.shuffle(found)
        return found

    def _label(self, annotator: str, body: Body) -> dict[str, Any]:
        settings, frame_id, label, key = (
            self._context.settings,
            body.image(),
            body.text_or_none("label"),
            body.command(),
        )
        with self._context.store.transaction() as connection:
            if find_command(connection, annotator, key) is not None:
                return self._counts(connection)
            check_thumbnail(self._context, connection, frame_id, body.text_or_none("digest"))
            if label is not None:
                names = self._context.class_names(connection)
                label = self._check_label(label, names)
                add_classes(connection, names)
            before = labeling.current_label(connection, frame_id)
            if settings.overlap:
                ask_for_more(connection, frame_id, share=settings.overlap, raters=settings.raters)
            add_label(connection, frame_id, label, annotator=annotator, adjudicated=settings.adjudicates)
            if settings.order.kind == "disagreement":  # it has been looked at: that may be the end of it
                pass_image(connection, frame_id, annotator=annotator)
            note_command(connection, Command("label", frame_id), annotator=annotator, key=key)
            after = labeling.current_label(connection, frame_id)
        return self._count_change(before, after)

    def _check_label(self, label: str, names: Sequence[str]) -> str:
        """One class; or with several allowed, any of them in the order of the list, separated by commas."""
        chosen = set(label.split(",")) if label or not self._context.settings.multi else set()
        if not chosen <= set(names) or (len(chosen) != 1 and not self._context.settings.multi):
            raise LabelError("Unknown class.")
        return ",".join(name for name in names if name in chosen)

    def _undo(self, annotator: str, key: str | None) -> dict[str, Any]:
        before = after = None
        with self._context.store.transaction() as connection:
            done = find_command(connection, annotator, key)
            if done is None:
                event = labeling.newest_event(connection, annotator)
                frame_id = event.frame_id if event else 0  # no image has that number
                before = labeling.current_label(connection, frame_id)
                done = self._take_back(connection, annotator, key)
                after = labeling.current_label(connection, frame_id)
        counts = self._count_change(before, after)
        with self._context.reading() as connection:
            items = self._items(connection, [] if done.frame_id is None else [done.frame_id], annotator)
            digests = self._digests(connection, items, [])
        return {"item": next(iter(items), None), "digests": digests, **counts}

    def _take_back(self, connection: Connection, annotator: str, key: str | None) -> Command:
        undone = undo_last(connection, annotator)
        done = Command("undo", undone.frame_id if undone else None)
        note_command(connection, done, annotator=annotator, key=key)
        if done.frame_id is not None:
            reserve(connection, [done.frame_id], annotator=annotator, seconds=RESERVED_SECONDS)
        return done

    def _skip(self, annotator: str, body: Body) -> dict[str, Any]:
        frame_id, again, key = body.image(), body.flag("again"), body.command()
        with self._context.store.transaction() as connection:
            if find_command(connection, annotator, key) is None:
                if again:
                    show_again(connection, frame_id, annotator=annotator)
                else:
                    pass_image(connection, frame_id, annotator=annotator)
                note_command(connection, Command("again" if again else "skip", frame_id), annotator=annotator, key=key)
            return self._counts(connection)

    def _add_class(self, name: str) -> dict[str, Any]:
        with self._context.store.transaction() as connection:
            names = self._context.class_names(connection)
            add_classes(connection, [*names, *find_new_classes([name], names, "A new class")])
            names = labeling.class_names(connection)
        return {"classes": names}

    def _count_change(self, before: str | None, after: str | None) -> dict[str, Any]:
        self._context.catalogue.change(before, after)
        with self._context.reading() as connection:
            return self._counts(connection)

    def _counts(self, connection: Connection) -> dict[str, Any]:
        return self._context.catalogue.counts(self._context.class_names(connection))

    def _digests(self, connection: Connection, items: Sequence[dict[str, Any]], held: Sequence[int]) -> dict[int, str]:
        """Of all images that items show, and of those that the page has already: they may have changed."""
        return find_digests(connection, {*held, *(one for item in items for one in (item["id"], *item["strip"]))})

    def _items(self, connection: Connection, frame_ids: Sequence[int], annotator: str) -> list[dict[str, Any]]:
        cards = describe(connection, frame_ids, annotator=annotator)
        predictions = find_predictions(connection, frame_ids, model=self._context.settings.order.model)
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
            "strip": neighbors(connection, card, each_way=NEIGHBORS_EACH_WAY),
        }
