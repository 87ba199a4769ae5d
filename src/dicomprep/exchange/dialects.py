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
from itertools import chain, islice
from typing import Any, BinaryIO

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
HEAD_LINES = 8
"""Lines among which `sep=` is looked for."""
PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written."""

    encoding: str = "UTF-8"
    separator: str = ","
    row_names: str = ""
    """That rows have one cell more than the head, in a sentence."""

    @property
    def note(self) -> str:
        """How the table was read, in a sentence; empty where it is plain UTF-8 with commas."""
        if (self.encoding, self.separator) == ("UTF-8", ","):
            return self.row_names
        separator = SEPARATORS.get(self.separator, f"the separator {self.separator}")
        return f"Read as {self.encoding}, separated by {separator}. {self.row_names}".strip()


def read_delimited(
    file: BinaryIO, telling: frozenset[str]
) -> tuple[list[str], Iterator[tuple[int, list[str]]], Dialect]:
    """The head and the records, each with the number of its first line, without those whose cells are all empty.

    Of several separators the right one is that which makes of the head a column that is among `telling`. Raises
    ValueError where the encoding is not known, csv.Error (also as the records are read) where quotation marks do not
    match.
    """
    text = _Text.of(file)
    stated = _SEP_LINE.match("".join(islice(text.lines(), HEAD_LINES)))
    skipped = len(stated[0].splitlines()) if stated is not None else 0
    separator = stated[1] if stated is not None else _find_separator(text, telling)
    records = ((line, cells) for line, cells in _records(text, separator, skipped) if any(map(str.strip, cells)))
    _, names = next(records, (0, list[str]()))
    first = next(records, None)
    if first is None:
        return names, iter(()), Dialect(text.encoding, separator)
    names, note = _with_row_names(names, first[1])
    return names, chain([first], records), Dialect(text.encoding, separator, note)


def _with_row_names(names: list[str], first: list[str]) -> tuple[list[str], str]:
    """The head, with one more column where rows begin with a number that it has no name for, as R writes them."""
    if len(first) == len(names) + 1 and first[0].strip() in ("0", "1") and first[-1].strip():
        return ["", *names], "The first column, which has no heading, is taken for row numbers."
    return names, ""


def normalized_heading(name: str) -> str:
    """A heading as columns are found by it: `SOP Instance UID`, `sop_instance_uid` and `SOPInstanceUID` are one.

    >>> normalized_heading("SOP Instance UID")
    'sopinstanceuid'
    """
    return "".join(filter(str.isalnum, name.casefold()))


class _Lent(io.RawIOBase):
    """A file that stays open when its reader is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


@dataclass(frozen=True, slots=True)
class _Text:
    """A file as text, a line at a time, as often as it takes."""

    file: BinaryIO
    start: int
    """Bytes of its mark."""
    codec: str
    encoding: str

    @classmethod
    def of(cls, file: BinaryIO) -> "_Text":
        """ValueError where it is no text in an encoding that is known, or another kind of file."""
        head = file.read(64)
        kind = next((kind for start, kind in _OTHERS if head.startswith(start)), None)
        if kind is not None:
            raise ValueError(f"the file is {kind}, not CSV. Save it as CSV (UTF-8).")
        mark, codec, name = next((m for m in _MARKS if head.startswith(m[0])), (b"", _unmarked(head), ""))
        names = {"utf-16-le": "UTF-16 (little endian)", "utf-16-be": "UTF-16 (big endian)"}
        text = cls(file, len(mark), codec, name or names.get(codec, "UTF-8"))
        text._require_decodable()
        return text

    def lines(self) -> Iterator[str]:
        """Its lines with their ends, as they are."""
        self.file.seek(self.start)
        yield from io.TextIOWrapper(io.BufferedReader(_Lent(self.file)), self.codec, newline="")

    def _require_decodable(self) -> None:
        decoder, lines, position = codecs.getincrementaldecoder(self.codec)(), 1, self.start
        self.file.seek(self.start)
        while True:
            piece = self.file.read(PIECE_BYTES)
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                lines += error.object[: error.start].count(b"\n")
                raise ValueError(self._explain(error, lines, position - pending)) from error
            if "\0" in text:
                raise ValueError("the file contains NUL characters: it is damaged, or not CSV.")
            if not piece:
                return
            lines += text.count("\n")
            position += len(piece)

    def _explain(self, error: UnicodeDecodeError, line: int, position: int) -> str:
        self.file.seek(position + error.start)
        byte = self.file.read(1)[0]
        other = "Windows-1252, Latin-1 or another encoding" if self.codec == "utf-8" else "cut off or another encoding"
        found = f"line {line} is not {self.encoding} (byte 0x{byte:02X})"
        return f"{found}: the file may be {other}. Save it as CSV (UTF-8)."


def _unmarked(head: bytes) -> str:
    """UTF-16 without its mark: in ASCII characters, which heads have, every other byte is zero."""
    if len(head) >= 4 and head[0] and head[2] and not head[1] and not head[3]:
        return "utf-16-le"
    return "utf-16-be" if len(head) >= 4 and head[1] and head[3] and not head[0] and not head[2] else "utf-8"


def _find_separator(text: _Text, telling: frozenset[str]) -> str:
    found = {separator: _judge(text, separator, telling) for separator in SEPARATORS}
    return max(found, key=lambda separator: found[separator])


def _judge(text: _Text, separator: str, telling: frozenset[str]) -> tuple[bool, bool, int]:
    """Whether a telling column comes about, whether rows are as long as the head, and how many columns there are."""
    head: list[list[str]] = []
    with suppress(csv.Error):  # whoever reads all of it says so
        for _, cells in islice(_records(text, separator), EXAMINED_RECORDS):
            head += [cells] if any(map(str.strip, cells)) else []
    names, *rows = head or [[]]
    tells = any(normalized_heading(name) in telling for name in names)
    return tells, all(len(row) == len(names) for row in rows), len(names)


def _records(text: _Text, separator: str, skipped: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Records with the numbers of their first lines; csv.Error where a quotation mark swallows all that follows."""
    lines = chain(islice(text.lines(), skipped, None), ["\n", _END])
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    line = skipped + 1
    for cells in reader:
        if cells == [_END]:
            return
        yield line, cells
        unclosed, line = line, skipped + reader.line_num + 1
    raise csv.Error(f"line {unclosed}: a quotation mark is not closed")
