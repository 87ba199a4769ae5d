"""One image, one key, the next image: the page, and what it is shown of the queue and of what was done before."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from dicomprep.database.queries.filters import Filter
from dicomprep.database.queries.labeling import Situation, find_situation, own_skips
from dicomprep.database.queries.queue import Queue, held_by_others
from dicomprep.database.queries.thumbnails import find_digests
from dicomprep.database.writes.labels import reserve
from dicomprep.web.batches import Batches
from dicomprep.web.bodies import Body, query_number
from dicomprep.web.items import Items
from dicomprep.web.judging import Judging
from dicomprep.web.names import CLASS_KEYS, clean_name
from dicomprep.web.site import RESERVED_SECONDS, PageContext, image_not_found, respond
from dicomprep.web.units import UnitItems

__all__ = ["Labeling"]

MAX_AHEAD = 24
"""Images reserved for an annotator; bounds what others cannot be given."""

MAX_HISTORY = 30
"""Labeled images loaded at a time to go back to; bounds an answer."""

MAX_SKIPS = 200
"""Skipped images on one page."""


FILTER_NAMES = {"state": "", "where": "", "risk": "burned-in text", "patient": "patient of image"}
STATE_NAMES = {"labelled": "labeled", "unlabelled": "unlabeled", "mine": "labeled by me", "skipped": "skipped by me"}
"""How the page calls what its address filters by."""


class Labeling:
    """The routes of the labeling page."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._units = UnitItems(context) if context.settings.unit else None
        self._items = self._units or Items(context)

    def routes(self) -> list[Route]:
        """What this page answers."""
        judging = Judging(self._context, self._items)
        return [
            Route("/", self.show),
            Route("/who", self.who),
            Route("/progress", self.progress),
            Route("/item/{frame_id:id}", self.item),
            Route("/unit/{frame_id:id}", self.unit),
            Route("/history", self.history),
            Route("/skips", self.skips),
            Route("/next", self.take_next, methods=["POST"]),
            Route("/annotator", self.choose_annotator, methods=["POST"]),
            *judging.routes(),
            *Batches(self._context, judging).routes(),
        ]

    def show(self, request: Request) -> Response:
        """The page; without an image: those come by `take_next`, one that is asked for by `item`."""
        context, settings = self._context, self._context.settings
        if not context.is_named(request):
            return RedirectResponse("/who", 303)
        wanted = context.filter_of(request, context.annotator(request))
        if wanted.series:
            context.workspace.refresh_series()
        with context.reading() as connection:
            names = context.class_names(connection)
        values: dict[str, Any] = {
            "keys": [(CLASS_KEYS[place : place + 1], name) for place, name in enumerate(names)],
            "multi": settings.multi,
            "unit": settings.unit,
            "order": settings.order,
            "wanted": wanted,
            "names": FILTER_NAMES,
            "states": STATE_NAMES,
            "opened": query_number(request, "image", 0),
        }
        return context.page("label.html", request, **values)

    def who(self, request: Request) -> Response:
        """Ask for the annotator's name."""
        return self._context.page("who.html", request)

    def progress(self, request: Request) -> Response:
        """How far everyone is, and the annotator."""
        annotator = self._context.annotator(request)
        with self._context.reading() as connection:
            counts = self._items.counts(connection, annotator, self._context.filter_of(request, annotator))
        return JSONResponse(counts)

    def item(self, request: Request) -> Response:
        """One image, whatever it is, with what is to be said of it before it is labeled."""
        annotator, frame_id = self._context.annotator(request), request.path_params["frame_id"]
        with self._context.reading() as connection:
            situation = find_situation(connection, frame_id, annotator)
            if situation is None:
                return image_not_found()
            items = self._items.describe(connection, [frame_id], annotator)
            digests = self._items.digests(connection, items, [])
        answer = {"item": next(iter(items), None), "digests": digests, "notices": _notices(situation)}
        return JSONResponse(answer | {"original": situation.original})

    def unit(self, request: Request) -> Response:
        """All images of the unit that an image is of, where units are labeled."""
        if self._units is None:
            return image_not_found()
        with self._context.reading() as connection:
            return JSONResponse(self._units.images(connection, request.path_params["frame_id"]))

    def history(self, request: Request) -> Response:
        """Images that this annotator labeled, the last ones `before` an event, in their order."""
        annotator = self._context.annotator(request)
        before = query_number(request, "before", 0) or None
        with self._context.reading() as connection:
            return JSONResponse(self._history(connection, annotator, before))

    def _history(self, connection: Connection, annotator: str, before: int | None = None) -> dict[str, Any]:
        events = self._items.history(connection, annotator, limit=MAX_HISTORY, before=before)
        items = self._items.describe(connection, [event.frame_id for event in reversed(events)], annotator)
        more = events[-1].id if len(events) == MAX_HISTORY else None
        return {"past": items, "before": more, "digests": self._items.digests(connection, items, [])}

    def skips(self, request: Request) -> Response:
        """What this annotator skipped, to look at it or have it shown again."""
        after = query_number(request, "after", 0)
        with self._context.reading() as connection:
            found = own_skips(connection, self._context.annotator(request), limit=MAX_SKIPS + 1, after=after)
            digests = find_digests(connection, set(found[:MAX_SKIPS]))
        more = found[MAX_SKIPS - 1] if len(found) > MAX_SKIPS else None
        return self._context.page("skips.html", request, skipped=found[:MAX_SKIPS], digests=digests, more=more)

    async def take_next(self, request: Request) -> Response:
        """Reserve the next images for an annotator; with `history`, also those labeled last."""
        body = await self._context.read_body(request)
        annotator = body.annotator()
        return await respond(self._take_next, annotator, body, self._context.filter_of(request, annotator))

    async def choose_annotator(self, request: Request) -> Response:
        """Keep the annotator's name in this browser."""
        name = clean_name((await self._context.read_body(request)).text("name"), "A name")
        answer = JSONResponse({"annotator": name})
        self._context.keep_annotator(request, answer, name)
        return answer

    def _take_next(self, annotator: str, body: Body, wanted: Filter) -> dict[str, Any]:
        limit, held = max(1, min(MAX_AHEAD, body.number("limit", 8))), body.images("held")
        queue = Queue(
            annotator=annotator, order=self._context.settings.order, wanted=wanted, after=body.number("after", 0)
        )
        with self._context.store.transaction() as connection:
            lost = held_by_others(connection, annotator, held)
            found = self._items.next(connection, queue, limit=limit, held=held)
            if not found and len(held) - len(lost) <= 1:
                found = self._items.spare(connection, queue)
            kept = [frame_id for frame_id in held if frame_id not in lost]
            reserve(connection, [*kept, *found], annotator=annotator, seconds=RESERVED_SECONDS)
        with self._context.reading() as connection:
            items = self._items.describe(connection, found, annotator)
            past = self._history(connection, annotator) if body.flag("history") else {"past": []}
            past["past"] = [item for item in past["past"] if item["id"] not in found]
            digests = self._items.digests(connection, [*items, *past["past"]], held)
            counts = self._items.counts(connection, annotator, wanted)
            return past | counts | {"items": items, "lost": sorted(lost), "digests": digests}


def _notices(situation: Situation) -> list[str]:
    """What a reader is to know of an image that the queue would not give him."""
    found = []
    if situation.original is not None:
        return ["This image is a duplicate and hidden; labels belong to the original."]
    if situation.is_skipped:
        found.append("You skipped this image.")
    if situation.is_held:
        found.append("Held back: suspected burned-in text, not yet reviewed.")
    if not situation.is_listed:
        found.append(f"Not in the queue (kind: {situation.kind}).")
    return found
