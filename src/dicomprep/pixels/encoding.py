"""In which format images are stored: names, endings and media types. Nothing here loads an encoder."""

import re
from dataclasses import dataclass
from enum import StrEnum

from dicomprep.errors import ConfigError

__all__ = ["ENDINGS", "PNG", "Encoding", "ImageFormat", "format_of", "without_ending"]

DEFAULT_JPEG_QUALITY = 90


class ImageFormat(StrEnum):
    """What a file is."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    NPY = "npy"

    @property
    def ending(self) -> str:
        """Of file names, with its dot."""
        return ".jpg" if self is ImageFormat.JPEG else f".{self.value}"

    @property
    def media_type(self) -> str:
        """As HTTP and Croissant call it; an array has none of its own."""
        return "application/octet-stream" if self is ImageFormat.NPY else f"image/{self.value}"

    @property
    def max_side(self) -> int:
        """Pixels of its longer side that there may be."""
        return {ImageFormat.JPEG: 65_500, ImageFormat.WEBP: 16_383}.get(self, 2**31 - 1)


ENDINGS = tuple(one.ending for one in ImageFormat)
"""Of all images, whatever a data set is made with now."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """A format, and how lossy it is."""

    format: ImageFormat = ImageFormat.PNG
    quality: int | None = None
    """From 1 to 100; None where nothing is lost."""

    @classmethod
    def parse(cls, text: str) -> "Encoding":
        """`png`, `jpeg`, `jpeg=Q`, `webp` (lossless), `webp=Q` or `npy`; ConfigError for anything else.

        >>> str(Encoding.parse("jpeg")), str(Encoding.parse("JPG=80")), str(Encoding.parse("webp"))
        ('jpeg=90', 'jpeg=80', 'webp')
        """
        match = re.fullmatch(r"(png|jpe?g|webp|npy)(?:=(\d{1,3}))?", text.strip().lower())
        name = match[1].replace("jpg", "jpeg") if match else ""
        quality = int(match[2]) if match and match[2] else DEFAULT_JPEG_QUALITY if name == "jpeg" else None
        if match is None or (quality is not None and (name in ("png", "npy") or not 1 <= quality <= 100)):
            raise ConfigError(f"--format {text}: choose png, jpeg[=1…100], webp (lossless), webp=1…100 or npy.")
        return cls(ImageFormat(name), quality)

    def __str__(self) -> str:
        return self.format.value if self.quality is None else f"{self.format.value}={self.quality}"

    @property
    def is_lossy(self) -> bool:
        """Whether what is read differs from what was drawn."""
        return self.quality is not None

    def takes(self, *, depth: int) -> bool:
        """Whether it holds so many bits a sample."""
        return depth == 8 or self.format in (ImageFormat.PNG, ImageFormat.NPY)


PNG = Encoding()


def format_of(name: str) -> ImageFormat:
    """The format that the name of an image says; PNG where it says none.

    >>> format_of("study_001/image_a.jpg").value
    'jpeg'
    """
    return next((one for one in ImageFormat if name.endswith(one.ending)), ImageFormat.PNG)


def without_ending(name: str) -> str:
    """The name of an image without what its format adds.

    >>> without_ending("study_001/image_a.jpg"), without_ending("study_001/image_a")
    ('study_001/image_a', 'study_001/image_a')
    """
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)
