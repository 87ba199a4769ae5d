"""JPEG: DCT of 8 and 12 bits, and Lossless, by libjpeg-turbo (ITU-T T.81; DICOM PS3.5 8.2.1, A.4.1)."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.base import (
    Decoded,
    Detail,
    are_installed,
    check_codestream,
    match_layout,
    reduce_resolution,
)
from dicomprep.pixels.codecs.damage import (
    find_markers,
    require_huffman_tables,
    require_sound_scan,
)
from dicomprep.pixels.codecs.markers import Codestream, header_segments, read_jpeg
from dicomprep.pixels.codecs.transfer_syntaxes import JPEG_DCT, JPEG_LOSSLESS
from dicomprep.pixels.resampling import Grid
from dicomprep.pixels.stored import Layout

__all__ = ["DEPENDENCIES", "TRANSFER_SYNTAXES", "decode", "is_available"]

TRANSFER_SYNTAXES = JPEG_DCT | JPEG_LOSSLESS
DEPENDENCIES: tuple[str, ...] = ("imagecodecs", "simplejpeg")

MAX_SCANS = 500
"""Scans of a progressive image; bounds time, for each takes as long as the whole image."""

MAX_SCANNED_PIXELS = 2**31
"""Scans times pixels, where there are more scans than four components need; bounds time."""

_LOSSLESS = 0xC3
_SEQUENTIAL = (0xC0, 0xC1)
"""Frame markers of sequential DCT that is Huffman coded."""

_FILLER = b"\x55" * 1024
_HARMLESS = re.compile("Invalid SOS parameters|Unknown Adobe color transform|unknown JFIF revision|ICC")
"""What libjpeg-turbo may remark although the picture is what was encoded."""

_ZERO_BITS = frozenset({0, *((1 - 2**k) % 2**16 for k in range(1, 16)), 2**15})
"""Differences that a code of nothing but zero bits may stand for; the rest of a row is filled with one of them."""


def is_available() -> bool:
    """Whether libjpeg-turbo can be loaded, for 8 bits and for more."""
    return are_installed(DEPENDENCIES)


def decode(data: bytes, layout: Layout, *, transfer_syntax: str, detail: Detail) -> Decoded:
    """Decode one frame of DCT or Lossless JPEG.

    Returns (rows, columns) or (rows, columns, 3), RGB where DCT coded three components; 8-bit DCT at 1/2, 1/4 or 1/8 of
    the size where `detail` allows it. Raises InputError `truncated`, `corrupt_pixels`, `limit_exceeded`.
    """
    if transfer_syntax in JPEG_LOSSLESS:
        return _decode_lossless(data, layout)
    return _decode_dct(data, layout, detail)


def _decode_dct(data: bytes, layout: Layout, detail: Detail) -> Decoded:
    """Baseline, extended and progressive DCT of 8 or 12 bits, Huffman or arithmetic coded.

    8 bits at 1/2, 1/4 or 1/8 of the size, where that is wanted; 12 bits in full, of which blocks become means.
    """
    stream = check_codestream(read_jpeg(data), layout, data)
    scans = int(np.count_nonzero(find_markers(data)[1] == 0xDA))
    if scans > MAX_SCANS:
        raise InputError(ErrorCode.CORRUPT_PIXELS, f"the JPEG image has more than {MAX_SCANS} scans")
    if scans > 4 and scans * stream.rows * stream.columns > MAX_SCANNED_PIXELS:
        message = f"too many scans: {scans} of {stream.rows:,}×{stream.columns:,} pixels"
        raise InputError(ErrorCode.LIMIT_EXCEEDED, message)
    require_sound_scan(data)
    if stream.bits > 8 and stream.process in _SEQUENTIAL:
        require_huffman_tables(data)
    reduction = min(3, detail.reduction) if stream.bits <= 8 and not layout.signed else 0
    ycbcr = layout.samples == 3 and _is_ycbcr(stream, layout)
    pixels, notes = _decode_samples(data, stream, ycbcr=ycbcr, reduction=reduction)
    said = layout.photometric_interpretation
    if layout.samples == 3 and (said == "RGB") == ycbcr:
        notes = (
            *notes,
            f"Photometric Interpretation (0028,0004) is {said}, codestream is {'YCbCr' if ycbcr else 'RGB'}",
        )
    photometric = "RGB" if layout.samples == 3 else said
    decoded = match_layout(pixels, stream, layout, "libjpeg-turbo", photometric=photometric, notes=notes)
    if reduction == 0:
        return reduce_resolution(decoded, times=detail.reduction)
    return replace(decoded, grid=Grid(2**reduction))


def _decode_lossless(data: bytes, layout: Layout) -> Decoded:
    """By libjpeg-turbo, for liblj92 and jpg_0xc3 crash on streams without a Huffman table.

    Components come out as they were put in, whatever color space JFIF or Adobe markers speak of.
    """
    stream = check_codestream(read_jpeg(data), layout, data)
    pixels, notes = _decode_samples(data, stream, ycbcr=False, reduction=0)
    return match_layout(pixels, stream, layout, "libjpeg-turbo", notes=notes)


def _decode_samples(
    data: bytes, stream: Codestream, *, ycbcr: bool, reduction: int
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Samples (RGB where there are three) and what libjpeg-turbo remarked; InputError where it had to invent some."""
    color = stream.components == 3
    if stream.bits > 8:
        return _decode_deep(data, stream, ycbcr=ycbcr), ()
    if color:
        data = _state_color_transform(data, stream, ycbcr=ycbcr)
    least = [(length + 2**reduction - 1) >> reduction if reduction else 0 for length in (stream.rows, stream.columns)]
    space = "RGB" if color else "GRAY"
    try:
        return simplejpeg.decode_jpeg(data, space, min_height=least[0], min_width=least[1]), ()
    except ValueError as error:
        remark = str(error)
    if "remature end" in remark:
        raise InputError(ErrorCode.TRUNCATED, "codestream truncated: incomplete image")
    if not _HARMLESS.search(remark) and not _is_padding(data, remark):
        raise InputError(ErrorCode.CORRUPT_PIXELS, f"codestream damaged: {remark}")
    decode = partial(simplejpeg.decode_jpeg, colorspace=space, min_height=least[0], min_width=least[1], strict=False)
    pixels = decode(data)
    _require_enough(data, pixels, decode)  # for only one thing is remarked at a time
    return pixels, (f"libjpeg-turbo warning: {remark}",)


