"""The sizes that a person asks for, by name: a square, rows x columns, native, or a bound."""

import re
from dataclasses import dataclass

from dicomprep.errors import ConfigError

__all__ = ["Size", "name_size", "read_size"]

NATIVE = "native"
"""The size of images that have a pixel for each of their source."""

DEFAULT_SIDE, MIN_SIDE, MAX_SIDE = 224, 8, 8192
"""Rows or columns of an image, in pixels."""

MAX_LONGEST = 65535
"""Of an image whose source decides its size: as many rows as a header can say."""


@dataclass(frozen=True, slots=True)
class Size:
    """What decides how large a thumbnail is; without any of it each pixel of the source becomes one."""

    canvas: tuple[int, int] | None = None
    """Rows and columns of the thumbnail, whatever the source; None: as many as are drawn."""
    longest: int | None = None
    """Without a canvas: rows and columns have at most so many pixels."""
    scale: float | None = None
    """Pixels of the thumbnail for one column of the source; None: as the canvas needs, else one."""


def name_size(given: object, *, has_spacing: bool) -> int | str:
    """One spelling of each size: a number for squares. With none given the usual square, with a spacing what it gives.

    Raises ConfigError where it is no size.

    >>> name_size("1024X512", has_spacing=False), name_size("64x64", has_spacing=False)
    ('1024x512', 64)
    """
    if given is None:
        return NATIVE if has_spacing else DEFAULT_SIDE
    size = read_size(re.sub("[X×]", "x", str(given).strip()))
    if size.canvas is None:
        return NATIVE if size.longest is None else f"max={size.longest}"
    rows, columns = size.canvas
    return rows if rows == columns else f"{rows}x{columns}"


def read_size(text: str) -> Size:
    """What a size says; ConfigError where it is none.

    >>> read_size("max=1536").longest
    1536
    """
    match = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?|max=(\d{1,6})|native", text)
    if match is None:
        choices = "choose a square such as 224, rows x columns such as 1024x512, max=1536 or native"
        raise ConfigError(f"--size {text}: {choices}.")
    rows, columns, longest = (None if part is None else int(part) for part in match.groups())
    for side, most in ((rows, MAX_SIDE), (columns, MAX_SIDE), (longest, MAX_LONGEST)):
        if side is not None and not MIN_SIDE <= side <= most:
            raise ConfigError(f"--size {text}: choose from {MIN_SIDE} to {most} pixels.")
    return Size(None if rows is None else (rows, columns or rows), longest)
