"""Values of nested items on which nothing depends but themselves: what is missing or malformed is not there."""

from collections.abc import Sequence
from contextlib import suppress

from dicomprep.dicom.attributes import Attributes
from dicomprep.errors import InputError
from dicomprep.pixels.intensity import shorten
from dicomprep.privacy.allow_list import is_plausible
from dicomprep.privacy.keys import valid_uid

__all__ = ["first_item", "items", "read_amount", "read_counts", "read_numbers", "read_text", "read_uid"]

MAX_COUNT = 999_999
"""Of a frame, segment or region number; more digits have telephone numbers and the numbers of persons."""

MAX_COUNTED = 10_000
"""Frame numbers of one reference; bounds memory."""


def items(attributes: Attributes, keyword: str) -> Sequence[Attributes]:
    """The items of a sequence; none where there is no such sequence, or it is malformed."""
    if keyword in attributes:
        with suppress(InputError):
            return attributes.items(keyword)
    return ()


def first_item(attributes: Attributes | None, keyword: str) -> Attributes | None:
    """The first item of a sequence, or None."""
    return next(iter(items(attributes, keyword)), None) if attributes is not None else None


def read_text(attributes: Attributes, keyword: str) -> str:
    """The first value as text; empty where there is none."""
    with suppress(InputError):
        return attributes.text(keyword) or ""
    return ""


def read_uid(attributes: Attributes, keyword: str) -> str | None:
    """A UID; None where there is none, or it has not the form of one."""
    return valid_uid(read_text(attributes, keyword) or None)


def read_counts(attributes: Attributes, keyword: str) -> tuple[int, ...]:
    """Numbers of frames, segments or regions, from 0; those that are none are left out."""
    with suppress(InputError):
        values = attributes.integers(keyword)[:MAX_COUNTED]
        return tuple(value for value in values if 0 <= value <= MAX_COUNT)
    return ()


def read_amount(attributes: Attributes, keyword: str) -> float | None:
    """The first value as a number that may have been measured; a long one to four digits."""
    with suppress(InputError):
        number = attributes.number(keyword)
        return shorten(number) if number is not None and is_plausible("measured_value", number) else None
    return None


def read_numbers(attributes: Attributes, keyword: str) -> tuple[float, ...]:
    """All values as finite numbers; none where one is not."""
    with suppress(InputError):
        return attributes.numbers(keyword)
    return ()
