"""What pages send: a JSON object whose values are of the kind that is asked for, or a LabelError that says so."""

import json
import re
from typing import Any, TypeVar

from starlette.requests import Request

from dicomprep.errors import LabelError
from dicomprep.web.names import MAX_CLASSES, clean_name

__all__ = ["Body", "query_number", "read_body"]

Value = TypeVar("Value")

MAX_BYTES = 2**16
"""Bytes of a request body; bounds memory."""

MAX_IMAGES = 100
"""Images named in one request; bounds its work."""

MAX_ID = 2**63 - 1
"""The largest id that a database holds (64 bits, signed)."""

_MEDIA_TYPES = ("", "application/json", "text/plain")
"""A body without a type may be JSON; what a browser sends of itself is text."""
_COMMAND = re.compile(r"[0-9A-Za-z-]{1,64}")


class Body:
    """A JSON object."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """Text; empty where there is none."""
        return self._of(str, name, "")

    def text_or_none(self, name: str) -> str | None:
        """Text, or None where there is none."""
        return None if self._values.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        """A boolean; false by default."""
        return self._of(bool, name, default=False)

    def number(self, name: str, default: int) -> int:
        """A whole number."""
        number = self._of(int, name, default)
        if not 0 <= number <= MAX_ID:
            raise LabelError(f"{name} must be from 0 to {MAX_ID}.")
        return number

    def image(self) -> int:
        """The image that is meant."""
        number = self.number("frame", 0)
        if number == 0:
            raise LabelError("frame must be the id of an image.")
        return number

    def images(self, name: str, most: int = MAX_IMAGES) -> list[int]:
        """Several images, up to so many."""
        value: list[Any] = self._of(list, name, [])
        if len(value) > most or not all(type(one) is int and 0 <= one <= MAX_ID for one in value):
            raise LabelError(f"{name} must be a list of at most {most} image ids.")
        return value

    def texts(self, name: str, most: int = MAX_CLASSES) -> list[str]:
        """Several texts, up to so many."""
        value: list[Any] = self._of(list, name, [])
        if len(value) > most or not all(type(one) is str for one in value):
            raise LabelError(f"{name} must be a list of at most {most} texts.")
        return value

    def annotator(self) -> str:
        """Who sends this."""
        return clean_name(self.text("annotator"), "A name")

    def corners(self, name: str) -> list[tuple[float, float]]:
        """Places of an image, (row, column) each."""
        value: list[Any] = self._of(list, name, [])
        pairs = [one for one in value if type(one) is list and len(one) == 2]
        if len(pairs) < len(value) or not all(type(n) in (int, float) and abs(n) <= MAX_ID for p in pairs for n in p):
            raise LabelError(f"{name} must be a list of pairs of numbers.")
        return [(float(row), float(column)) for row, column in pairs]

    def command(self) -> str | None:
        """The id that the page gave to a command, so that it counts once; None where it gave none."""
        key = self.text_or_none("command")
        if key is not None and not _COMMAND.fullmatch(key):
            raise LabelError("command must be 1 to 64 letters, digits or hyphens.")
        return key

    def _of(self, kind: type[Value], name: str, default: Value) -> Value:
        value = self._values.get(name, default)
        if type(value) is not kind:  # true is not a number
            raise LabelError(f"{name} has the wrong type.")
        return value


async def read_body(request: Request) -> Body:
    """The JSON object of a request; LabelError where it is none, too large, or of another type."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise LabelError("The Content-Type must be application/json.")
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MAX_BYTES:
            raise LabelError(f"The request body exceeds {MAX_BYTES:,} bytes.")
    try:
        values = json.loads(content.decode(), object_pairs_hook=_reject_duplicates, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise LabelError("The request body is not valid JSON.") from error
    if not isinstance(values, dict):
        raise LabelError("The request body must be a JSON object.")
    return Body(values)


def query_number(request: Request, name: str, default: int) -> int:
    """A whole number of an address."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise LabelError(f"{name} is not a number.")
    return int(text)


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("duplicate key")
    return values


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are not JSON
