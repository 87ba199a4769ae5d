"""Boxes, points and polygons on images: what stands, for every page that shows an image, and what is drawn there."""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dicomprep.database.queries.annotations import Annotation, Drawn, annotations_of, find_key, placements
from dicomprep.database.queries.masks import masks_of
from dicomprep.database.writes.annotations import add_annotation, draw_on, new_key
from dicomprep.database.writes.commands import ANNOTATE, Command, find_command, note_command
from dicomprep.database.writes.labels import add_classes
from dicomprep.errors import LabelError
from dicomprep.web.bodies import MAX_ID, MAX_IMAGES, Body
from dicomprep.web.names import clean_name
from dicomprep.web.site import PageContext, respond
from dicomprep.web.thumbnails import check_thumbnail

__all__ = ["Annotations"]

MAX_NOTE = 500
"""Characters of a note."""
_KEY = re.compile(r"[0-9a-f]{32}")


class Annotations:
    """The routes of annotations."""

    def __init__(self, context: PageContext) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """What is answered."""
        return [
            Route("/annotations", self.show),
            Route("/annotate", self.annotate, methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """What stands on `images`, ids with commas between them; of images that are asked for alone, where they lie."""
        ids = _ids(request.query_params.get("images", ""))
        with self._context.reading() as connection:
            classes = self._context.class_names(connection)
            masks = [one._asdict() for one in masks_of(connection, ids[0])] if len(ids) == 1 else []
            return JSONResponse({"classes": classes, "images": _describe(connection, ids), "masks": masks})

    async def annotate(self, request: Request) -> Response:
        """Record a drawing under its key, or, without a kind, that it is taken away."""
        body = await self._context.read_body(request)
        return await respond(self._annotate, clean_name(body.text("annotator"), "A name"), body)

    def _annotate(self, annotator: str, body: Body) -> dict[str, Any]:
        frame_id, command, key = body.image(), body.command(), body.text("key") or new_key()
        if not _KEY.fullmatch(key):
            raise LabelError("key must be 32 hexadecimal digits.")
        with self._context.store.transaction() as connection:
            if find_command(connection, annotator, command) is None:
                check_thumbnail(self._context, connection, frame_id, body.text_or_none("digest"))
                if find_key(connection, key) not in (None, frame_id):
                    raise LabelError("This annotation is of another image.")
                drawn = None if body.text_or_none("kind") is None else self._drawn(connection, frame_id, body)
                event = add_annotation(connection, frame_id, key, drawn, annotator=annotator)
                note_command(connection, Command(ANNOTATE, frame_id, event), annotator=annotator, key=command)
        with self._context.reading() as connection:
            return {"images": _describe(connection, [frame_id])}

    def _drawn(self, connection: Connection, frame_id: int, body: Body) -> Drawn:
        label, note = body.text_or_none("label"), body.text("note").strip()
        names = self._context.class_names(connection)
        if label is not None and label not in names:
            raise LabelError("Unknown class.")
        if len(note) > MAX_NOTE or not note.isprintable():
            raise LabelError(f"A note must have at most {MAX_NOTE} characters, without line breaks.")
        drawn = draw_on(connection, frame_id, body.text("kind"), body.corners("corners"), label=label, note=note)
        add_classes(connection, names if label is not None else ())
        return drawn


def _ids(text: str) -> list[int]:
    ids = text.split(",")
    if len(ids) > MAX_IMAGES or not all(one.isascii() and one.isdigit() and len(one) < 20 for one in ids):
        raise LabelError(f"images must be at most {MAX_IMAGES} ids.")
    return [int(one) for one in ids if int(one) <= MAX_ID]


def _describe(connection: Connection, ids: Sequence[int]) -> dict[str, Any]:
    """By id: what stands, in pixels of the source, and how these become pixels of the thumbnail."""
    drawn = annotations_of(connection, ids)
    placed = placements(connection, list(drawn if len(ids) > 1 else ids))
    return {
        str(frame_id): {**where._asdict(), "annotations": [_as_sent(one) for one in drawn.get(frame_id, ())]}
        for frame_id, where in placed.items()
    }


def _as_sent(one: Annotation) -> dict[str, Any]:
    drawn = one.drawn
    said = {"key": one.key, "kind": drawn.shape.kind, "corners": drawn.shape.corners}
    return said | {"label": drawn.label, "note": drawn.note, "annotator": one.annotator}
