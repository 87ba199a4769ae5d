"""CSV as other programs write it: which encoding, which separator, and how that was found.

Spreadsheets write semicolons where the comma is a decimal mark, tabs in UTF-16 as "Unicode Text", and `sep=;` in a
first line of its own. What cannot be told is refused: letters of a wrong encoding would become names of classes.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

__all__ = ["Dialect", "normalized_heading", "read_delimited"]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32 (little endian)"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32 (big endian)"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16 (little endian)"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16 (big endian)"),
)
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"PAR1", "a Parquet file"),
    (b"\x1f\x8b", "compressed by gzip"),
)
_SEP_LINE = re.compile(r"\s*\"?sep=(.)\"?[ \t]*(?:\r\n|\r|\n|$)", re.IGNORECASE)
_END = "\x1fend of the table"
"""A record of our own behind the last one: where it does not come, a quotation mark was not closed."""
EXAMINED_RECORDS = 20
"""Records from which the separator is detected."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written."""

    encoding: str = "UTF-8"
    separator: str = ","

    @property
    def note(self) -> str:
        """How the table was read, in a sentence; empty where it is plain UTF-8 with commas."""
        if (self.encoding, self.separator) == ("UTF-8", ","):
            return ""
        separator = SEPARATORS.get(self.separator, f"the separator {self.separator}")
        return f"Read as {self.encoding}, separated by {separator}."


def read_delimited(content: bytes, telling: frozenset[str]) -> tuple[list[str], list[tuple[int, list[str]]], Dialect]:
    """The head and the records, each with the number of its first line, without those whose cells are all empty.

    Of several separators the right one is that which makes of the head a column that is among `telling`. Raises
    ValueError where the encoding is not known, csv.Error where quotation marks do not match.
    """
    text, encoding = _decode(content)
    start, lines = 0, 0
    stated = _SEP_LINE.match(text)
    if stated is not None:
        start, lines = stated.end(), len(stated[0].splitlines())
    separator = stated[1] if stated is not None else _find_separator(text, telling)
    names, rows = list[str](), list[tuple[int, list[str]]]()
    for line, cells in _records(text[start:], separator):
        if not any(map(str.strip, cells)):
            continue
        if names:
            rows.append((line + lines, cells))
        else:
            names = cells
    return names, rows, Dialect(encoding, separator)


def normalized_heading(name: str) -> str:
    """A heading as columns are found by it: `SOP Instance UID`, `sop_instance_uid` and `SOPInstanceUID` are one.

    >>> normalized_heading("SOP Instance UID")
    'sopinstanceuid'
    """
    return "".join(filter(str.isalnum, name.casefold()))


def _decode(content: bytes) -> tuple[str, str]:
    kind = next((kind for start, kind in _OTHERS if content.startswith(start)), None)
    if kind is not None:
        raise ValueError(f"the file is {kind}, not CSV. Save it as CSV (UTF-8).")
    mark, codec, name = next((m for m in _MARKS if content.startswith(m[0])), (b"", _unmarked(content), ""))
    name = name or {"utf-16-le": "UTF-16 (little endian)", "utf-16-be": "UTF-16 (big endian)"}.get(codec, "UTF-8")
    try:
        text = content[len(mark) :].decode(codec)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        other = "Windows-1252, Latin-1 or another encoding" if codec == "utf-8" else "cut off or another encoding"
        found = f"line {line} is not {name} (byte 0x{content[len(mark) + error.start]:02X})"
        raise ValueError(f"{found}: the file may be {other}. Save it as CSV (UTF-8).") from error
    if "\0" in text:
        raise ValueError("the file contains NUL characters: it is damaged, or not CSV.")
    return text, name


def _unmarked(content: bytes) -> str:
    """UTF-16 without its mark: in ASCII characters, which heads have, every other byte is zero."""
    head = content[:64]
    if len(head) >= 4 and head[0] and head[2] and not head[1] and not head[3]:
        return "utf-16-le"
    return "utf-16-be" if len(head) >= 4 and head[1] and head[3] and not head[0] and not head[2] else "utf-8"


def _find_separator(text: str, telling: frozenset[str]) -> str:
    found = {separator: _judge(text, separator, telling) for separator in SEPARATORS}
    return max(found, key=lambda separator: found[separator])


def _judge(text: str, separator: str, telling: frozenset[str]) -> tuple[bool, bool, int]:
    """Whether a telling column comes about, whether rows are as long as the head, and how many columns there are."""
    head: list[list[str]] = []
    with suppress(csv.Error):  # whoever reads all of it says so
        for _, cells in islice(_records(text, separator), EXAMINED_RECORDS):
            head += [cells] if any(map(str.strip, cells)) else []
    names, *rows = head or [[]]
    tells = any(normalized_heading(name) in telling for name in names)
    return tells, all(len(row) == len(names) for row in rows), len(names)


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the numbers of their first lines; csv.Error where a quotation mark swallows all that follows."""
    reader = csv.reader(io.StringIO(f"{text}\n{_END}", newline=""), delimiter=separator, skipinitialspace=True)
    line = 1
    for cells in reader:
        if cells == [_END]:
            return
        yield line, cells
        unclosed, line = line, reader.line_num + 1
    raise csv.Error(f"line {unclosed}: a quotation mark is not closed")
