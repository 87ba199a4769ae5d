"""What all pages share: settings, the database, who is asking, and the templates."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from dicomprep.checks.viewer import Viewer
from dicomprep.database.connection import connect, read_meta, reading
from dicomprep.database.queries.classes import class_names, former_names, shown_classes
from dicomprep.database.queries.filters import Filter
from dicomprep.database.queries.frames import Choice
from dicomprep.database.queries.queue import Order
from dicomprep.database.writes.store import Store
from dicomprep.errors import ConfigError, LabelError, count_of
from dicomprep.web.bodies import Body, read_body
from dicomprep.web.catalogue_sync import CatalogueUpdater
from dicomprep.web.guard import ServerAddress
from dicomprep.web.mounting import make_relative, root_of
from dicomprep.web.names import clean_name, isolated
from dicomprep.workspace import Workspace

__all__ = ["RESERVED_SECONDS", "LabelSettings", "OutdatedError", "PageContext", "image_not_found", "respond"]

Answer = TypeVar("Answer")

RESERVED_SECONDS = 600.0
"""How long images are kept for an annotator who has them queued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    """How labeling goes."""

    annotator: str = "me"
    multi: bool = False
    """An image may have several classes."""
    order: Order = field(default_factory=Order)
    random_share: float = 0.0
    """Share of the images (0…1) that come in shuffled order nevertheless."""
    overlap: float = 0.0
    """Share of the images (0…1) that are assigned to several annotators."""
    raters: int = 2
    adjudicates: bool = False
    """The labels that are given decide where annotators differ."""
    unit: str = ""
    """What one label is of, where that is not an image: series, study or patient."""
    wanted: Choice = field(default_factory=Choice)
    """Images in the queue and the gallery."""
    classes: tuple[str, ...] = ()
    """Those that are not stored yet: they are with the first label."""


class OutdatedError(LabelError):
    """What a page shows is not, or not any more, what is there."""


class Id(Convertor[int]):
    """The id of a row, as part of an address: no longer than an id can be."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        """From the address."""
        return int(value)

    def to_string(self, value: int) -> str:
        """To an address."""
        return str(value)


register_url_convertor("id", Id())


class PageContext:
    """Everything that a page needs."""

    def __init__(self, workspace: Workspace, settings: LabelSettings, address: ServerAddress) -> None:
        self.workspace, self.settings, self.address = workspace, settings, address
        self.store = Store(workspace.address)
        self.images = workspace.images
        self.reader = connect(workspace.address, must_exist=True)
        self.catalogue = CatalogueUpdater(self.store, self.reader, settings.wanted)
        self.viewer = Viewer()
        self.dataset = self._identify_dataset()
        self._templates = Environment(
            loader=PackageLoader("dicomprep.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters |= {"count": "{:,}".format, "count_of": count_of, "isolated": isolated}

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that does not hold up a run."""
        with reading(self.reader) as connection:
            yield connection

    def ask(self, query: Callable[..., Answer], *arguments: Any, **options: Any) -> Answer:  # noqa: ANN401
        """One query in a transaction of its own: one that stays open may keep a run from recording."""
        with self.reading() as connection:
            return query(connection, *arguments, **options)

    @property
    def annotator_cookie(self) -> str:
        """The cookie with the annotator's name: tunnels lead from one host to many data sets."""
        return f"dicomprep_annotator_{self.address.port}_{self.dataset}"

    def annotator(self, request: Request) -> str:
        """Whose labels these are: named in the address, else chosen in this browser, else the settings' one."""
        asked = request.query_params.get("annotator")
        return clean_name(asked, "A name") if asked else self._remembered(request) or self.settings.annotator

    def keep_annotator(self, request: Request, answer: Response, name: str) -> None:
        """Keep a name in this browser: escaped, since a header holds no other script, and a cookie no semicolon."""
        place = self.address.cookie_path(request.headers["host"])
        answer.set_cookie(
            self.annotator_cookie, quote(name), max_age=365 * 86400, path=place, httponly=True, samesite="strict"
        )

    def is_named(self, request: Request) -> bool:
        """Whether this browser has said who is labeling; on this machine nobody has to."""
        return self.address.is_local or bool(request.query_params.get("annotator") or self._remembered(request))

    def _remembered(self, request: Request) -> str | None:
        """The name that this browser keeps, if it is one."""
        try:
            return clean_name(unquote(request.cookies.get(self.annotator_cookie, "")), "A name")
        except LabelError:
            return None

    async def read_body(self, request: Request) -> Body:
        """What a page sends; LabelError where it is not what pages send, or from a page of other images."""
        body = await read_body(request)
        if body.text_or_none("dataset") not in (None, self.dataset):
            raise OutdatedError("Another data set is served here now: reload the page.")
        return body

    def filter_of(self, request: Request, annotator: str) -> Filter:
        """Which images an address asks for; LabelError where that is no filter."""
        try:
            return Filter.of(request.query_params, model=self.settings.order.model, annotator=annotator)
        except ConfigError as error:
            raise LabelError(str(error)) from error

    def class_names(self, connection: Connection) -> list[str]:
        """The classes to choose from: those that are stored, then those that will be with the first label."""
        return [*shown_classes(connection), *self._pending_classes(connection)]

    def known_classes(self, connection: Connection) -> list[str]:
        """All classes, also hidden ones, in the order in which several stand in a label."""
        return [*class_names(connection), *self._pending_classes(connection)]

    def _pending_classes(self, connection: Connection) -> list[str]:
        gone = {*class_names(connection), *former_names(connection)}
        return [name for name in self.settings.classes if name not in gone]

    def _identify_dataset(self) -> str:
        """Tells this data set from others that are served at the same address at other times; says nothing of it."""
        with self.reading() as connection:
            return blake2b((read_meta(connection, "key_check") or "").encode(), digest_size=8).hexdigest()

    def page(self, template: str, request: Request, **values: Any) -> HTMLResponse:  # noqa: ANN401
        """A page of a template."""
        path = request.scope["path"]
        root = root_of(path)
        shared = {"annotator": self.annotator(request), "path": path, "dataset": self.dataset, "root": root}
        html = self.render(template, **shared, dataset_name=self.workspace.address.short_name, **values)
        return HTMLResponse(make_relative(html, root))

    def render(self, template: str, **values: Any) -> str:  # noqa: ANN401
        """A template's text; whatever comes from a file is escaped in it."""
        return self._templates.get_template(template).render(**values)

    def close(self) -> None:
        """End the processes and give the connections back."""
        self.catalogue.close()
        self.viewer.close()
        self.reader.dispose()
        self.images.close()
        self.store.close()


async def respond(action: Callable[..., dict[str, Any]], *arguments: object) -> Response:
    """What an action answers, done in a thread: the database may be busy for a while."""
    return JSONResponse(await run_in_threadpool(action, *arguments))


def image_not_found() -> Response:
    """The answer where an image is not, or not any more."""
    return Response("Image not found.", 404, media_type="text/plain")
