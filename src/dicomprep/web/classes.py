"""The classes of a data set: renamed, merged, put in order, hidden; with a log of what was done."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicomprep.database.queries.classes import ListedClass, labeled_classes, list_classes, newest_class_events
from dicomprep.database.writes.classes import Change, hide_class, merge_class, order_classes, rename_class
from dicomprep.database.writes.commands import Command, find_command, note_command
from dicomprep.database.writes.labels import add_classes
from dicomprep.errors import LabelError
from dicomprep.web.bodies import Body
from dicomprep.web.names import check_new_name
from dicomprep.web.site import PageContext, respond

__all__ = ["Classes"]

MAX_EVENTS = 50
"""Of the log of classes; bounds the page."""


class Classes:
    """The routes of the page of classes. To add one is an action of the labeling page."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._actions: dict[str, Callable[[Connection, str, Body], object]] = {
            Change.RENAME: self._rename,
            Change.MERGE: lambda connection, annotator, body: merge_class(
                connection, body.text("name"), body.text("target"), annotator=annotator
            ),
            Change.ORDER: lambda connection, annotator, body: order_classes(
                connection, body.texts("names"), annotator=annotator
            ),
            Change.HIDE: lambda connection, annotator, body: hide_class(
                connection, body.text("name"), hidden=True, annotator=annotator
            ),
            Change.SHOW: lambda connection, annotator, body: hide_class(
                connection, body.text("name"), hidden=False, annotator=annotator
            ),
        }

    def routes(self) -> list[Route]:
        """What this page answers."""
        return [Route("/classes/edit", self.show), Route("/classes/change", self.change, methods=["POST"])]

    def show(self, request: Request) -> Response:
        """The page."""
        with self._context.reading() as connection:
            stored = list_classes(connection)
            names = {one.name for one in stored}
            pending = [ListedClass(n, False) for n in self._context.class_names(connection) if n not in names]
            events = newest_class_events(connection, limit=MAX_EVENTS)
        listed = [*stored, *pending]
        counts = self._context.catalogue.counts([one.name for one in listed])["classes"]
        return self._context.page("classes.html", request, listed=listed, counts=counts, events=events)

    async def change(self, request: Request) -> Response:
        """Do to a class what `kind` says."""
        body = await self._context.read_body(request)
        return await respond(self._change, body.annotator(), body)

    def _change(self, annotator: str, body: Body) -> dict[str, Any]:
        action, key = self._actions.get(body.text("kind")), body.command()
        if action is None:
            raise LabelError(f"kind must be one of {', '.join(self._actions)}.")
        with self._context.store.transaction() as connection:
            if find_command(connection, annotator, key) is None:
                add_classes(connection, self._context.known_classes(connection))
                action(connection, annotator, body)
                note_command(connection, Command("classes"), annotator=annotator, key=key)
        self._context.catalogue.recount()
        return {}

    def _rename(self, connection: Connection, annotator: str, body: Body) -> None:
        name = body.text("name")
        known = [*self._context.known_classes(connection), *labeled_classes(connection)]
        target = check_new_name(name, body.text("target"), known)
        rename_class(connection, name, target, annotator=annotator)
