"""Thumbnail → Written: a PNG that is whole, in its place below the output folder."""

import json
from typing import Any

from dicomprep.image_store import ImageStore
from dicomprep.models import Thumbnail, Written
from dicomprep.pixels.likeness import perceptual_hash
from dicomprep.pixels.png import encode_png
from dicomprep.storage import digest_bytes

__all__ = ["write"]


def write(
    thumbnail: Thumbnail,
    *,
    digests: tuple[bytes, bytes],
    frame_number: int,
    filename: str,
    thumbnail_path: str,
    images: ImageStore,
) -> Written:
    """Write one thumbnail, or raise EnvironmentFault; a reader never sees half of it.

    `digests` are those of the stored values that it was drawn from and of their codestream.
    """
    content = encode_png(thumbnail.pixels)
    images.publish(thumbnail_path, content)
    return Written(
        frame_number=frame_number,
        filename=filename,
        thumbnail_path=thumbnail_path,
        width=thumbnail.pixels.shape[1],
        height=thumbnail.pixels.shape[0],
        size=len(content),
        digest=digest_bytes(content),
        transform=_as_json(thumbnail.transform),
        source_digest=digests[0],
        likeness=perceptual_hash(thumbnail.pixels, encoded_bytes=len(content)),
        stream_digest=digests[1],
    )


_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
_last: tuple[dict[str, Any], str] = ({}, "{}")


def _as_json(transform: dict[str, Any]) -> str:
    """The frames of a file, and the files of a series, mostly share their transform: it is encoded once for them."""
    global _last  # noqa: PLW0603
    if transform != _last[0]:
        _last = (transform, _encode(transform))
    return _last[1]