def _state_color_transform(data: bytes, stream: Codestream, *, ycbcr: bool) -> bytes:
    """The same JPEG codestream, with markers that make every decoder take its three components as YCbCr or as RGB."""
    stated = stream.adobe_transform if not stream.jfif else 1 if stream.adobe_transform in (None, 1) else None
    if stated == int(ycbcr):
        return data
    kept = [b"\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00", bytes([int(ycbcr)])]
    at = 2
    for marker, segment, end in header_segments(data):
        if marker not in (0xE0, 0xEE) or segment[:5] not in (b"JFIF\0", b"Adobe"):
            kept.append(data[at:end])
        at = end
    return b"".join((*kept, data[at:]))


def _decode_deep(data: bytes, stream: Codestream, *, ycbcr: bool) -> NDArray[Any]:
    """Samples of more than 8 bits, of which libjpeg-turbo's warnings do not come through.

    A stream that ran short shows: it gives another picture when more bytes stand before its end marker. Lossless
    ones need that second look only where the last sample is what libjpeg-turbo would invent.
    """
    color = stream.components == 3
    coded, wanted = ("YCBCR" if ycbcr else "RGB", "RGB") if color else (None, None)
    decode = partial(imagecodecs.jpeg8_decode, colorspace=coded, outcolorspace=wanted)
    pixels = decode(data)
    if stream.process != _LOSSLESS or _ends_as_invented(pixels, stream):
        _require_enough(data, pixels, decode)
    return pixels


def _require_enough(data: bytes, pixels: NDArray[Any], decode: Callable[[bytes], NDArray[Any]]) -> None:
    """Refuse a stream that ran short: one of which more bytes before the end marker change what is decoded."""
    end = _end_of_scan(data)
    if not np.array_equal(pixels, decode(data[:end] + _FILLER + data[end:])):
        raise InputError(ErrorCode.TRUNCATED, "codestream truncated: incomplete image")


def _end_of_scan(data: bytes) -> int:
    """Where the coded data end: before the end marker and the fill bytes FF that may precede it (T.81 B.1.1.2).

    The first one behind the last scan begins: there may be others in what follows it.
    """
    end = data.find(b"\xff\xd9", max(0, data.rfind(b"\xff\xda")))
    end = end if end >= 0 else data.rfind(b"\xff\xd9")
    while data[end - 1] == 0xFF:  # none belongs to the code, where 00 follows an FF
        end -= 1
    return end


def _ends_as_invented(pixels: NDArray[Any], stream: Codestream) -> bool:
    """Whether the last sample is what its neighbors predict (T.81 table H.1), or as if there were none."""
    if min(pixels.shape[:2]) < 2:
        return True
    corners = zip(*(np.ravel(pixels[i, j]).tolist() for i, j in ((-1, -1), (-1, -2), (-2, -1), (-2, -2))), strict=True)
    for last, left, above, corner in corners:
        predicted = _predict(stream.predictor, left, above, corner)
        difference = 0 if predicted is None else (last - predicted) % 2**16
        if difference in _ZERO_BITS or last in (left, 2 ** (stream.bits - 1)):
            return True
    return False


def _predict(predictor: int, left: int, above: int, corner: int) -> int | None:
    """A sample from those beside, above and diagonally before it; None where no such predictor is known."""
    predictions = {
        1: left,
        2: above,
        3: corner,
        4: left + above - corner,
        5: left + (above - corner) // 2,
        6: above + (left - corner) // 2,
        7: (left + above) // 2,
    }
    return predictions.get(predictor)


def _is_padding(data: bytes, remark: str) -> bool:
    """Whether the few bytes that are left over before the end marker say nothing: some encoders fill up a word."""
    count = re.search(r"(\d+) extraneous bytes before marker 0xd9", remark)
    end = data.rfind(b"\xff\xd9")
    return count is not None and int(count[1]) < 8 and not data[end - int(count[1]) : end].strip(b"\0\xff")


def _is_ycbcr(stream: Codestream, layout: Layout) -> bool:
    """Whether three JPEG components are YCbCr: the codestream's own markers first, then the header."""
    if stream.adobe_transform is not None:
        return stream.adobe_transform == 1
    if stream.component_ids == (0x52, 0x47, 0x42):
        return False
    return stream.jfif or layout.photometric_interpretation != "RGB"
