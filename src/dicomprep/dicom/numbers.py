"""Numbers that headers hold as text (PS3.5 6.2, DS and IS), also as people write them: `0,5` or `40 HU`.

One parser for all: what is drawn, what `inspect` explains and what the view `tags` holds come from the same reading.
"""

import math
import re
from functools import lru_cache
from typing import NamedTuple

from dicomprep.pixels.intensity import shorten
from dicomprep.privacy.allow_list import is_plausible

__all__ = [
    "MAX_DIGITS",
    "MAX_VALUE_BYTES",
    "Numbers",
    "format_number",
    "parse_numbers",
    "read_number",
    "read_numbers",
    "read_offsets",
    "read_whole",
]

MAX_VALUE_BYTES = 2**20
"""No text and no list of numbers that means anything here is longer."""

_MAX_SHORT_BYTES = 256
"""Six numbers (DS) take 102 at most."""

MAX_DIGITS = 6
"""Before the decimal point, in what is shown of a header; more have telephone numbers and the numbers of persons."""

_LENIENT = re.compile(r"([-+]?\d+(?:\.\d+|,\d{1,2}|,\d{4,})?)\s*[A-Za-z%]*", re.ASCII)
"""A decimal comma (not before three digits, which may be thousands), and a unit behind it."""

_PADDING = " \0\t\r\n"


class Numbers(NamedTuple):
    """The values of one attribute."""

    values: tuple[float, ...]
    is_standard: bool = True
    """Written as the standard wants them; else with a decimal comma or a unit."""


def parse_numbers(text: str) -> Numbers:
    r"""Values as they are written, with backslashes between them; empty ones do not count.

    Raises ValueError where one of them is no number. `NaN` and `1e400` are read as what they are.

    >>> parse_numbers("1.5E1\\ 2 \0"), parse_numbers("0,5\\0.5 mm")
    (Numbers(values=(15.0, 2.0), is_standard=True), Numbers(values=(0.5, 0.5), is_standard=False))
    """
    parts = [part for value in text.split("\\") if (part := value.strip(_PADDING))]
    try:
        return Numbers(tuple(map(_parse_standard, parts)))
    except ValueError:
        return Numbers(tuple(map(_parse_lenient, parts)), is_standard=False)


def _parse_standard(text: str) -> float:
    if "_" in text:  # which Python reads over
        raise ValueError(text)
    return float(text)


def _parse_lenient(text: str) -> float:
    match = _LENIENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return float(match[1].replace(",", "."))


def format_number(number: float) -> str:
    """A number of a header as messages show it; a long one to four digits.

    >>> format_number(512), format_number(-0.5), format_number(10**9), format_number(4917155501)
    ('512', '-0.5', '1,000,000,000', 'about 4,917,000,000')
    """
    if abs(number) >= 10**MAX_DIGITS:
        short = shorten(number)
        return f"{'' if short == number else 'about '}{short:,.0f}"
    return str(number) if isinstance(number, int) else f"{number:g}"


def read_number(raw: bytes, column: str) -> float | None:
    """The first of values as they are written; None where it is none that `column` can have."""
    numbers = read_numbers(raw)
    return numbers[0] if numbers and is_plausible(column, numbers[0]) else None


def read_whole(raw: bytes, column: str) -> int | None:
    """The same where it is a whole number."""
    number = read_number(raw, column)
    return int(number) if number is not None and number == int(number) else None


def read_numbers(raw: bytes) -> tuple[float, ...]:
    """A few values; none where there are more than any attribute of a plane or a pixel has, or one is no number."""
    return _read_short(raw) if len(raw) <= _MAX_SHORT_BYTES else ()


@lru_cache(maxsize=4)
def read_offsets(raw: bytes) -> tuple[float, ...]:
    """One for each frame: long, and asked for once a frame."""
    return _read(raw)


@lru_cache(maxsize=4096)
def _read_short(raw: bytes) -> tuple[float, ...]:
    return _read(raw)


def _read(raw: bytes) -> tuple[float, ...]:
    """All values, if all of them are finite numbers; else none."""
    try:
        values = parse_numbers(raw.decode("ascii")).values
    except ValueError:
        return ()
    return values if all(map(math.isfinite, values)) else ()
