"""JPEG XL, lossless, lossy and recompressed JPEG, by libjxl (ISO/IEC 18181; DICOM PS3.5 8.2.15, A.4.12)."""

import imagecodecs

from dicomprep.pixels.codecs.base import Decoded, Detail, are_installed, check_codestream, match_layout
from dicomprep.pixels.codecs.markers import Codestream, read_jpegxl_shape
from dicomprep.pixels.codecs.transfer_syntaxes import JPEG_XL, JPEG_XL_LOSSLESS
from dicomprep.pixels.stored import Layout

__all__ = ["DEPENDENCIES", "TRANSFER_SYNTAXES", "decode", "is_available"]

TRANSFER_SYNTAXES = JPEG_XL
DEPENDENCIES: tuple[str, ...] = ("imagecodecs",)


def is_available() -> bool:
    """Whether libjxl can be loaded."""
    return are_installed(DEPENDENCIES)


def decode(data: bytes, layout: Layout, *, transfer_syntax: str, detail: Detail) -> Decoded:
    """Decode one frame of JPEG XL, in full.

    libjxl undoes its own color transforms; what a lossless encoder was given as YBR_FULL comes back as YBR_FULL.
    Returns (rows, columns) or (rows, columns, 3). Raises InputError `corrupt_pixels`, `limit_exceeded`.
    """
    is_lossless = transfer_syntax == JPEG_XL_LOSSLESS
    rows, columns = read_jpegxl_shape(data)
    check_codestream(Codestream(rows, columns, layout.samples, layout.bits_stored, name="JPEG XL"), layout, data)
    pixels = imagecodecs.jpegxl_decode(data)
    photometric = layout.photometric_interpretation
    if layout.samples == 3 and not (is_lossless and photometric == "YBR_FULL"):
        photometric = "RGB"
    components = pixels.shape[2:]
    bits = max(pixels.dtype.itemsize * 8, layout.bits_stored)
    count = components[0] if components else 1
    stream = Codestream(rows, columns, count, bits, lossy=not is_lossless, name="JPEG XL")
    return match_layout(pixels, check_codestream(stream, layout, data), layout, "libjxl", photometric=photometric)
