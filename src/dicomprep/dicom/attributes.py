"""Values of a data set as plain Python, with errors that name tag and keyword."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property, lru_cache
from typing import Any

from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataelem import convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from dicomprep.dicom.fast_scan import OVERLAY_BIT_POSITIONS, OVERLAY_ROWS, TAGS
from dicomprep.dicom.numbers import MAX_VALUE_BYTES, format_number, parse_numbers
from dicomprep.dicom.values import (
    MAX_KEPT_BYTES,
    dictionary_representation,
    is_numeric_text,
    read_raw_values,
    to_whole,
    truncate_to_first,
    write_numbers,
)
from dicomprep.errors import ErrorCode, InputError

__all__ = ["MAX_VALUE_BYTES", "Attributes", "label", "read_code"]

MAX_TEXT_BYTES = 2**17
"""Bytes of a value that is taken as written: a position for each of 7,000 frames."""

MAX_QUOTED_NUMBERS = 8
"""Numbers that a note repeats."""

_HARMLESS = re.compile(r"[-+0-9.,eE\\ ]{1,6}[A-Za-z]?")
"""What may be quoted of a value that is no number as it should be: `1A`, `1,5`."""


def label(keyword: str) -> str:
    """A keyword as messages show it.

    >>> label("BitsStored")
    'Bits Stored (0028,0101)'
    """
    tag = tag_for_keyword(keyword) or 0
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


class Attributes:
    """Read access to one data set or item. Nothing of it is changed."""

    def __init__(self, elements: Mapping[BaseTag, Any], make_dataset: Callable[[], Dataset]) -> None:
        self._raw = elements  # looked at first: a tenth of the time of asking a data set
        self._make_dataset = make_dataset
        self.corrections: dict[str, None] = {}
        """What was read although it is not written as the standard wants, in words, in order."""
        self._known: dict[object, Any] = {}
        self._items: dict[str, tuple[int, Attributes | None]] = {}

    @classmethod
    def of(cls, dataset: Dataset) -> "Attributes":
        """The attributes of a data set that pydicom has read."""
        return cls(dict(dataset.items()), lambda: dataset)

    @cached_property
    def dataset(self) -> Dataset:
        """The same for pydicom, which is asked for all that is not plain."""
        return self._make_dataset()

    def __contains__(self, keyword: str) -> bool:
        return _tag(keyword) in self._raw

    def has_value(self, keyword: str) -> bool:
        """Whether the attribute is there and not empty."""
        element = self._raw.get(_tag(keyword))
        return element is not None and element.value not in (None, b"", "")

    @property
    def has_overlay(self) -> bool:
        """Whether there is an overlay: Overlay Rows (6000,0010), of a group that has no keywords."""
        return OVERLAY_ROWS in self._raw

    @property
    def has_overlay_bits(self) -> bool:
        """Whether an overlay lies in unused bits of the pixels."""
        values = (self._raw[tag].value for tag in OVERLAY_BIT_POSITIONS if tag in self._raw)
        return any(any(value) if isinstance(value, bytes) else value for value in values)

    def integer(self, keyword: str, default: int | None = None) -> int | None:
        """The first value as an integer; InputError `corrupt_header` where it is none."""
        return next(iter(self._convert(keyword, int, first=True)), default)

    def number(self, keyword: str) -> float | None:
        """The first value as a float; InputError `corrupt_header` where it is no finite number."""
        return next(iter(self._numbers(keyword, first=True)), None)

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """All values as floats; a decimal comma (not before three digits) and a unit after a number are put up with."""
        return self._read_once(keyword, float, lambda: self._numbers(keyword))

    def integers(self, keyword: str) -> tuple[int, ...]:
        """All values as integers."""
        return self._read_once(keyword, int, lambda: self._convert(keyword, int))

    def text(self, keyword: str) -> str | None:
        """The first value as text without padding; None where there is none."""
        values = self._read_once(keyword, str, lambda: self._convert(keyword, str))
        return next((text for text in values if text.strip(" \0")), "").strip(" \0") or None

    def code(self, keyword: str) -> str:
        """The first value in capitals; empty where there is none or it is not of plain characters."""
        return read_code(self.raw(keyword))

    def values(self, keyword: str) -> Sequence[Any]:
        """All values as pydicom gives them; InputError `corrupt_header` where it cannot."""
        value = self._value(keyword)
        return list(value) if _is_many(value) else [] if value is None or value in ("", b"") else [value]

    def raw(self, keyword: str) -> bytes:
        """The value as it is written, numbers as text; empty if there is none or it is too long."""
        return self.raw_of(_tag(keyword))

    def raw_of(self, tag: BaseTag) -> bytes:
        """The same of a private element, which has no keyword."""
        element = self._raw.get(tag)
        if element is None:
            return b""
        value = element.value
        if isinstance(value, bytes) and len(value) <= MAX_TEXT_BYTES:
            return write_numbers(element) or value
        value = value if isinstance(value, bytes) else _written(value)
        return value if len(value) <= MAX_TEXT_BYTES else b""

    def single(self, keyword: str) -> bytes | str:
        """The value of an attribute that has one, backslashes and all: as written, or as pydicom has read it."""
        element = self._raw.get(_tag(keyword))
        value = None if element is None else element.value
        if isinstance(value, (bytes, str)):
            return value
        return "\\".join(str(part) for part in value) if isinstance(value, Sequence) else ""

    def content(self, keyword: str) -> bytes | None:
        """The value as bytes."""
        value = self._value(keyword)
        return value if isinstance(value, bytes) and value else None

    def representation(self, keyword: str) -> str:
        """The Value Representation under which an attribute is written; empty where it is missing or not written."""
        element = self._raw.get(_tag(keyword))
        return "" if element is None else element.VR or ""

    def items(self, keyword: str) -> Sequence["Attributes"]:
        """The items of a sequence; none where it is missing or no sequence."""
        value = self._value(keyword)
        return [Attributes.of(item) for item in value or () if isinstance(item, Dataset)] if _is_many(value) else []

    def item(self, keyword: str, index: int = 0) -> "Attributes | None":
        """One item of a sequence, or None. The one asked for last is kept, with what was read of it."""
        if keyword not in self._items or self._items[keyword][0] != index:
            self._items[keyword] = (index, self._make_item(keyword, index))
        return self._items[keyword][1]

    def cached(self, key: object, read: Callable[[], Any]) -> Any:  # noqa: ANN401
        """What `read` gives or raises, which it does once: every frame of a file asks for the same."""
        if key not in self._known:
            try:
                self._known[key] = read()
            except InputError as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, InputError):
            raise InputError(known.code, known.detail)
        return known

    def _make_item(self, keyword: str, index: int) -> "Attributes | None":
        value = self._value(keyword)
        if not _is_many(value) or not -len(value) <= index < len(value):
            return None
        return Attributes.of(value[index]) if isinstance(value[index], Dataset) else None

    def _read_once(self, keyword: str, kind: Any, read: Callable[[], Any]) -> Any:  # noqa: ANN401
        """The same where the value is long; what there is of a short one is kept elsewhere."""
        value: object = getattr(self._raw.get(_tag(keyword)), "value", b"")
        is_short = isinstance(value, bytes) and len(value) <= MAX_KEPT_BYTES
        return read() if is_short else self.cached((keyword, kind), read)

    def _numbers(self, keyword: str, *, first: bool = False) -> tuple[float, ...]:
        try:
            values: tuple[float, ...] = self._convert(keyword, float, first=first)
        except InputError:
            values = self._read_leniently(keyword, first=first)
            if not values:
                raise
        if not all(map(math.isfinite, values)):
            raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is not a finite number")
        return values

    def _read_leniently(self, keyword: str, *, first: bool) -> tuple[float, ...]:
        """Numbers such as `40,5` or `40 HU`; none if any is something else."""
        element = self._raw[_tag(keyword)]
        value = (truncate_to_first(element) if first else element).value
        written = value if isinstance(value, bytes) else _written(value)
        try:
            values = parse_numbers(written.decode("ascii")).values if len(written) <= MAX_VALUE_BYTES else ()
        except ValueError:
            return ()
        if values:
            taken = ", ".join(format_number(value) for value in values[:MAX_QUOTED_NUMBERS])
            self.corrections[f"{label(keyword)} is not a plain number; treated as {taken}"] = None
        return values

    def _convert(self, keyword: str, kind: Any, *, first: bool = False) -> tuple[Any, ...]:  # noqa: ANN401
        element = self._raw.get(_tag(keyword))
        if element is None:
            return ()
        if isinstance(element.value, bytes) and len(element.value) > MAX_VALUE_BYTES:
            raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} has {len(element.value):,} bytes")
        wanted = truncate_to_first(element) if first else element
        plain = read_raw_values(wanted, kind)
        if plain is not None:
            return plain
        if kind is not str and is_numeric_text(wanted):
            raise self._malformed(keyword)
        value = self._value(keyword) if wanted is element else self._value_of(wanted, keyword)
        if value is None or value in ("", b""):
            return ()
        values: Iterable[Any] = value if _is_many(value) else (value,)
        try:
            return tuple(_converted(v, kind) for v in values if v not in (None, ""))
        except (TypeError, ValueError, OverflowError) as error:
            raise self._malformed(keyword) from error

    def _value_of(self, element: Any, keyword: str) -> Any:  # noqa: ANN401
        """The value of an element that is not as it stands in the data set."""
        try:
            return convert_raw_data_element(element).value
        except Exception as error:
            raise self._malformed(keyword) from error

    def _value(self, keyword: str) -> Any:  # noqa: ANN401
        tag = _tag(keyword)
        if tag not in self._raw:
            return None
        try:
            return self.dataset[tag].value
        except Exception as error:
            raise self._malformed(keyword) from error

    def _malformed(self, keyword: str) -> InputError:
        """What to raise. A value is quoted only where nothing but digits and the like is in it: errors are recorded."""
        text = self.raw(keyword).decode("ascii", "replace").strip(" \0")
        quotable = dictionary_representation(_tag(keyword)) in ("IS", "DS") and _HARMLESS.fullmatch(text)
        shown = f": {text!r} is not a number" if quotable else ""
        return InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is malformed{shown}")


@cache
def _tag(keyword: str) -> BaseTag:
    """Looked up once: a data set finds an element by its tag many times faster than by its keyword."""
    return TAGS.get(keyword) or Tag(keyword)


@lru_cache(maxsize=4096)
def read_code(raw: bytes) -> str:
    """The first of values as they are written, in capitals; empty where it is not of plain characters."""
    try:
        return raw.partition(b"\\")[0].decode("ascii").strip(" \0").upper()
    except UnicodeDecodeError:
        return ""


def _written(value: object) -> bytes:
    """A value that pydicom has converted, as it may have been written."""
    if value is None or (_is_many(value) and any(isinstance(item, Dataset) for item in value)):  # type: ignore[attr-defined]
        return b""
    parts = value if _is_many(value) else (value,)
    return "\\".join(str(part) for part in parts).encode("ascii", "replace")  # type: ignore[attr-defined]


def _converted(value: Any, kind: Any) -> Any:  # noqa: ANN401
    """A value of pydicom's as text, float or integer; ValueError where it is none."""
    if kind is str:
        return str(value)
    if isinstance(value, str):
        numbers = parse_numbers(value)
        if not numbers.is_standard:
            raise ValueError(value)
        (value,) = numbers.values
    return to_whole(value) if kind is int else float(value)


def _is_many(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
