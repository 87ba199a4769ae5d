"""Numbers as people and programs write them, though the standard (PS3.5 6.2, DS) wants them otherwise."""

import re
from collections.abc import Iterable

__all__ = ["MOST_BYTES", "salvage_numbers"]

MOST_BYTES = 2**20
"""No text and no list of numbers that means anything here is longer."""

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
