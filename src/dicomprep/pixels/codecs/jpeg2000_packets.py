"""JPEG 2000 packets: leave out what no one would see in the thumbnail (ITU-T T.800 annex B, D).

A lossless codestream spends most of its decoding time on noise in the lowest bits. How many passes of a code-block are
decoded stands in the packet header, so writing smaller numbers there is enough: bodies and lengths stay as they are.
And most of its bytes code resolutions that a thumbnail does not need: of those that come first no others are fetched.
"""

import math
import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dicomprep.pixels.geometry import Box

__all__ = ["first_resolutions", "without_fine_passes"]

_RPCL = 2
"""Of the orders of packets, the last that has all of a resolution before the next (table A.16)."""

_SIZ, _COD, _TLM, _PLM, _PLT, _QCD, _CRG, _COM, _SOD = 0x51, 0x52, 0x55, 0x57, 0x58, 0x5C, 0x63, 0x64, 0x93
MIN_TOLERANCE = 1.0
"""Stored values; with less tolerance no packet is left out."""

_SUPPORT = 4
"""Coefficients on each side that may take part in a sample, those of all coarser levels included."""

_ALL_BLOCKS: Box = (0, 0, 2**15, 2**15)

_MAX_HEADER_BYTES_PER_BLOCK = 12
"""Bytes of a code-block in a packet header, as far as such headers are read here."""


def without_fine_passes(
    data: bytes, *, reduction: int, tolerance: float, shrink: float, region: Box | None = None
) -> tuple[bytes, int]:
    """The same bare codestream with fewer passes, and the step to which its samples are rounded then, else 0.

    As it is where it is not of the kind that scanners write: reversible, with one component, tile, layer, and precinct
    a resolution. `tolerance` is about the step allowed, `reduction` how often the decoder halves the image, `shrink`
    how many of its rows there are for one of the thumbnail, whose means blot out what is finer: bits of that go first.
    Of code-blocks that do not touch `region`, the only part that is looked at, next to nothing is left.
    """
    if tolerance < MIN_TOLERANCE:
        return data, 0
    try:
        stream = _read_stream(data)
        if stream is None or not stream.is_plain:
            return data, 0
        planes = round(math.log2(tolerance))
        return _assemble(stream, _thin(stream, reduction, planes, shrink, region)), 2**planes
    except (IndexError, KeyError, ValueError, struct.error):  # damaged: the decoder will say so
        return data, 0


def first_resolutions(data: bytes, *, reduction: int) -> bytes | None:
    """A bare codestream that decodes, halved at least `reduction` times, as the one of which `data` is the beginning.

    None where that does not reach as far, or where other resolutions may come in between: with several tiles or
    layers, or in an order by position or component.
    """
    try:
        stream = _read_stream(data)
        if stream is None:
            return None
        left_out = min(reduction, stream.levels)
        end = _find_end(stream, stream.levels + 1 - left_out)
        if not left_out or end > len(stream.packets):
            return None
        others = range(stream.levels + 1 - left_out, stream.levels + 1)
        missing = stream.components * sum(math.prod(_precincts(stream, resolution)) for resolution in others)
        return _assemble(stream, [stream.packets[:end], bytes(missing)])  # an empty packet is a byte of zeros
    except (IndexError, KeyError, ValueError, struct.error):
        return None


@dataclass(frozen=True, slots=True)
class _Stream:
    """What the markers say, and the packets of the only tile."""

    headers: bytes
    is_plain: bool
    """It is reversible, with one component, and one precinct a resolution."""
    components: int
    by_position: bool
    """Within a resolution, packets come by precincts before components (B.12)."""
    columns: int
    rows: int
    levels: int
    block: tuple[int, int]
    """Columns and rows of a code-block, as powers of two."""
    precincts: Sequence[tuple[int, int]]
    """The same of the precincts of each resolution."""
    planes: Sequence[int]
    """Bit planes of each band, in the order of the bands (annex E, equation E-2)."""
    packets: memoryview


