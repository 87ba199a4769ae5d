"""Thumbnail → Written: a PNG that is whole, in its place below the output folder."""

from dicomprep.models import Frame, Thumbnail, Written
from dicomprep.pixels.png import encode_png
from dicomprep.storage.base import ImageStore
from dicomprep.storage.source import digest_bytes

__all__ = ["write"]


def write(
    thumbnail: Thumbnail,
    *,
    frame: Frame,
    filename: str,
    thumbnail_path: str,
    images: ImageStore,
) -> Written:
    """Publish a thumbnail as PNG; a reader never sees half of it.

    The pixels of `thumbnail` are (size, size[, 3]) uint8 or uint16. Those of `frame`, (rows, columns[, 3]), are not
    read: it gives its number, digests and perceptual hash. Raises EnvironmentFault where the store cannot take it.
    """
    content = encode_png(thumbnail.pixels)
    images.publish(thumbnail_path, content)
    return Written(
        frame_number=frame.index,
        filename=filename,
        thumbnail_path=thumbnail_path,
        width=thumbnail.pixels.shape[1],
        height=thumbnail.pixels.shape[0],
        size=len(content),
        digest=digest_bytes(content),
        transform=thumbnail.transform.to_json(),
        source_digest=frame.digest,
        perceptual_hash=frame.perceptual_hash,
        stream_digest=frame.stream_digest,
    )
