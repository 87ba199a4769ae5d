"""Numbers as people and programs write them, though the standard (PS3.5 6.2, DS) wants them otherwise."""

import re
from collections.abc import Iterable
from functools import lru_cache

from dicomprep.pixels.intensity import shorten
from dicomprep.privacy.allow_list import is_plausible

__all__ = [
    "MOST_BYTES",
    "MOST_DIGITS",
    "format_number",
    "read_number",
    "read_numbers",
    "read_offsets",
    "read_whole",
    "salvage_numbers",
]

MOST_BYTES = 2**20
"""No text and no list of numbers that means anything here is longer."""

MOST_FEW = 256
"""Bytes: six numbers (DS) take 102 at most."""

MOST_DIGITS = 6
"""Before the point, in what is said of a header; more have telephone numbers and the numbers of persons."""

_NUMBER = re.compile(r"\s*([-+]?\d+(?:\.\d+|,\d{1,2}|,\d{4,})?)\s*[A-Za-z%]*[\s\0]*")
"""A decimal comma (not before three digits, which may be thousands), and a unit behind it."""


def salvage_numbers(value: object) -> tuple[float, ...]:
    r"""Numbers such as `40,5` or `40 HU`; none if any is something else.

    `value` is what is written, or its parts.

    >>> salvage_numbers(b"0,5\\0,5 ")
    (0.5, 0.5)
    """
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace") if len(value) <= MOST_BYTES else ""
    parts = value.split("\\") if isinstance(value, str) else map(str, value if isinstance(value, Iterable) else ())
    matches = [_NUMBER.fullmatch(part) for part in parts]
    return tuple(float(match[1].replace(",", ".")) for match in matches if match) if all(matches) else ()


def format_number(number: float) -> str:
    """A number of a header as messages show it; a long one to four digits.

    >>> format_number(512), format_number(-0.5), format_number(10**9), format_number(4917155501)
    ('512', '-0.5', '1,000,000,000', 'about 4,917,000,000')
    """
    if abs(number) >= 10**MOST_DIGITS:
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
    """A few values; none where there are more than any attribute of a plane or a pixel has."""
    return _few(raw) if len(raw) <= MOST_FEW else ()


@lru_cache(maxsize=4)
def read_offsets(raw: bytes) -> tuple[float, ...]:
    """One for each frame: long, and asked for once a frame."""
    return _parse(raw)


@lru_cache(maxsize=4096)
def _few(raw: bytes) -> tuple[float, ...]:
    return _parse(raw)


def _parse(raw: bytes) -> tuple[float, ...]:
    """All values, if all of them are finite numbers of a plausible size; else none."""
    try:
        values = tuple(float(part) for part in raw.strip(b" \0").split(b"\\")) if raw else ()
    except ValueError:
        values = salvage_numbers(raw)
    return values if all(abs(value) < 1e7 for value in values) else ()
