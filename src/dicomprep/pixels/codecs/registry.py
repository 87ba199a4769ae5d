"""One frame's codestream to samples: the decoder of its transfer syntax (DICOM PS3.5 annex A.4, section 8.2)."""

from dataclasses import replace

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs import jpeg, jpeg2000, jpeg_ls, jpegxl, native, rle
from dicomprep.pixels.codecs.base import FULL_DETAIL, Decoded, Decoder, Detail, pad_tile
from dicomprep.pixels.codecs.markers import identify_syntax, read_codestream
from dicomprep.pixels.codecs.transfer_syntaxes import (
    JPEG_2000,
    JPEG_DCT,
    JPEG_LOSSLESS,
    JPEG_LS,
    JPEG_XL,
    NATIVE,
    RLE_LOSSLESS,
)
from dicomprep.pixels.stored import Layout

__all__ = [
    "decode_codestream",
    "is_supported",
    "is_usually_reduced",
    "is_wavelet",
    "min_oversampling",
    "relative_cost",
    "resolve_components",
    "supports_reduction",
]

DECODERS: tuple[Decoder, ...] = (native, rle, jpeg, jpeg_ls, jpeg2000, jpegxl)
"""One file each; video is a stream of all frames, and has its own class."""

_DECODERS = {syntax: decoder for decoder in DECODERS for syntax in decoder.TRANSFER_SYNTAXES}

_ALIKE = (JPEG_DCT, JPEG_LOSSLESS, JPEG_LS, JPEG_2000, JPEG_XL)
"""Transfer syntaxes of which a frame is decoded alike, whichever is stated."""

_BASELINE = frozenset(range(0xC0, 0xD0)) - {0xC3}
"""Frame markers of a DCT, before which three components were turned into YCbCr."""

DEFAULT_SIZE = 224
"""Rows and columns of a thumbnail by default."""


def is_supported(transfer_syntax: str) -> bool:
    """Whether frames of this transfer syntax can be decoded here."""
    decoder = _DECODERS.get(transfer_syntax)
    return transfer_syntax in NATIVE or (decoder is not None and decoder.is_available())


def supports_reduction(transfer_syntax: str) -> bool:
    """Whether the codec itself can decode at a fraction of the size."""
    return transfer_syntax in JPEG_DCT or transfer_syntax in JPEG_2000


def is_wavelet(transfer_syntax: str) -> bool:
    """Whether what the codec decodes at a fraction of the size are no means of blocks."""
    return transfer_syntax in JPEG_2000


def relative_cost(transfer_syntax: str | None) -> int:
    """How many times as long as with other codecs a pixel takes, at least."""
    return 8 if transfer_syntax in JPEG_XL else 4 if is_wavelet(transfer_syntax or "") else 1


def min_oversampling(transfer_syntax: str, *, bits_stored: int, draft: bool = False, is_soft: bool = False) -> float:
    """How many rows are decoded for one of a thumbnail, at least, to stay within 40 dB of all of them, as measured.

    Blocks become means, here or by a DCT; what a wavelet keeps is aliased, and takes more averaging afterward, most
    of all in pictures of 8 bits, which may hold lettering. A draft has half of that. Soft pictures of more bits, which
    lose little by a halving, need hardly any.
    """
    if is_soft and bits_stored > 8:
        return 1.0 if draft else 1.15
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
    shrink = max(layout.rows, layout.columns) / DEFAULT_SIZE
    return shrink >= 2 * min_oversampling(transfer_syntax, bits_stored=layout.bits_stored)


def decode_codestream(data: bytes, layout: Layout, *, transfer_syntax: str, detail: Detail = FULL_DETAIL) -> Decoded:
    """Decode one frame, in as much detail as is wanted.

    Returns samples (rows, columns) or (rows, columns, 3), masked and sign-extended, of fewer rows and columns where
    `detail` allows it. Raises InputError: `truncated` where the end of the codestream is missing, `corrupt_pixels`
    where it is damaged or contradicts the layout, `limit_exceeded` where it claims too much,
    `unsupported_transfer_syntax` where nothing here decodes it.
    """
    if transfer_syntax not in _DECODERS:
        raise InputError(ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX, f"no decoder for transfer syntax {transfer_syntax}")
    if not data:
        raise InputError(ErrorCode.TRUNCATED, "empty codestream")
    try:
        found = _syntax_found(data, transfer_syntax)
        own = _tile_layout(data, layout) if layout.tiled else layout
        decoded = _DECODERS[found].decode(data, own, transfer_syntax=found, detail=detail)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise InputError(ErrorCode.CORRUPT_PIXELS, f"codestream cannot be decoded: {reason}") from error
    if own is not layout:
        decoded = pad_tile(decoded, layout)
    if found == transfer_syntax:
        return decoded
    note = f"codestream is not of the stated transfer syntax; its markers say {found}"
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
    if stated in native.TRANSFER_SYNTAXES:  # their frames begin with any bytes
        return stated
    try:
        found = identify_syntax(data)
    except ValueError:
        return stated
    is_alike = found == stated or any(found in kind and stated in kind for kind in _ALIKE)
    return stated if found is None or is_alike else found


def resolve_components(head: bytes, layout: Layout, syntax: str) -> tuple[Layout, tuple[str, ...]]:
    """The layout of frames of which the first begins with `head`, and what had to be corrected.

    One component is gray and three are color, whatever the header calls them; any other number is left to the
    decoder, which refuses it.
    """
    found, transformed = _count_components(head, layout, syntax)
    if found == layout.samples or found not in (1, 3):
        return layout, ()
    stated = f"Samples per Pixel (0028,0002) is {layout.samples} ({layout.photometric_interpretation})"
    note = f"{stated}, codestream has {found} component(s)"
    label = "MONOCHROME2" if found == 1 else "YBR_FULL" if transformed else "RGB"
    return replace(layout, samples=found, photometric_interpretation=label, signed=False, planar=False), (note,)


def _count_components(head: bytes, layout: Layout, syntax: str) -> tuple[int, bool]:
    """Components of a codestream (0: it does not tell), and whether such as these are YCbCr by custom."""
    if syntax == RLE_LOSSLESS:
        width = layout.bits_allocated // 8
        segments = rle.count_segments(head)
        return segments // width if width and segments % width == 0 else 0, False
    stream = read_codestream(head)
    return (stream.components, stream.process in _BASELINE) if stream is not None else (0, False)
