"""The source behind an image, at full resolution, and its attributes. Files are opened in a process of their own."""

import json
import struct
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dicomprep.checks.viewer import FrameView, ReadTags, Refusal, ViewFrame
from dicomprep.database.queries.gallery import Origin, find_origin
from dicomprep.database.queries.viewing import find_series_of_patient, find_slices
from dicomprep.storage.paths import actual_path
from dicomprep.storage.roots import place_within
from dicomprep.web.bodies import query_number
from dicomprep.web.site import PageContext, image_not_found

__all__ = ["Original"]


class Original:
    """The routes of the original view."""

    def __init__(self, context: PageContext) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """What this page answers."""
        return [
            Route("/original/{frame_id:id}", self.show),
            Route("/original/{frame_id:id}/stack", self.stack),
            Route("/original/{frame_id:id}/patient", self.patient),
            Route("/original/{frame_id:id}/pixels", self.pixels),
            Route("/original/{frame_id:id}/tags", self.tags),
        ]

    def show(self, request: Request) -> Response:
        """The page of one image's source."""
        origin = self._origin(request)
        if origin is None:
            return image_not_found()
        return self._context.page("original.html", request, frame_id=request.path_params["frame_id"], origin=origin)

    def stack(self, request: Request) -> Response:
        """The slices of the image's series in their order, each with the digest by which its pixels are asked for."""
        found = self._context.ask(find_slices, request.path_params["frame_id"])
        if found is None or _asks_for_another(request, found.slices[found.at].digest):
            return image_not_found()
        return JSONResponse(asdict(found))

    def patient(self, request: Request) -> Response:
        """What there is of the image's patient to compare it with."""
        found = self._context.ask(find_series_of_patient, request.path_params["frame_id"])
        studies = {key: number for number, key in enumerate(dict.fromkeys(one.study_key for one in found), 1)}
        rows = [asdict(one) | {"study": studies[one.study_key]} for one in found]
        for row in rows:
            del row["study_key"]
        return JSONResponse({"series": rows})

    def pixels(self, request: Request) -> Response:
        """One frame: its description's length, the description as JSON, its arrays."""
        origin = self._origin(request)
        if origin is None or _asks_for_another(request, bytes(origin.digest).hex()):
            return image_not_found()
        index = query_number(request, "frame", origin.frame_number)
        if index >= max(1, origin.frame_count):
            return PlainTextResponse("Frame not found.", 404)
        view = self._context.viewer.ask(ViewFrame(_path(origin), index))
        if not isinstance(view, FrameView):
            return _respond_refused(view)
        about = json.dumps(view.about).encode()
        about += b" " * (-len(about) % 4)  # arrays begin where a browser can take them as they are
        content = struct.pack("<I", len(about)) + about + view.content
        return Response(content, media_type="application/octet-stream")

    def tags(self, request: Request) -> Response:
        """(tag, name, value) of the file; without `all` only what says nothing of a person."""
        origin = self._origin(request)
        if origin is None or _asks_for_another(request, bytes(origin.digest).hex()):
            return image_not_found()
        rows = self._context.viewer.ask(ReadTags(_path(origin), request.query_params.get("all") == "1"))
        return _respond_refused(rows) if isinstance(rows, Refusal) else JSONResponse(rows)

    def _origin(self, request: Request) -> Origin | None:
        with self._context.reading() as connection:
            return find_origin(connection, request.path_params["frame_id"])


def _asks_for_another(request: Request, digest: str) -> bool:
    """Whether the page asks for what an image was before: its address carries the digest."""
    return request.query_params.get("v") not in (None, digest)


def _path(origin: Origin) -> str:
    return place_within(actual_path(origin.root), actual_path(origin.path))


def _respond_refused(refusal: Refusal) -> Response:
    return PlainTextResponse(f"Cannot display the source file: {refusal.detail} [{refusal.code}]", 409)
