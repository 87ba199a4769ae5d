"""One frame's codestream to samples: one decoder for each transfer syntax (DICOM PS3.5 annex A.4, section 8.2)."""

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import imagecodecs
import numpy as np

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.base import FULL_DETAIL, Decoded, Detail, check_codestream, match_layout, pad_tile
from dicomprep.pixels.codecs.jpeg import decode_dct, decode_jpeg_ls, decode_lossless
from dicomprep.pixels.codecs.jpeg2000 import decode_jpeg2000
from dicomprep.pixels.codecs.markers import Codestream, identify_syntax, read_codestream, read_jpegxl_shape
from dicomprep.pixels.codecs.rle import unpack_planes
from dicomprep.pixels.stored import Layout, expand_bits, unpack_native

__all__ = [
    "ENCAPSULATED_UNCOMPRESSED",
    "NATIVE_SYNTAXES",
    "decode_codestream",
    "decode_native",
    "is_supported",
    "is_usually_reduced",
    "is_wavelet",
    "min_oversampling",
    "relative_cost",
    "supports_reduction",
]

UID = "1.2.840.10008.1.2"
ENCAPSULATED_UNCOMPRESSED = f"{UID}.1.98"
NATIVE_SYNTAXES = frozenset({UID, f"{UID}.1", f"{UID}.2", f"{UID}.1.99", "1.2.840.113619.5.2"})
"""Implicit and Explicit Little Endian, Explicit Big Endian, Deflated, one of GE: pixels lie there as they are."""


USUAL_SIZE = 224
"""Rows and columns of a thumbnail, unless others are asked for."""


def is_supported(transfer_syntax: str) -> bool:
    """Whether frames of this transfer syntax can be decoded here."""
    return transfer_syntax in NATIVE_SYNTAXES or transfer_syntax in _ALL_DECODERS


def supports_reduction(transfer_syntax: str) -> bool:
    """Whether the codec itself can decode at a fraction of the size."""
    return transfer_syntax in _REDUCING_DECODERS


def is_wavelet(transfer_syntax: str) -> bool:
    """Whether what the codec decodes at a fraction of the size are no means of blocks."""
    return _REDUCING_DECODERS.get(transfer_syntax) is decode_jpeg2000


def relative_cost(transfer_syntax: str | None) -> int:
    """How many times as long as with other codecs a pixel takes, at least."""
    return 8 if transfer_syntax in _JPEG_XL else 4 if is_wavelet(transfer_syntax or "") else 1


def min_oversampling(transfer_syntax: str, *, bits_stored: int, draft: bool = False) -> float:
    """How many rows are decoded for one of a thumbnail, at least, to stay within 40 dB of all of them, as measured.

    Blocks become means, here or by a DCT; what a wavelet keeps is aliased, and takes more averaging afterwards, most
    of all in pictures of 8 bits, which may hold lettering. A draft has half of that.
    """
    if not is_wavelet(transfer_syntax):
        return 1.0 if draft else 2.0
    if draft:
        return 1.75
    return 3.5 if bits_stored <= 8 else 2.7


def is_usually_reduced(transfer_syntax: str, layout: Layout) -> bool:
    """Whether such frames are so large that as a rule only a part of what their codestreams hold is decoded.

    That is said for thumbnails of the usual size, whatever is asked for: it decides by what digest frames are known.
    """
    if not supports_reduction(transfer_syntax):
        return False
    shrink = max(layout.rows, layout.columns) / USUAL_SIZE
    return shrink >= 2 * min_oversampling(transfer_syntax, bits_stored=layout.bits_stored)


def decode_native(data: bytes | memoryview, layout: Layout, *, big_endian: bool, bit_offset: int) -> Decoded:
    """Turn the bytes of one native frame into samples."""
    if layout.subsampled and layout.columns % 2:
        message = f"{layout.photometric_interpretation} with an odd number of columns is not supported"
        raise InputError(ErrorCode.UNSUPPORTED_PIXELS, message)
    if big_endian and layout.bits_allocated not in (1, 8, 16, 32, 64):
        message = f"packed samples of {layout.bits_allocated} bits in big endian are not supported"
        raise InputError(ErrorCode.UNSUPPORTED_PIXELS, message)
    pixels = unpack_native(data, layout, big_endian=big_endian, bit_offset=bit_offset)
    return Decoded(expand_bits(pixels, layout), layout.photometric_interpretation, layout.bits_stored, "native")


