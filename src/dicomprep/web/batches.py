"""One label for several images of the gallery: all or none by one command, and one undo takes it back."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicomprep.database.queries import labeling
from dicomprep.database.queries.gallery import held_images
from dicomprep.database.queries.thumbnails import find_digests
from dicomprep.database.writes.commands import BATCH, Command, count_events, find_command, note_command
from dicomprep.database.writes.labels import Said
from dicomprep.web.bodies import Body
from dicomprep.web.judging import Judging
from dicomprep.web.site import PageContext, respond

__all__ = ["MAX_BATCH", "Batches"]

MAX_BATCH = 500
"""Images that one command labels; bounds a transaction."""


class Batches:
    """The route by which several images get one label."""

    def __init__(self, context: PageContext, judging: Judging) -> None:
        self._context, self._judging = context, judging

    def routes(self) -> list[Route]:
        """What is answered."""
        return [Route("/gallery/label", self.label, methods=["POST"])]

    async def label(self, request: Request) -> Response:
        """Label `frames`, which had these `digests`, alike; left out are held images and those that have changed."""
        body = await self._context.read_body(request)
        return await respond(self._label, body.annotator(), body)

    def _label(self, annotator: str, body: Body) -> dict[str, Any]:
        frames, key = list(dict.fromkeys(body.images("frames", most=MAX_BATCH))), body.command()
        digests = dict(zip(body.images("frames", most=MAX_BATCH), body.texts("digests", most=MAX_BATCH), strict=False))
        said = Said(body.text("label"), adjudicated=self._context.settings.adjudicates)
        changes: list[tuple[str | None, str | None]] = []
        with self._context.store.transaction() as connection:
            if key is not None and find_command(connection, annotator, key) is not None:
                return {"labeled": count_events(connection, annotator, key), "held": 0, "changed": 0}
            held = held_images(connection, frames)
            shown = find_digests(connection, frames)
            there = [one for one in frames if one in shown and digests.get(one, shown[one]) == shown[one]]
            wanted = [one for one in there if one not in held]
            if wanted:
                changes = self._record(connection, wanted, said, annotator, key)
        for before, after in changes:
            self._context.catalogue.change(before, after)
        return {"labeled": len(wanted), "held": len(held), "changed": len(frames) - len(there)}

    def _record(
        self, connection: Connection, frames: list[int], said: Said, annotator: str, key: str | None
    ) -> list[tuple[str | None, str | None]]:
        """What counted of each image before and after."""
        said = self._judging.check(connection, said)
        before = [labeling.current_label(connection, frame) for frame in frames]
        events = tuple(self._judging.add(connection, frame, said, annotator) for frame in frames)
        note_command(connection, Command(BATCH, events=events), annotator=annotator, key=key)
        return list(zip(before, (labeling.current_label(connection, frame) for frame in frames), strict=True))
