"""Thumbnail → Written: an image file that is whole, in its place below the output folder."""

from dataclasses import replace

from dicomprep.errors import ErrorCode, InputError
from dicomprep.models import Frame, Thumbnail, Written
from dicomprep.pixels.encoding import PNG, Encoding
from dicomprep.pixels.image_file import encode_image
from dicomprep.privacy.allow_list import Kind
from dicomprep.storage.base import ImageStore
from dicomprep.storage.naming import thumbnail_path
from dicomprep.storage.source import digest_bytes

__all__ = ["write"]

MEASURED_KINDS = (Kind.MASK, Kind.DOSE, Kind.MAP)
"""Images whose grays are names or quantities: of them nothing is lost, whatever the format."""


def write(
    thumbnail: Thumbnail,
    *,
    frame: Frame,
    filename: str,
    encoding: Encoding,
    kind: str | None,
    images: ImageStore,
) -> Written:
    """Publish a thumbnail as a file; a reader never sees half of it.

    The pixels of `thumbnail` are (size, size[, 3]) uint8 or uint16. Those of `frame`, (rows, columns[, 3]), are not
    read: it gives its number, digests and perceptual hash. Raises EnvironmentFault where the store cannot take it,
    InputError `limit_exceeded` where the format cannot.
    """
    if encoding.is_lossy and (frame.is_label_map or kind in MEASURED_KINDS):
        encoding = PNG
    try:
        content = encode_image(thumbnail.pixels, encoding)
    except ValueError as error:
        raise InputError(ErrorCode.LIMIT_EXCEEDED, str(error)) from error
    place = thumbnail_path(filename, encoding.format)
    images.publish(place, content)
    transform = replace(thumbnail.transform, encoded=str(encoding)) if encoding.is_lossy else thumbnail.transform
    return Written(
        frame_number=frame.index,
        filename=filename,
        thumbnail_path=place,
        width=thumbnail.pixels.shape[1],
        height=thumbnail.pixels.shape[0],
        size=len(content),
        digest=digest_bytes(content),
        transform=transform.to_json(),
        source_digest=frame.digest,
        perceptual_hash=frame.perceptual_hash,
        stream_digest=frame.stream_digest,
    )
