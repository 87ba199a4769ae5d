"""One frame's codestream to samples: one decoder for each transfer syntax (DICOM PS3.5 annex A.4, section 8.2)."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codestream import Codestream, read_jpeg, read_jpeg2000, read_jpegxl_shape
from dicomprep.pixels.stored import Layout, expand_bits, unpack_native

__all__ = ["NATIVE_SYNTAXES", "Decoded", "decode_codestream", "decode_native", "is_supported"]

UID = "1.2.840.10008.1.2"
NATIVE_SYNTAXES = frozenset({UID, f"{UID}.1", f"{UID}.2", f"{UID}.1.99", "1.2.840.113619.5.2"})
"""Implicit and Explicit Little Endian, Explicit Big Endian, Deflated, one of GE: pixels lie there as they are."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Samples of one frame, masked and sign-extended: (rows, columns) or (rows, columns, 3)."""

    pixels: NDArray[Any]
    photometric_interpretation: str
    bits_stored: int
    decoder: str
    notes: tuple[str, ...] = ()


def is_supported(transfer_syntax: str) -> bool:
    """Whether frames of this transfer syntax can be decoded here."""
    return transfer_syntax in NATIVE_SYNTAXES or transfer_syntax in _DECODERS


def decode_native(data: bytes | memoryview, layout: Layout, *, big_endian: bool, bit_offset: int) -> Decoded:
    """Turn the bytes of one native frame into samples."""
    if layout.subsampled and layout.columns % 2:
        message = f"{layout.photometric_interpretation} with an odd number of columns is not supported"
        raise InputError(ErrorCode.UNSUPPORTED_PIXELS, message)
    pixels = unpack_native(data, layout, big_endian=big_endian, bit_offset=bit_offset)
    return Decoded(expand_bits(pixels, layout), layout.photometric_interpretation, layout.bits_stored, "native")


def decode_codestream(data: bytes, layout: Layout, *, transfer_syntax: str) -> Decoded:
    """Decode one frame.

    Raises InputError: `truncated` where the end of the codestream is missing, `corrupt_pixels` where it is
    damaged or contradicts the header, `unsupported_transfer_syntax` where nothing here decodes it.
    """
    decoder = _DECODERS.get(transfer_syntax)
    if decoder is None:
        raise InputError(ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX, f"no decoder for transfer syntax {transfer_syntax}")
    if not data:
        raise InputError(ErrorCode.TRUNCATED, "the frame's codestream is empty")
    try:
        return decoder(data, layout)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise InputError(ErrorCode.CORRUPT_PIXELS, f"the codestream cannot be decoded: {reason}") from error


def _decode_jpeg(data: bytes, layout: Layout) -> Decoded:
    """Baseline, extended and progressive DCT of 8 or 12 bits; libjpeg-turbo."""
    stream = _checked(read_jpeg(data), layout, data)
    if layout.samples == 1:
        return _matched(imagecodecs.jpeg8_decode(data), stream, layout, "libjpeg-turbo")
    coded = "YCBCR" if _is_ycbcr(stream, layout) else "RGB"
    pixels = imagecodecs.jpeg8_decode(data, colorspace=coded, outcolorspace="RGB")
    labelled_rgb = layout.photometric_interpretation == "RGB"
    wrong = labelled_rgb == (coded == "YCBCR")
    notes = (f"the header says {layout.photometric_interpretation}, the codestream holds {coded}",) if wrong else ()
    return _matched(pixels, stream, layout, "libjpeg-turbo", photometric="RGB", notes=notes)


def _decode_jpeg_lossless(data: bytes, layout: Layout) -> Decoded:
    """By libjpeg-turbo, for liblj92 and jpg_0xc3 crash on streams without a Huffman table.

    Components come out as they were put in, whatever colour space JFIF or Adobe markers speak of.
    """
    stream = _checked(read_jpeg(data), layout, data)
    color = "RGB" if layout.samples == 3 else None
    return _matched(
        imagecodecs.jpeg8_decode(data, colorspace=color, outcolorspace=color), stream, layout, "libjpeg-turbo"
    )


def _decode_jpeg_ls(data: bytes, layout: Layout) -> Decoded:
    stream = _checked(read_jpeg(data), layout, data)
    return _matched(imagecodecs.jpegls_decode(data), stream, layout, "CharLS")


def _decode_jpeg2000(data: bytes, layout: Layout) -> Decoded:
    stream = _checked(read_jpeg2000(data), layout, data)
    pixels = imagecodecs.jpeg2k_decode(data, planar=False)
    return _matched(pixels, stream, layout, "OpenJPEG", photometric=_after_component_transform(layout))


def _decode_htj2k(data: bytes, layout: Layout) -> Decoded:
    stream = _checked(read_jpeg2000(data), layout, data)
    pixels = imagecodecs.htj2k_decode(data, planar=False)
    return _matched(pixels, stream, layout, "OpenJPH", photometric=_after_component_transform(layout))


def _decode_jpegxl(data: bytes, layout: Layout) -> Decoded:
    rows, columns = read_jpegxl_shape(data)
    _checked(Codestream(rows, columns, layout.samples, layout.bits_stored), layout, data)
    pixels = imagecodecs.jpegxl_decode(data)
    photometric = "RGB" if layout.samples == 3 else layout.photometric_interpretation
    components = pixels.shape[2:]
    deeper = pixels.dtype.itemsize * 8 > max(8, layout.bits_allocated)
    bits = pixels.dtype.itemsize * 8 if deeper else layout.bits_stored
    stream = Codestream(rows, columns, components[0] if components else 1, bits)
    return _matched(pixels, _checked(stream, layout, data), layout, "libjxl", photometric=photometric)


