"""One image, one key, the next image: routes and what guards them."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicomprep.database import queries
from dicomprep.database.connect import reading
from dicomprep.database.store import Store
from dicomprep.errors import EnvironmentFault, LabelError

__all__ = ["LabelSettings", "label_application"]

KEYS = "123456789abcdefghijklmnopqrtvwxyz"
"""One key for each class; `s` skips and `u` undoes."""

HEADERS = {
    b"content-security-policy": b"default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """Who labels what, and where the page is served."""

    db: str
    output_dir: Path
    classes: tuple[str, ...]
    annotator: str
    port: int

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) <= len(KEYS) or len(set(self.classes)) < len(self.classes):
            raise LabelError(f"--classes: give 1 to {len(KEYS)} different names, separated by commas.")


def label_application(settings: LabelSettings) -> Starlette:
    """The labelling page over one database."""
    store = Store(settings.db)
    page = Environment(loader=PackageLoader("dicomprep.web"), autoescape=True).get_template("label.html")

    def show(request: Request) -> Response:
        after = int(request.query_params.get("after", "0")) if request.query_params.get("after", "0").isdigit() else 0
        with reading(store.engine) as connection:
            image = queries.next_unlabelled(connection, after=after)
            total, done = queries.count_frames(connection), queries.count_labelled(connection)
        keys = list(zip(KEYS, settings.classes, strict=False))
        return HTMLResponse(page.render(image=image, keys=keys, total=total, done=done))

    def picture(request: Request) -> Response:
        with reading(store.engine) as connection:
            place = queries.find_thumbnail(connection, request.path_params["frame_id"])
        if place is None or not (settings.output_dir / place).is_file():
            return PlainTextResponse("There is no such image.", 404)
        return FileResponse(settings.output_dir / place, media_type="image/png")

    async def label(request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        chosen, frame_id = form.get("label", [""])[0], form.get("frame", [""])[0]
        if chosen not in settings.classes or not frame_id.isdigit():
            return PlainTextResponse("That is no class of this page.", 400)
        try:
            store.add_label(int(frame_id), chosen, annotator=settings.annotator)
        except LabelError as error:
            return PlainTextResponse(str(error), 400)
        return RedirectResponse("/", 303)

    async def undo(_request: Request) -> Response:
        store.undo_label(annotator=settings.annotator)
        return RedirectResponse("/", 303)

    routes = [
        Route("/", show),
        Route("/image/{frame_id:int}", picture),
        Route("/label", label, methods=["POST"]),
        Route("/undo", undo, methods=["POST"]),
        Mount("/static", StaticFiles(packages=[("dicomprep.web", "static")])),
    ]
    guard = Middleware(Guard, port=settings.port)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={EnvironmentFault: _say_what_failed})


async def _say_what_failed(_request: Request, fault: Exception) -> Response:
    return PlainTextResponse(str(fault), 503)


class Guard:
    """Answers only requests that are meant for this page: its own host name, and writes only from itself."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with strict headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS.items()]
            await send(message)

        refusal = self._refuse(Request(scope))
        await (self._app if refusal is None else refusal)(scope, receive, send_guarded)

    def _refuse(self, request: Request) -> Response | None:
        if request.headers.get("host") not in self._hosts:
            return PlainTextResponse("This page answers only under its own address.", 421)
        if request.method in ("GET", "HEAD"):
            return None
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "same-origin")
        if origin is None or urlsplit(origin).netloc not in self._hosts or site != "same-origin":
            return PlainTextResponse("Labels are taken from this page only.", 403)
        return None
