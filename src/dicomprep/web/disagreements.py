"""Images on which annotators differ, one after the other, with who said what; a key settles each."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dicomprep.database.consensus import Consensus, find_consensus
from dicomprep.database.queries.ratings import readings, unsettled_images
from dicomprep.web.bodies import query_number
from dicomprep.web.items import Items
from dicomprep.web.names import CLASS_KEYS
from dicomprep.web.site import PageContext

__all__ = ["Disagreements"]

AHEAD = 3
"""Images sent at a time: the next ones are there when their turn comes."""

MAX_COUNTED = 1000
"""More disagreements are not counted; bounds a request."""

RULES = {
    Consensus.NEWEST: "In this data set the newest label counts: a later one of anybody replaces what is settled.",
    Consensus.MAJORITY: "In this data set the majority counts: what is settled here is one vote, and changes no label.",
}
"""What is to be said where the rule of a data set is not that what is settled counts."""


class Disagreements:
    """The routes of the page. What is settled is sent to `/settle`."""

    def __init__(self, context: PageContext) -> None:
        self._context, self._items = context, Items(context)

    def routes(self) -> list[Route]:
        """What this page answers."""
        return [Route("/disagreements", self.show), Route("/disagreements/next", self.take_next)]

    def show(self, request: Request) -> Response:
        """The page; its images come by `take_next`."""
        with self._context.reading() as connection:
            names = self._context.class_names(connection)
            rule = RULES.get(find_consensus(connection))
        keys = [(CLASS_KEYS[place : place + 1], name) for place, name in enumerate(names)]
        values: dict[str, Any] = {"keys": keys, "multi": self._context.settings.multi, "rule": rule}
        return self._context.page("disagreements.html", request, **values)

    def take_next(self, request: Request) -> Response:
        """The disagreements `after` an image's id, and how many there are, up to a bound."""
        annotator, after = self._context.annotator(request), query_number(request, "after", 0)
        with self._context.reading() as connection:
            found = unsettled_images(connection, after=after, limit=AHEAD)
            items = self._items.describe(connection, found, annotator)
            said = readings(connection, found)
            digests = self._items.digests(connection, items, [])
            left = len(unsettled_images(connection, limit=MAX_COUNTED))
        for item in items:
            rows = said.get(item["id"], [])
            item["said"] = [[one.annotator, one.label, one.is_unsure, one.note or ""] for one in rows]
        return JSONResponse({"items": items, "digests": digests, "left": left, "more": left == MAX_COUNTED})