def _read_stream(data: bytes) -> _Stream | None:
    found: dict[int, bytes] = {}
    kept, at = [data[:2]], 2
    for marker, start, end in _segments(data, 2, 0x90):
        if marker not in (_SIZ, _COD, _QCD, _CRG, _COM, _TLM, _PLM):
            return None
        found[marker] = data[start + 4 : end]
        kept += [] if marker in (_TLM, _PLM) else [data[start:end]]
        at = end
    columns, rows, x0, y0, tile_columns, tile_rows, tile_x0, tile_y0 = struct.unpack(">8I", found[_SIZ][2:34])
    style, order, layers, _, levels, *block, block_style, kernel = struct.unpack(">2BH6B", found[_COD][:10])
    (components,) = struct.unpack(">H", found[_SIZ][34:36])
    one_tile = not (x0 or y0 or tile_x0 or tile_y0) and tile_columns >= columns and tile_rows >= rows
    is_sampled = any(found[_SIZ][at : at + 2] != b"\1\1" for at in range(37, 36 + 3 * components, 3))
    by_resolution = order <= _RPCL or (style == 0 and components == 1)
    plain = (style & ~1, layers, block_style) == (0, 1, 0) and by_resolution and not is_sampled
    packets = _read_packets(data, at) if one_tile and plain and max(rows, columns) <= 2**15 else None
    if packets is None:
        return None
    sizes = found[_COD][10:] if style else b"\xff" * (levels + 1)
    return _Stream(
        b"".join(kept),
        is_plain=(style, components, kernel) == (0, 1, 1),
        components=components,
        by_position=order == _RPCL,
        columns=columns,
        rows=rows,
        levels=levels,
        block=(2 + block[0], 2 + block[1]),
        precincts=[(size & 15, size >> 4) for size in sizes],
        planes=_read_planes(found[_QCD]),
        packets=packets,
    )


def _read_planes(quantization: bytes) -> list[int]:
    """Bit planes of each band: without quantization, or where it is stated for each (A.6.4); else KeyError."""
    guard, style = quantization[0] >> 5, quantization[0] & 31
    width = {0: 1, 2: 2}[style]  # a step's exponent is in the upper five bits
    return [guard + (exponent >> 3) - 1 for exponent in quantization[1::width]]


def _segments(data: bytes, at: int, last: int) -> Iterator[tuple[int, int, int]]:
    """(marker, beginning, end) of each segment from `at` until the marker `last`."""
    while data[at + 1] != last:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] != 0xFF or end < at + 4:
            raise ValueError
        yield data[at + 1], at, end
        at = end


def _read_packets(data: bytes, at: int) -> memoryview | None:
    """The packets of all tile-parts; they go on from one to the next."""
    parts: list[memoryview] = []
    while data[at : at + 2] == b"\xff\x90":
        length = int.from_bytes(data[at + 6 : at + 10], "big")
        start, end = at + 12, at + length if length else len(data) - 2
        for marker, _, segment_end in _segments(data, at + 12, _SOD):
            if marker not in (_PLT, _COM):
                return None
            start = segment_end
        parts.append(memoryview(data)[start + 2 : end])
        at = end
    return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))


def _assemble(stream: _Stream, packets: Sequence[bytes | memoryview]) -> bytes:
    """A codestream of one tile-part."""
    length = sum(map(len, packets)) + 14
    tile = struct.pack(">2sHHIBB2s", b"\xff\x90", 10, 0, length, 0, 1, b"\xff\x93")
    return b"".join((stream.headers, tile, *packets, b"\xff\xd9"))


def _thin(
    stream: _Stream, reduction: int, spare_planes: int, shrink: float, region: Box | None
) -> list[bytes | memoryview]:
    """The packets, in which those of the resolutions that are decoded ask for fewer passes; the others are empty."""
    at = 0
    thinned: list[bytes | memoryview] = []
    for resolution in range(stream.levels + 1 - reduction):
        level = stream.levels - max(0, resolution - 1)
        spared = max(0.0, math.log2(0.75 * math.pi * shrink / 2**level))  # the envelope of means' frequency response
        spare = [spare_planes + int(axes * spared) for axes in range(3)]
        seen = _blocks_of(region, stream.block, level) if region else _ALL_BLOCKS
        header, body, end = _copy_packet(stream, at, list(_bands(stream, resolution, (0, 0))), spare, seen)
        thinned += [header, stream.packets[body:end]]
        at = end
    return [*thinned, bytes(reduction)]  # an empty packet is a byte of zeros


