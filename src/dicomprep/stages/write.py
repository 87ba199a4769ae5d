"""Thumbnail → Written: a PNG that is whole, in its place below the output folder."""

from pathlib import Path

import cv2

from dicomprep.models import Thumbnail, Written
from dicomprep.storage import digest_bytes, publish

__all__ = ["encode_png", "write"]

_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]


def encode_png(thumbnail: Thumbnail) -> bytes:
    """A PNG file's bytes: the same for the same pixels."""
    pixels = thumbnail.pixels
    ordered = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    return bytes(cv2.imencode(".png", ordered, _PNG_OPTIONS)[1])


def write(thumbnail: Thumbnail, *, frame_number: int, filename: str, thumbnail_path: str, output_dir: Path) -> Written:
    """Write one thumbnail, or raise EnvironmentFault; a reader never sees half of it."""
    content = encode_png(thumbnail)
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