def _decode_rle(data: bytes, layout: Layout) -> Decoded:
    """RLE Lossless (PS3.5 annex G): byte planes of each sample, most significant first; single bits are packed."""
    _check_rle_segments(data)
    if layout.bits_allocated == 1:
        return _decode_encapsulated_native(bytes(imagecodecs.dicomrle_decode(data, np.uint8)), layout)
    samples = np.frombuffer(imagecodecs.dicomrle_decode(data, layout.dtype), layout.dtype)
    wanted = layout.rows * layout.columns * layout.samples
    _check_length(samples.size, wanted, spare=2 * layout.samples, what="samples")
    planes = samples[:wanted].reshape(layout.samples, layout.rows, layout.columns)
    pixels = planes[0] if layout.samples == 1 else np.moveaxis(planes, 0, -1)
    return Decoded(
        expand_bits(pixels, layout), layout.photometric_interpretation, layout.bits_stored, "imagecodecs RLE"
    )


def _decode_encapsulated_native(data: bytes, layout: Layout) -> Decoded:
    wanted = (layout.frame_bits + 7) // 8
    _check_length(len(data), wanted, spare=wanted // 64 + 8, what="bytes")
    return decode_native(data[:wanted], layout, big_endian=False, bit_offset=0)


def _decode_deflated_frame(data: bytes, layout: Layout) -> Decoded:
    wanted = (layout.frame_bits + 7) // 8
    inflated = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(data, 2 * wanted)
    return _decode_encapsulated_native(inflated, layout)


def _check_rle_segments(data: bytes) -> None:
    """Refuse segments that lie elsewhere than in `data`: the decoder would follow their offsets (PS3.5 G.5)."""
    count, *offsets = struct.unpack("<16I", data[:64].ljust(64, b"\0"))
    used = offsets[:count]
    if not 1 <= count <= 15 or used[0] != 64 or any(a >= b for a, b in pairwise([*used, len(data) + 1])):
        raise InputError(ErrorCode.CORRUPT_PIXELS, "the RLE header names segments that are not there")


def _check_length(found: int, wanted: int, *, spare: int, what: str) -> None:
    """Refuse a frame that is cut, or that is clearly another image than the header's; padding is no matter."""
    if found < wanted:
        raise InputError(ErrorCode.TRUNCATED, f"{found:,} of the frame's {wanted:,} {what} are there")
    if found > wanted + spare:
        raise InputError(ErrorCode.CORRUPT_PIXELS, f"the frame holds {found:,} {what}, the header says {wanted:,}")


def _is_ycbcr(stream: Codestream, layout: Layout) -> bool:
    """Whether three JPEG components are YCbCr: the codestream's own markers first, then the header."""
    if stream.adobe_transform is not None:
        return stream.adobe_transform == 1
    if stream.component_ids == (0x52, 0x47, 0x42):
        return False
    return stream.jfif or layout.photometric_interpretation != "RGB"


def _after_component_transform(layout: Layout) -> str:
    """JPEG 2000 decoders undo YBR_RCT and YBR_ICT (PS3.5 8.2.4); any other label stays true."""
    label = layout.photometric_interpretation
    return "RGB" if label in ("YBR_RCT", "YBR_ICT") else label


def _checked(stream: Codestream, layout: Layout, data: bytes) -> Codestream:
    """Refuse a codestream that is cut or that is not the image of which the header speaks."""
    found = (stream.rows, stream.columns, stream.components)
    wanted = (layout.rows, layout.columns, layout.samples)
    if found != wanted:
        said = "{}×{} with {} component(s)"
        message = f"the codestream is {said.format(*found)}, the header says {said.format(*wanted)}"
        raise InputError(ErrorCode.CORRUPT_PIXELS, message)
    if not stream.complete:
        raise InputError(ErrorCode.TRUNCATED, f"the codestream has no end marker after {len(data):,} bytes")
    return stream


def _matched(
    pixels: NDArray[Any],
    stream: Codestream,
    layout: Layout,
    decoder: str,
    *,
    photometric: str | None = None,
    notes: tuple[str, ...] = (),
) -> Decoded:
    """Give decoded samples the header's type, with the bits that the codestream really has."""
    bits = stream.bits
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if bits != layout.bits_stored:
        notes = (*notes, f"the header says {layout.bits_stored} bits stored, the codestream has {bits}")
    width = 8 * max(1, (bits + 7) // 8)
    width = 32 if width == 24 else width
    signed = layout.signed
    typed = pixels.astype(np.dtype(f"{'i' if signed else 'u'}{width // 8}"), copy=False)
    true_layout = Layout(
        layout.rows,
        layout.columns,
        layout.samples,
        width,
        bits,
        bits - 1,
        signed,
        layout.photometric_interpretation,
    )
    label = photometric or layout.photometric_interpretation
    return Decoded(expand_bits(typed, true_layout), label, bits, decoder, notes)


_DECODERS: dict[str, Callable[[bytes, Layout], Decoded]] = {
    f"{UID}.1.98": _decode_encapsulated_native,
    f"{UID}.8.1": _decode_deflated_frame,
    f"{UID}.5": _decode_rle,
    **{f"{UID}.4.{process}": _decode_jpeg for process in (50, 51, 53, 55)},
    **{f"{UID}.4.{process}": _decode_jpeg_lossless for process in (57, 70)},
    **{f"{UID}.4.{process}": _decode_jpeg_ls for process in (80, 81)},
    **{f"{UID}.4.{process}": _decode_jpeg2000 for process in (90, 91, 92, 93)},
    **{f"{UID}.4.{process}": _decode_htj2k for process in (201, 202, 203)},
    **{f"{UID}.4.{process}": _decode_jpegxl for process in (110, 111, 112)},
}
