"""All pages as one application."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from dicomprep.errors import DicomprepError, LabelError
from dicomprep.web.annotations import Annotations
from dicomprep.web.burned_in import BurnedIn
from dicomprep.web.classes import Classes
from dicomprep.web.disagreements import Disagreements
from dicomprep.web.failures import Failures
from dicomprep.web.gallery import Gallery
from dicomprep.web.guard import RequestGuard
from dicomprep.web.labeling import Labeling
from dicomprep.web.original import Original
from dicomprep.web.overview import Overview
from dicomprep.web.site import OutdatedError, PageContext
from dicomprep.web.thumbnails import Thumbnails

__all__ = ["create_application"]


def create_application(context: PageContext) -> RequestGuard:
    """The pages over one database, with the guard around all of it: what fails unforeseen has strict headers, too."""
    failures, overview = Failures(context), Overview(context)
    routes = [
        *Labeling(context).routes(),
        *Thumbnails(context).routes(),
        *Original(context).routes(),
        *Annotations(context).routes(),
        *Gallery(context).routes(),
        *Classes(context).routes(),
        *Disagreements(context).routes(),
        *BurnedIn(context).routes(),
        *failures.routes(),
        *overview.routes(),
        Mount("/static", StaticFiles(packages=[("dicomprep.web", "static")])),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            failures.close()
            overview.close()

    answers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        OutdatedError: _answer(409),
        LabelError: _answer(400),
        DicomprepError: _answer(503),
        DBAPIError: _answer(503),
        ClientDisconnect: _answer(400),
    }
    app = Starlette(routes=routes, exception_handlers=answers, lifespan=lifespan)
    app.router.redirect_slashes = False
    return RequestGuard(app, context.address)


def _answer(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_request: Request, error: Exception) -> Response:
        return PlainTextResponse(str(getattr(error, "orig", error)), status)

    return answer
