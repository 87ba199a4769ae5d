"""Where sequences and other values of undefined length end (DICOM PS3.5 7.5.1, A.4)."""

import struct

__all__ = ["DELIMITERS", "ITEM", "ITEM_END", "LONG_VRS", "SEQUENCE_END", "UNDEFINED", "find_end"]

UNDEFINED = 0xFFFFFFFF
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Value Representations whose length has four bytes, after two that are reserved."""

DELIMITERS, ITEM, ITEM_END, SEQUENCE_END = 0xFFFE, 0xE000, 0xE00D, 0xE0DD
"""The group of items and delimiters, and their elements (PS3.5 7.5)."""

_MAX_DEPTH = 32
"""Nested sequences that are entered; bounds recursion."""


def find_end(buffer: bytes | memoryview, at: int, *, implicit: bool, big_endian: bool, depth: int = 0) -> int:
    """The position after the delimiter of the items or fragments that begin at `at`.

    A value of UN is in Implicit VR Little Endian whatever is around it (PS3.5 6.2.2, CP-246). Raises ValueError where
    there is something else, or too deep; struct.error where `buffer` ends before.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    read = struct.Struct(">2HI" if big_endian else "<2HI").unpack_from
    while True:
        group, element, length = read(buffer, at)
        at += 8
        if group != DELIMITERS or element not in (ITEM, SEQUENCE_END):
            raise ValueError("no item")
        if element == SEQUENCE_END:
            return at
        at = at + length if length != UNDEFINED else _find_item_end(buffer, at, implicit, big_endian, depth)


def _find_item_end(buffer: bytes | memoryview, at: int, implicit: bool, big_endian: bool, depth: int) -> int:
    order = ">" if big_endian else "<"
    read_tag, read_length = struct.Struct(f"{order}2H").unpack_from, struct.Struct(f"{order}I").unpack_from
    read_short = struct.Struct(f"{order}H").unpack_from
    while True:
        tag = read_tag(buffer, at)
        if tag == (DELIMITERS, ITEM_END):
            return at + 8
        vr = b"" if implicit else bytes(buffer[at + 4 : at + 6])
        if implicit:
            (length,), at = read_length(buffer, at + 4), at + 8
        elif vr in LONG_VRS:
            (length,), at = read_length(buffer, at + 8), at + 12
        else:
            (length,), at = read_short(buffer, at + 6), at + 8
        if length == UNDEFINED:
            unknown = vr == b"UN"
            little = unknown or not big_endian
            at = find_end(buffer, at, implicit=implicit or unknown, big_endian=not little, depth=depth + 1)
        else:
            at += length
