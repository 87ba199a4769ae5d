"""Frames that are not compressed, or deflated only (DICOM PS3.5 section 8.1, A.4.11, A.4.12)."""

import zlib

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.base import Decoded, Detail, are_installed
from dicomprep.pixels.codecs.transfer_syntaxes import DEFLATED_FRAME, ENCAPSULATED_UNCOMPRESSED
from dicomprep.pixels.stored import Layout, expand_bits, unpack_native

__all__ = ["DEPENDENCIES", "TRANSFER_SYNTAXES", "decode", "decode_native", "is_available"]

TRANSFER_SYNTAXES = frozenset({ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAME})
DEPENDENCIES: tuple[str, ...] = ()


def is_available() -> bool:
    """Always: nothing but NumPy and zlib is needed."""
    return are_installed(DEPENDENCIES)


def decode(data: bytes, layout: Layout, *, transfer_syntax: str, detail: Detail) -> Decoded:
    """Decode one encapsulated frame that is not compressed, or deflated only.

    Returns (rows, columns) or (rows, columns, 3) of `layout.dtype`. Raises InputError `truncated` where it is short,
    `corrupt_pixels` where it is far too long.
    """
    wanted = (layout.frame_bits + 7) // 8
    if transfer_syntax == DEFLATED_FRAME:
        data = _inflate(data, 2 * wanted)
    if len(data) < wanted:
        raise InputError(ErrorCode.TRUNCATED, f"pixel data truncated: {len(data):,} of {wanted:,} bytes")
    if len(data) > wanted + wanted // 64 + 8:  # some padding is no matter
        message = f"frame of {len(data):,} bytes contradicts Rows/Columns, which make {wanted:,} bytes"
        raise InputError(ErrorCode.CORRUPT_PIXELS, message)
    return decode_native(data[:wanted], layout, big_endian=False, bit_offset=0)


def decode_native(data: bytes | memoryview, layout: Layout, *, big_endian: bool, bit_offset: int) -> Decoded:
    """Unpack one native frame.

    `bit_offset` (0…7) is where the frame begins in its first byte. Returns (rows, columns) or (rows, columns, 3) of
    `layout.dtype`, masked and sign-extended. Raises InputError `unsupported_pixels`.
    """
    if layout.subsampled and layout.columns % 2:
        message = f"{layout.photometric_interpretation} with an odd number of columns is not supported"
        raise InputError(ErrorCode.UNSUPPORTED_PIXELS, message)
    if big_endian and layout.bits_allocated not in (1, 8, 16, 32, 64):
        message = f"packed samples of {layout.bits_allocated} bits in big endian are not supported"
        raise InputError(ErrorCode.UNSUPPORTED_PIXELS, message)
    pixels = unpack_native(data, layout, big_endian=big_endian, bit_offset=bit_offset)
    return Decoded(expand_bits(pixels, layout), layout.photometric_interpretation, layout.bits_stored, "native")


def _inflate(data: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    inflated = stream.decompress(data, limit)
    if not stream.eof and not stream.unconsumed_tail:
        raise InputError(ErrorCode.TRUNCATED, f"deflated frame truncated after {len(inflated):,} bytes")
    return inflated