def _blocks_of(region: Box, block: tuple[int, int], level: int) -> Box:
    """The code-blocks of the bands of a level without which no pixel of a region can be had (F.3)."""
    top, left, bottom, right = region
    across, down = (2**length for length in block)
    first = (int((at / 2**level - _SUPPORT) // length) for at, length in ((top, down), (left, across)))
    after = (-int(-(at / 2**level + _SUPPORT) // length) for at, length in ((bottom, down), (right, across)))
    return (*first, *after)  # type: ignore[return-value]


def _find_end(stream: _Stream, resolutions: int) -> int:
    """Where the packets of the first resolutions end. ValueError where they are not all there."""
    at = 0
    for resolution in range(resolutions):
        across, down = _precincts(stream, resolution)
        places = [(x, y) for y in range(down) for x in range(across)]
        if at + stream.components * len(places) > len(stream.packets):
            raise ValueError
        again = [place for place in places for _ in range(stream.components)]
        for place in again if stream.by_position else places * stream.components:
            _, _, at = _copy_packet(stream, at, list(_bands(stream, resolution, place)), (0, 0, 0), _ALL_BLOCKS)
    return at


def _precincts(stream: _Stream, resolution: int) -> tuple[int, int]:
    """How many precincts a resolution has across and down (B-16)."""
    shift, (across, down) = stream.levels - resolution, stream.precincts[resolution]
    return -(-stream.columns // 2 ** (shift + across)), -(-stream.rows // 2 ** (shift + down))


_Band = tuple[int, int, int, int]


def _copy_packet(
    stream: _Stream, at: int, bands: Sequence[_Band], spare: Sequence[int], seen: Box
) -> tuple[bytes, int, int]:
    """(its header, where its body begins and ends) of the packet that begins at `at`.

    The header asks for passes of all bit planes but `spare`: of the bands without an axis of high frequency, with one,
    with both; of code-blocks that are not `seen` for one pass.
    """
    count = sum(across * down for across, down, _, _ in bands)
    bits = _Bits(bytes(stream.packets[at : at + count * _MAX_HEADER_BYTES_PER_BLOCK + 64]))
    if not bits.take(1):  # an empty packet
        return bytes(stream.packets[at : at + 1]), at + 1, at + 1
    header, body = ["1"], 0
    for across, down, planes, axes in bands:
        body += _thin_band(bits, header, (across, down), planes, planes - spare[axes], seen)
    begin = at + bits.bytes_taken()
    return _pack("".join(header)), begin, begin + body


def _bands(stream: _Stream, resolution: int, precinct: tuple[int, int]) -> Iterator[_Band]:
    """(code-blocks across, down, bit planes, axes of high frequency) of LL, or of HL, LH and HH, in a precinct."""
    level = stream.levels - max(0, resolution - 1)
    for number, high in enumerate([(0, 0)] if resolution == 0 else [(1, 0), (0, 1), (1, 1)]):
        blocks = [
            _blocks(
                -(-(length - 2**level // 2 * h) // 2**level),  # of the band (B-15)
                size - (resolution > 0),
                place,
                block,
            )
            for length, h, size, place, block in zip(
                (stream.columns, stream.rows), high, stream.precincts[resolution], precinct, stream.block, strict=True
            )
        ]
        yield blocks[0], blocks[1], stream.planes[max(0, 3 * resolution - 2) + number], sum(high)


def _blocks(length: int, size: int, place: int, block: int) -> int:
    """How many code-blocks there are in a precinct along one axis of a band (B.7)."""
    start, end = min(place << size, length), min(place + 1 << size, length)
    return -(-(end - start) // 2 ** min(block, size))


def _thin_band(bits: "_Bits", header: list[str], blocks: tuple[int, int], planes: int, kept: int, seen: Box) -> int:
    """Copy the packet header of one band, with passes for `kept` bit planes; the bytes of its bodies (B.10)."""
    inclusion, zero_planes = _TagTree(*blocks), _TagTree(*blocks)
    body = 0
    for y in range(blocks[1]):
        for x in range(blocks[0]):
            start = bits.at
            included = inclusion.value(bits, x, y, most=1) == 0
            missing = zero_planes.value(bits, x, y, most=planes + 1) if included else 0
            header.append(bits.text[start : bits.at])
            if not included:
                continue
            passes = _take_passes(bits)
            length = bits.take(3 + bits.ones() + passes.bit_length() - 1)
            is_seen = seen[0] <= y < seen[2] and seen[1] <= x < seen[3]
            fewer = min(passes, max(1, 3 * (kept - missing) - 2)) if is_seen else 1
            width = max(3, length.bit_length() - (fewer.bit_length() - 1))
            header.append(f"{_passes_code(fewer)}{'1' * (width - 3)}0{length:0{width + fewer.bit_length() - 1}b}")
            body += length
    return body


class _Bits:
    """The bits of a packet header: after a byte FF the next has only seven (B.10.1)."""

    def __init__(self, data: bytes) -> None:
        widths = [7 if before == 0xFF else 8 for before in b"\0" + data[:-1]]
        self.text = "".join(f"{byte:0{width}b}" for byte, width in zip(data, widths, strict=True))
        self.at = 0
        self._data = data
        ends, end = [], 0
        for width in widths:
            end += width
            ends.append(end)
        self._ends = ends

    def take(self, count: int) -> int:
        start, self.at = self.at, self.at + count
        if self.at > len(self.text):
            raise ValueError
        return int(self.text[start : self.at] or "0", 2)

    def ones(self) -> int:
        """How many ones there are before a zero."""
        end = self.text.index("0", self.at)
        count, self.at = end - self.at, end + 1
        return count

    def bytes_taken(self) -> int:
        """Whole bytes up to here; one that is FF has another behind it."""
        count = bisect_left(self._ends, self.at) + 1
        return count + (self._data[count - 1] == 0xFF)


class _TagTree:
    """Values of a grid, each told by as many bits as it differs from what is known of its neighborhood (B.10.2)."""

    def __init__(self, columns: int, rows: int) -> None:
        self._levels: list[tuple[int, list[int], list[bool]]] = []
        while columns * rows > 0:
            self._levels.append((columns, [0] * (columns * rows), [False] * (columns * rows)))
            if columns * rows == 1:
                break
            columns, rows = (columns + 1) // 2, (rows + 1) // 2

    def value(self, bits: _Bits, x: int, y: int, *, most: int) -> int:
        """The value at (x, y), or `most` where it is not less."""
        low = 0
        for level in range(len(self._levels) - 1, -1, -1):
            columns, lows, known = self._levels[level]
            place = (y >> level) * columns + (x >> level)
            low = max(low, lows[place])
            while low < most and not known[place]:
                if bits.take(1):
                    known[place] = True
                else:
                    low += 1
            lows[place] = low
        return low


def _take_passes(bits: _Bits) -> int:
    """The number of coding passes (table B.4)."""
    for first, width in ((1, 1), (2, 1), (3, 2), (6, 5)):
        value = bits.take(width)
        if value < 2**width - 1 or (width == 1 and value == 0):
            return first + value
    return 37 + bits.take(7)


def _passes_code(passes: int) -> str:
    for first, width, prefix in ((37, 7, "1" * 9), (6, 5, "1111"), (3, 2, "11"), (2, 1, "1"), (1, 1, "")):
        if passes >= first:
            return f"{prefix}{passes - first:0{width}b}"
    raise ValueError


def _pack(text: str) -> bytes:
    """Bits to bytes, padded with zeros; none follows a byte FF without a leading zero."""
    packed, at = bytearray(), 0
    while at < len(text):
        width = 7 if packed and packed[-1] == 0xFF else 8
        packed.append(int(text[at : at + width].ljust(width, "0"), 2))
        at += width
    return bytes(packed + (b"\0" if packed[-1] == 0xFF else b""))