def decode_codestream(data: bytes, layout: Layout, *, transfer_syntax: str, detail: Detail = FULL_DETAIL) -> Decoded:
    """Decode one frame, in as much detail as is wanted.

    Raises InputError: `truncated` where the end of the codestream is missing, `corrupt_pixels` where it is
    damaged or contradicts the header, `unsupported_transfer_syntax` where nothing here decodes it.
    """
    if not is_supported(transfer_syntax):
        raise InputError(ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX, f"no decoder for transfer syntax {transfer_syntax}")
    if not data:
        raise InputError(ErrorCode.TRUNCATED, "the frame's codestream is empty")
    try:
        found = _syntax_found(data, transfer_syntax)
        own = _tile_layout(data, layout) if layout.tiled else layout
        decoded = (
            _REDUCING_DECODERS[found](data, own, detail) if found in _REDUCING_DECODERS else _DECODERS[found](data, own)
        )
    except (InputError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise InputError(ErrorCode.CORRUPT_PIXELS, f"the codestream cannot be decoded: {reason}") from error
    if own is not layout:
        decoded = pad_tile(decoded, layout)
    if found == transfer_syntax:
        return decoded
    note = f"the codestream is not of the transfer syntax that is stated; its markers say {found}"
    return replace(decoded, notes=(*decoded.notes, note))


def _tile_layout(data: bytes, layout: Layout) -> Layout:
    """The layout of a tile that is cut to the slide's edge; any other contradiction is left to the decoder."""
    stream = read_codestream(data)
    if stream is None or min(stream.rows, stream.columns) < 1:
        return layout
    if stream.rows > layout.rows or stream.columns > layout.columns:
        return layout
    if (stream.rows, stream.columns) == (layout.rows, layout.columns):
        return layout
    return replace(layout, rows=stream.rows, columns=stream.columns)


def _syntax_found(data: bytes, stated: str) -> str:
    """The transfer syntax whose decoder the codestream's own markers ask for; the stated one where they say nothing."""
    if stated in _UNMARKED:
        return stated
    try:
        found = identify_syntax(data)
    except ValueError:
        return stated
    if found is None or {found, stated} <= _JPEG_XL or _ALL_DECODERS[found] is _ALL_DECODERS[stated]:
        return stated
    return found


def _decode_jpegxl(data: bytes, layout: Layout, *, lossless: bool) -> Decoded:
    """By libjxl, which undoes its own colour transforms; what a lossless encoder was given as YBR_FULL is YBR_FULL."""
    rows, columns = read_jpegxl_shape(data)
    check_codestream(Codestream(rows, columns, layout.samples, layout.bits_stored), layout, data)
    pixels = imagecodecs.jpegxl_decode(data)
    photometric = layout.photometric_interpretation
    if layout.samples == 3 and not (lossless and photometric == "YBR_FULL"):
        photometric = "RGB"
    components = pixels.shape[2:]
    bits = max(pixels.dtype.itemsize * 8, layout.bits_stored)
    stream = Codestream(rows, columns, components[0] if components else 1, bits, lossy=not lossless)
    return match_layout(pixels, check_codestream(stream, layout, data), layout, "libjxl", photometric=photometric)


def _decode_rle(data: bytes, layout: Layout) -> Decoded:
    """RLE Lossless (PS3.5 annex G): byte planes of each sample, most significant first; single bits are packed."""
    width = layout.bits_allocated // 8
    plane_bytes = (layout.rows * layout.columns * min(8, layout.bits_allocated) + 7) // 8
    planes = unpack_planes(data, count=layout.samples * width if width else None, plane_bytes=plane_bytes)
    if width == 0:
        return _decode_encapsulated_native(planes.tobytes(), layout)
    planar = planes.reshape(layout.samples, width, layout.rows, layout.columns)
    samples = np.ascontiguousarray(np.moveaxis(planar, (0, 1), (2, 3))).view(f">u{width}")[..., 0]
    pixels = samples.astype(layout.dtype)
    pixels = pixels[..., 0] if layout.samples == 1 else pixels
    return Decoded(
        expand_bits(pixels, layout), layout.photometric_interpretation, layout.bits_stored, "imagecodecs PackBits"
    )


def _decode_encapsulated_native(data: bytes, layout: Layout) -> Decoded:
    wanted = (layout.frame_bits + 7) // 8
    _check_length(len(data), wanted, spare=wanted // 64 + 8, what="bytes")
    return decode_native(data[:wanted], layout, big_endian=False, bit_offset=0)


def _decode_deflated_frame(data: bytes, layout: Layout) -> Decoded:
    wanted = (layout.frame_bits + 7) // 8
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    inflated = stream.decompress(data, 2 * wanted)
    if not stream.eof and not stream.unconsumed_tail:
        raise InputError(ErrorCode.TRUNCATED, f"the deflated frame breaks off after {len(inflated):,} bytes")
    return _decode_encapsulated_native(inflated, layout)


def _check_length(found: int, wanted: int, *, spare: int, what: str) -> None:
    """Refuse a frame that is cut, or that is clearly another image than the header's; padding is no matter."""
    if found < wanted:
        raise InputError(ErrorCode.TRUNCATED, f"{found:,} of the frame's {wanted:,} {what} are there")
    if found > wanted + spare:
        raise InputError(ErrorCode.CORRUPT_PIXELS, f"the frame holds {found:,} {what}, the header says {wanted:,}")


_JPEG_XL = frozenset(f"{UID}.4.{process}" for process in (110, 111, 112))
"""Their markers do not tell them apart."""

_decode_jpegxl_lossy = partial(_decode_jpegxl, lossless=False)

_UNMARKED = frozenset({ENCAPSULATED_UNCOMPRESSED, f"{UID}.8.1"})
"""Their frames begin with any bytes."""

_DECODERS: dict[str, Callable[[bytes, Layout], Decoded]] = {
    ENCAPSULATED_UNCOMPRESSED: _decode_encapsulated_native,
    f"{UID}.8.1": _decode_deflated_frame,
    f"{UID}.5": _decode_rle,
    **{f"{UID}.4.{process}": decode_lossless for process in (57, 70)},
    **{f"{UID}.4.{process}": decode_jpeg_ls for process in (80, 81)},
    f"{UID}.4.110": partial(_decode_jpegxl, lossless=True),
    **{f"{UID}.4.{process}": _decode_jpegxl_lossy for process in (111, 112)},
}
_REDUCING_DECODERS: dict[str, Callable[[bytes, Layout, Detail], Decoded]] = {
    **{f"{UID}.4.{process}": decode_dct for process in range(50, 57)},
    **{f"{UID}.4.{process}": decode_jpeg2000 for process in (90, 91, 92, 93, 201, 202, 203)},
}
"""Those that can decode at a fraction of the size, for a fraction of the time."""

_ALL_DECODERS: dict[str, Callable[..., Decoded]] = {**_DECODERS, **_REDUCING_DECODERS}
