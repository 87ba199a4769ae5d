"""Images with suspected burned-in text: what is held, why, where the text was seen; a key releases or keeps each."""

from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dicomprep.checks.viewer import FindText, Refusal
from dicomprep.database.queries.gallery import find_origin, find_transform
from dicomprep.database.queries.releases import ReviewState, find_suspects, holds
from dicomprep.database.queries.thumbnails import find_digests
from dicomprep.database.writes.commands import Command, find_command, note_command
from dicomprep.database.writes.releases import record_releases
from dicomprep.errors import LabelError
from dicomprep.storage.paths import actual_path
from dicomprep.storage.roots import place_within
from dicomprep.web.bodies import Body, query_number
from dicomprep.web.names import clean_name
from dicomprep.web.site import PageContext, image_not_found, respond
from dicomprep.web.thumbnails import check_thumbnail

__all__ = ["BurnedIn"]

MAX_IMAGES = 60
"""Images of one page; bounds it."""

RELEASE, KEEP = "release", "keep"


class BurnedIn:
    """The routes of the review of burned-in text."""

    def __init__(self, context: PageContext) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """What this page answers."""
        return [
            Route("/burned-in", self.show),
            Route("/burned-in/{frame_id:id}", self.text),
            Route("/burned-in/decide", self.decide, methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Images that nobody has looked at, or those that were kept or released."""
        asked, after = request.query_params.get("state", ""), query_number(request, "after", 0)
        state = ReviewState(asked) if asked in list(ReviewState) else ReviewState.OPEN
        with self._context.reading() as connection:
            found = find_suspects(connection, state, after=after, limit=MAX_IMAGES + 1)
            suspects = found[:MAX_IMAGES]
            values: dict[str, Any] = {
                "suspects": suspects,
                "digests": find_digests(connection, {one.id for one in suspects}),
                "holds": holds(connection),
                "more": suspects[-1].id if len(found) > MAX_IMAGES else None,
            }
        return self._context.page("burned_in.html", request, state=state.value, states=list(ReviewState), **values)

    def text(self, request: Request) -> Response:
        """Where text is seen in the source of an image, and what was blanked: boxes in pixels of its thumbnail."""
        frame_id = request.path_params["frame_id"]
        with self._context.reading() as connection:
            origin = find_origin(connection, frame_id)
            if origin is None:
                return image_not_found()
            transform = find_transform(connection, frame_id)
        path = place_within(actual_path(origin.root), actual_path(origin.path))
        seen = self._context.viewer.ask(FindText(path, origin.frame_number))
        answer: dict[str, Any] = {"size": [origin.height, origin.width], "problem": ""}
        if isinstance(seen, Refusal):
            answer["problem"] = f"Cannot look for text: {seen.detail} [{seen.code}]"
            seen = []
        for name, boxes in (("seen", seen), ("blanked", transform.blanked)):
            placed = transform.to_thumbnail(np.array(boxes, float).reshape(-1, 4))
            answer[name] = placed.round(2).tolist()
        return JSONResponse(answer)

    async def decide(self, request: Request) -> Response:
        """Release an image, or keep it back; both can be changed."""
        body = await self._context.read_body(request)
        return await respond(self._decide, clean_name(body.text("annotator"), "A name"), body)

    def _decide(self, annotator: str, body: Body) -> dict[str, Any]:
        frame_id, act, key = body.image(), body.text("act"), body.command()
        if act not in (RELEASE, KEEP):
            raise LabelError(f"act must be {RELEASE} or {KEEP}.")
        with self._context.store.transaction() as connection:
            if find_command(connection, annotator, key) is None:
                check_thumbnail(self._context, connection, frame_id, body.text_or_none("digest"))
                record_releases(connection, [frame_id], person=annotator, released=act == RELEASE)
                note_command(connection, Command(act, frame_id), annotator=annotator, key=key)
        return {}
