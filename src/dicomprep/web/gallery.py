"""All images, filtered; and one of them with everything that is known of it."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dicomprep.config import SPLIT_NAMES
from dicomprep.database.queries import gallery
from dicomprep.database.queries.filters import Filter
from dicomprep.database.queries.gallery import Sort, Tile, find_origin, find_transform, label_events, list_tiles
from dicomprep.database.queries.labeling import describe, neighbors
from dicomprep.database.queries.predictions import find_predictions
from dicomprep.database.queries.thumbnails import find_digests
from dicomprep.database.queries.units import unit_events_of
from dicomprep.web.batches import MAX_BATCH
from dicomprep.web.bodies import query_number
from dicomprep.web.census import Censuses
from dicomprep.web.names import CLASS_KEYS
from dicomprep.web.site import PageContext, image_not_found

__all__ = ["Gallery"]

MAX_TILES = 200
"""Images of one answer; bounds what a request may ask for."""

MAX_PATIENT_IMAGES = 24
"""Images of the same patient shown beside one; bounds the page."""


class Gallery:
    """The routes of the gallery."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._censuses = Censuses()

    def routes(self) -> list[Route]:
        """What this page answers."""
        return [
            Route("/gallery", self.show),
            Route("/gallery/tiles", self.tiles),
            Route("/gallery/count", self.count),
            Route("/frame/{frame_id:id}", self.frame),
        ]

    def show(self, request: Request) -> Response:
        """The page; its tiles come as they are scrolled to."""
        wanted = self._filter(request)
        if wanted.series:
            self._context.workspace.refresh_series()
        with self._context.reading() as connection:
            choices = gallery.choices(connection, model=wanted.model)
            names = self._context.class_names(connection)
        places = {name: place for place, name in enumerate(names)}
        choices["label"].sort(key=lambda label: (places.get(label, len(places)), label))
        values: dict[str, Any] = {
            "wanted": wanted,
            "choices": choices,
            "splits": list(SPLIT_NAMES),
            "sort": _sort_of(request),
            "keys": [(CLASS_KEYS[place : place + 1], name) for place, name in enumerate(names)],
            "multi": self._context.settings.multi,
            "most": MAX_BATCH,
        }
        return self._context.page("gallery.html", request, **values)

    def tiles(self, request: Request) -> Response:
        """The tiles from `start` (a number from 0) on."""
        start, limit = query_number(request, "start", 0), min(MAX_TILES, query_number(request, "limit", 60))
        wanted, sort, annotator = self._filter(request), _sort_of(request), self._context.annotator(request)
        with self._context.reading() as connection:
            tiles = self._censuses.tiles(connection, wanted, start=start, limit=limit, sort=sort)
            skipped = gallery.skipped_images(connection, [tile.id for tile in tiles], annotator)
        return JSONResponse([_shown(tile, is_skipped=tile.id in skipped) for tile in tiles])

    def count(self, request: Request) -> Response:
        """How many images there are, as far as they are counted; `complete` says whether all are."""
        with self._context.reading() as connection:
            count, is_complete = self._censuses.count(connection, self._filter(request))
        return JSONResponse({"count": count, "complete": is_complete})

    def frame(self, request: Request) -> Response:
        """One image: what it is, how it was made, who said what of it, and the patient's other ones."""
        frame_id = request.path_params["frame_id"]
        with self._context.reading() as connection:
            origin = find_origin(connection, frame_id)
            if origin is None:
                return image_not_found()
            model = self._context.settings.order.model
            cards = describe(connection, [frame_id], annotator=self._context.annotator(request))
            siblings = list_tiles(connection, Filter(patient=str(frame_id)), start=0, limit=MAX_PATIENT_IMAGES + 1)
            strip = neighbors(connection, cards[0], each_way=8) if cards else [frame_id]
            kin = [tile.id for tile in siblings][:MAX_PATIENT_IMAGES]
            values: dict[str, Any] = {
                "origin": origin,
                "transform": list(_flatten(find_transform(connection, frame_id))),
                "events": label_events(connection, frame_id),
                "unit_events": unit_events_of(connection, frame_id),
                "prediction": find_predictions(connection, [frame_id], model=model).get(frame_id),
                "strip": strip,
                "siblings": kin,
                "digests": find_digests(connection, {frame_id, *strip, *kin}),
                "more_siblings": len(siblings) > MAX_PATIENT_IMAGES,
                "study": urlencode({"study": origin.study_id}),
            }
        return self._context.page("frame.html", request, **values)

    def _filter(self, request: Request) -> Filter:
        return self._context.filter_of(request, self._context.annotator(request))


def _sort_of(request: Request) -> Sort:
    """The order that an address asks for; what is none is by ids."""
    asked = request.query_params.get("sort", "")
    return Sort(asked) if asked in list(Sort) else Sort.OLDEST


def _shown(tile: Tile, *, is_skipped: bool) -> list[Any]:
    """A tile as the page reads it."""
    state = "skipped" if is_skipped and tile.label is None else "unsure" if tile.unsure else ""
    digest = bytes(tile.digest or b"").hex()
    return [tile.id, tile.label, tile.modality, tile.split, digest, tile.name or "", state]


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401  (any field of a record)
    """The fields of a record and of those in it as (name, value) rows, without what does not apply."""
    if hasattr(value, "notation"):  # a window
        yield from _flatten(f"{value.notation}, {value.function}", name)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _flatten(getattr(value, field.name), f"{name} {field.name}".strip())
    elif isinstance(value, tuple) and any(map(is_dataclass, value)):
        for number, item in enumerate(value, 1):
            yield from _flatten(item, f"{name} {number}")
    elif isinstance(value, tuple) and any(item is not False for item in value):
        yield from _flatten(", ".join(map(str, value)), name)
    elif value not in (None, False, "") and not isinstance(value, tuple):
        yield name.replace("_", " "), str(value)
