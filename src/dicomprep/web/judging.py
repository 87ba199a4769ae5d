"""What annotators do: label, skip, take back, add a class. Whatever is sent twice counts once, by the id it carries."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicomprep.database.queries import labeling
from dicomprep.database.queries.filters import Filter
from dicomprep.database.writes.classes import hide_class
from dicomprep.database.writes.commands import BATCH, Command, find_command, note_command, show_again, undo_last
from dicomprep.database.writes.labels import (
    Said,
    add_classes,
    find_class,
    pass_image,
    release,
    reserve,
)
from dicomprep.errors import LabelError
from dicomprep.web.bodies import Body
from dicomprep.web.items import Items
from dicomprep.web.names import clean_name, clean_note, find_new_classes
from dicomprep.web.site import RESERVED_SECONDS, PageContext, respond
from dicomprep.web.thumbnails import check_thumbnail

__all__ = ["Judging"]


class Judging:
    """The routes by which annotators change something."""

    def __init__(self, context: PageContext, items: Items) -> None:
        self._context, self._items = context, items

    def routes(self) -> list[Route]:
        """What is answered."""
        return [
            Route("/label", self.label, methods=["POST"]),
            Route("/settle", self.settle, methods=["POST"]),
            Route("/undo", self.undo, methods=["POST"]),
            Route("/skip", self.skip, methods=["POST"]),
            Route("/classes", self.add_class, methods=["POST"]),
            Route("/leave", self.leave, methods=["POST"]),
        ]

    async def label(self, request: Request) -> Response:
        """Record a label, with whether its annotator is unsure and what he notes; None takes it back."""
        return await self._respond(self._label, request)

    async def settle(self, request: Request) -> Response:
        """Record a label that decides where annotators differ: an event of its own, by whoever gives it."""
        return await self._respond(self._settle, request)

    async def undo(self, request: Request) -> Response:
        """Take back what this annotator did last, whatever it was."""
        return await self._respond(self._undo, request)

    async def skip(self, request: Request) -> Response:
        """Do not show an image again to this annotator; or, with `again`, do."""
        return await self._respond(self._skip, request)

    async def add_class(self, request: Request) -> Response:
        """Append a class; it stays."""
        return await self._respond(self._add_class, request)

    async def leave(self, request: Request) -> Response:
        """Give back what was reserved: the page is being closed."""
        return await self._respond(self._leave, request)

    async def _respond(self, action: Any, request: Request) -> Response:  # noqa: ANN401
        body = await self._context.read_body(request)
        annotator = body.annotator()
        return await respond(action, annotator, body, self._context.filter_of(request, annotator))

    def _label(self, annotator: str, body: Body, wanted: Filter) -> dict[str, Any]:
        return self._record(annotator, body, wanted, adjudicated=self._context.settings.adjudicates)

    def _settle(self, annotator: str, body: Body, wanted: Filter) -> dict[str, Any]:
        if body.text_or_none("label") is None:
            raise LabelError("label must be a class.")
        return self._record(annotator, body, wanted, adjudicated=True)

    def _record(self, annotator: str, body: Body, wanted: Filter, *, adjudicated: bool) -> dict[str, Any]:
        frame_id, key = body.image(), body.command()
        said = Said(body.text_or_none("label"), body.flag("unsure"), clean_note(body.text("note")), adjudicated)
        with self._context.store.transaction() as connection:
            if find_command(connection, annotator, key) is not None:
                return self._items.counts(connection, annotator, wanted)
            check_thumbnail(self._context, connection, frame_id, body.text_or_none("digest"))
            said = self.check(connection, said)
            before = labeling.current_label(connection, frame_id)
            done = self._items.record(connection, frame_id, said, annotator)
            if said.label is None:  # a note alone: he has the image before him still
                reserve(connection, [frame_id], annotator=annotator, seconds=RESERVED_SECONDS)
            note_command(connection, done, annotator=annotator, key=key)
            after = labeling.current_label(connection, frame_id)
        return self._count_change(before, after, annotator, wanted)

    def check(self, connection: Connection, said: Said) -> Said:
        """What is said, of classes that are stored; LabelError where it is of none that there is."""
        if said.label is None:
            return Said(None, note=said.note)  # nobody is unsure of nothing
        names = self._context.known_classes(connection)
        label = self._check_label(said.label, names)
        add_classes(connection, names)
        return Said(label, said.unsure, said.note, said.adjudicated)

    def add(self, connection: Connection, frame_id: int, said: Said, annotator: str) -> int:
        """Record what is said of an image; the event's id."""
        return self._items.add(connection, frame_id, said, annotator)

    def _check_label(self, label: str, names: Sequence[str]) -> str:
        """One class; or with several allowed, any of them in the order of the list, separated by commas."""
        chosen = set(label.split(",")) if label or not self._context.settings.multi else set()
        if not chosen <= set(names) or (len(chosen) != 1 and not self._context.settings.multi):
            raise LabelError("Unknown class.")
        return ",".join(name for name in names if name in chosen)

    def _undo(self, annotator: str, body: Body, wanted: Filter) -> dict[str, Any]:
        key = body.command()
        before = after = None
        with self._context.store.transaction() as connection:
            done = find_command(connection, annotator, key)
            if done is None:
                event = labeling.newest_event(connection, annotator)
                frame_id = event.frame_id if event else 0  # no image has that number
                before = labeling.current_label(connection, frame_id)
                done = self._take_back(connection, annotator, key)
                after = labeling.current_label(connection, frame_id)
        if done.undid == BATCH:
            self._context.catalogue.recount()
            before = after  # counted already
        answer = self._count_change(before, after, annotator, wanted)
        with self._context.reading() as connection:
            items = self._items.describe(connection, [] if done.frame_id is None else [done.frame_id], annotator)
            answer["digests"] = self._items.digests(connection, items, [])
        return answer | {"item": next(iter(items), None), "undone": done.undid, "images": len(done.events)}

    def _take_back(self, connection: Connection, annotator: str, key: str | None) -> Command:
        undone = undo_last(connection, annotator)
        done = Command("undo") if undone is None else replace(undone, kind="undo", undid=undone.kind)
        note_command(connection, done, annotator=annotator, key=key)
        if done.frame_id is not None:
            reserve(connection, [done.frame_id], annotator=annotator, seconds=RESERVED_SECONDS)
        return done

    def _skip(self, annotator: str, body: Body, wanted: Filter) -> dict[str, Any]:
        frame_id, again, key = body.image(), body.flag("again"), body.command()
        with self._context.store.transaction() as connection:
            if find_command(connection, annotator, key) is None:
                if again:
                    show_again(connection, frame_id, annotator=annotator)
                else:
                    pass_image(connection, frame_id, annotator=annotator)
                note_command(connection, Command("again" if again else "skip", frame_id), annotator=annotator, key=key)
            return self._items.counts(connection, annotator, wanted)

    def _add_class(self, annotator: str, body: Body, _wanted: Filter) -> dict[str, Any]:
        name, key = clean_name(body.text("name"), "A class"), body.command()
        with self._context.store.transaction() as connection:
            if find_command(connection, annotator, key) is None:
                names = self._context.known_classes(connection)
                new = find_new_classes([name], names, "A new class")
                add_classes(connection, [*names, *new])
                if name not in self._context.class_names(connection):
                    hide_class(connection, name, hidden=False, annotator=annotator)
                if new:
                    added = Command("class", class_id=find_class(connection, name))
                    note_command(connection, added, annotator=annotator, key=key)
            return {"classes": self._context.class_names(connection)}

    def _leave(self, annotator: str, body: Body, _wanted: Filter) -> dict[str, Any]:
        key = body.command()
        with self._context.store.transaction() as connection:
            if find_command(connection, annotator, key) is None:
                release(connection, annotator)
                note_command(connection, Command("leave"), annotator=annotator, key=key)
        return {}

    def _count_change(self, before: str | None, after: str | None, annotator: str, wanted: Filter) -> dict[str, Any]:
        self._context.catalogue.change(before, after)
        with self._context.reading() as connection:
            return self._items.counts(connection, annotator, wanted)
