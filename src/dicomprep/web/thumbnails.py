"""Thumbnails under addresses that carry their digest: what a browser keeps is never another picture.

It asks each time before it shows one that it has kept: without the token, or when the pages are closed, it shows none.
"""

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicomprep.database.queries.thumbnails import find_thumbnail
from dicomprep.errors import EnvironmentFault, LabelError
from dicomprep.storage.base import ImageStore
from dicomprep.storage.image_cache import MAX_IMAGE_BYTES, read_image
from dicomprep.storage.source import digest_bytes
from dicomprep.training.reading import as_shown
from dicomprep.web.site import OutdatedError, PageContext, image_not_found

__all__ = ["Thumbnails", "check_thumbnail"]

REVALIDATE = "private, no-cache"
NOT_CACHED = "no-store"


class Thumbnails:
    """The route of the images."""

    def __init__(self, context: PageContext) -> None:
        self._context = context

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
        content = _read(self._context.images, *found, again=True)
        shown = as_shown(found[0], content) if content is not None else None
        if shown is None:
            return image_not_found()
        content, media_type = shown
        if wanted is None:
            return Response(content, media_type=media_type, headers={"cache-control": NOT_CACHED})
        headers = {"cache-control": REVALIDATE, "etag": f'"{wanted}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media_type, headers=headers)


def check_thumbnail(context: PageContext, connection: Connection, frame_id: int, digest: str | None) -> None:
    """Raise OutdatedError where an image is not there to be seen, or is not any more the one that was seen."""
    found = find_thumbnail(connection, frame_id)
    if found is None:
        raise LabelError(f"Image {frame_id} not found.")
    if digest not in (None, found[1].hex()):
        raise OutdatedError("The image has changed since it was displayed: review it again.")
    if _read(context.images, *found) is None:
        raise OutdatedError("Image file missing: `dicomprep verify --repair` regenerates it.")


def _read(images: ImageStore, name: str, digest: bytes, *, again: bool = False) -> bytes | None:
    """What a thumbnail holds; None where it cannot be read, or is not what was recorded.

    One that was read before may be shown `again` without a look at whether it is still there.
    """
    try:
        content = read_image(images, name, digest) if again else images.read(name, most=MAX_IMAGE_BYTES)
    except (OSError, EnvironmentFault):
        return None
    return content if digest_bytes(content) == digest else None
