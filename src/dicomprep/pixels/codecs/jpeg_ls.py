"""JPEG-LS, lossless and near-lossless, by CharLS (ITU-T T.87; DICOM PS3.5 8.2.3, A.4.3)."""

import imagecodecs

from dicomprep.pixels.codecs.base import Decoded, Detail, are_installed, check_codestream, match_layout
from dicomprep.pixels.codecs.damage import require_sound_jpeg_ls
from dicomprep.pixels.codecs.markers import read_jpeg
from dicomprep.pixels.codecs.transfer_syntaxes import JPEG_LS
from dicomprep.pixels.stored import Layout

__all__ = ["DEPENDENCIES", "TRANSFER_SYNTAXES", "decode", "is_available"]

TRANSFER_SYNTAXES = JPEG_LS
DEPENDENCIES: tuple[str, ...] = ("imagecodecs",)


def is_available() -> bool:
    """Whether CharLS can be loaded."""
    return are_installed(DEPENDENCIES)


def decode(data: bytes, layout: Layout, *, transfer_syntax: str, detail: Detail) -> Decoded:
    """Decode one frame of JPEG-LS, in full.

    Returns (rows, columns) or (rows, columns, 3). Raises InputError `truncated`, `corrupt_pixels`, `limit_exceeded`.
    """
    stream = check_codestream(read_jpeg(data), layout, data)
    require_sound_jpeg_ls(data)
    return match_layout(imagecodecs.jpegls_decode(data), stream, layout, "CharLS")
