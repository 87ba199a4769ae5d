"""Thumbnails under addresses that carry their digest: what a browser keeps is never another picture.

It asks each time before it shows one that it has kept: without the token, or when the pages are closed, it shows none.
"""

import threading
from collections import OrderedDict

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicomprep.database.queries.thumbnails import find_thumbnail
from dicomprep.errors import EnvironmentFault, LabelError
from dicomprep.storage.base import ImageStore
from dicomprep.storage.place import is_url
from dicomprep.storage.source import digest_bytes
from dicomprep.web.site import OutdatedError, PageContext, image_not_found

__all__ = ["Thumbnails", "check_thumbnail"]

REVALIDATE = "private, no-cache"
NOT_CACHED = "no-store"

MAX_RECENT_BYTES = 2**26
"""Of images in an object store that are kept in memory."""

MAX_BYTES = 2**27
"""More than the largest thumbnail has."""


class Thumbnails:
    """The route of the images."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._recent = _Recent()

    def routes(self) -> list[Route]:
        """What is answered."""
        return [Route("/image/{frame_id:id}", self.show)]

    def show(self, request: Request) -> Response:
        """A thumbnail by its id; with `v`, its digest, only as long as it is that picture."""
        with self._context.reading() as connection:
            found = find_thumbnail(connection, request.path_params["frame_id"])
        wanted = request.query_params.get("v")
        if found is None or wanted not in (None, found[1].hex()):
            return image_not_found()
        content = self._content(*found)
        if content is None:
            return image_not_found()
        if wanted is None:
            return Response(content, media_type="image/png", headers={"cache-control": NOT_CACHED})
        headers = {"cache-control": REVALIDATE, "etag": f'"{wanted}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="image/png", headers=headers)

    def _content(self, name: str, digest: bytes) -> bytes | None:
        """As `_read`; what came over a network is kept for a while."""
        images = self._context.images
        if not is_url(images.address):
            return _read(images, name, digest)
        content = self._recent.get(digest) or _read(images, name, digest)
        if content is not None:
            self._recent.keep(digest, content)
        return content


class _Recent:
    """The images that were shown last, by their digests, in the memory of this process alone."""

    def __init__(self) -> None:
        self._images: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, digest: bytes) -> bytes | None:
        """One that is kept."""
        with self._lock:
            if digest in self._images:
                self._images.move_to_end(digest)
            return self._images.get(digest)

    def keep(self, digest: bytes, content: bytes) -> None:
        """Keep one; those that were not asked for the longest make room."""
        with self._lock:
            if digest not in self._images:
                self._bytes += len(content)
            self._images[digest] = content
            while self._bytes > MAX_RECENT_BYTES:
                self._bytes -= len(self._images.popitem(last=False)[1])


def check_thumbnail(context: PageContext, connection: Connection, frame_id: int, digest: str | None) -> None:
    """Raise OutdatedError where an image is not there to be seen, or is not any more the one that was seen."""
    found = find_thumbnail(connection, frame_id)
    if found is None:
        raise LabelError(f"Image {frame_id} not found.")
    if digest not in (None, found[1].hex()):
        raise OutdatedError("The image has changed since it was displayed: review it again.")
    if _read(context.images, *found) is None:
        raise OutdatedError("Image file missing: `dicomprep verify --repair` regenerates it.")


def _read(images: ImageStore, name: str, digest: bytes) -> bytes | None:
    """What a thumbnail holds; None where it cannot be read, or is not what was recorded."""
    try:
        content = images.read(name, most=MAX_BYTES)
    except (OSError, EnvironmentFault):
        return None
    return content if digest_bytes(content) == digest else None
