"""Thumbnail → Written: a PNG that is whole, in its place below the output folder."""

from pathlib import Path

from dicomprep.models import Thumbnail, Written
from dicomprep.pixels.png import encode_png
from dicomprep.storage import digest_bytes, publish

__all__ = ["write"]


def write(thumbnail: Thumbnail, *, frame_number: int, filename: str, thumbnail_path: str, output_dir: Path) -> Written:
    """Write one thumbnail, or raise EnvironmentFault; a reader never sees half of it."""
    content = encode_png(thumbnail.pixels)
    publish(output_dir, thumbnail_path, content)
    return Written(
        frame_number=frame_number,
        filename=filename,
        thumbnail_path=thumbnail_path,
        width=thumbnail.pixels.shape[1],
        height=thumbnail.pixels.shape[0],
        size=len(content),
        digest=digest_bytes(content),
        transform=thumbnail.transform,
    )
