"""Transfer syntaxes and what is known of each (DICOM PS3.6 table A-1): the one place that spells their UIDs."""

__all__ = [
    "DEFLATED_FRAME",
    "DEFLATED_LITTLE_ENDIAN",
    "ENCAPSULATED_UNCOMPRESSED",
    "EXPLICIT_BIG_ENDIAN",
    "EXPLICIT_LITTLE_ENDIAN",
    "GE_PRIVATE",
    "HTJ2K",
    "IMPLICIT_LITTLE_ENDIAN",
    "JPEG_2000",
    "JPEG_DCT",
    "JPEG_LOSSLESS",
    "JPEG_LS",
    "JPEG_XL",
    "JPEG_XL_LOSSLESS",
    "LOSSY",
    "MPEG",
    "NAMES",
    "NATIVE",
    "RLE_LOSSLESS",
    "of_process",
]

IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"
GE_PRIVATE = "1.2.840.113619.5.2"
"""Implicit VR Little Endian with big-endian pixels, as old GE systems write it."""

ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"


def of_process(number: str | int) -> str:
    """The UID of an encapsulated transfer syntax by the number at its end.

    >>> of_process(90)
    '1.2.840.10008.1.2.4.90'
    """
    return f"1.2.840.10008.1.2.4.{number}"


NATIVE = frozenset(
    [IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN, DEFLATED_LITTLE_ENDIAN, GE_PRIVATE]
)
"""Pixels lie there as they are, one frame after the other."""

JPEG_DCT = frozenset(map(of_process, range(50, 57)))
JPEG_LOSSLESS = frozenset(map(of_process, (57, 70)))
JPEG_LS = frozenset(map(of_process, (80, 81)))
HTJ2K = frozenset(map(of_process, (201, 202, 203)))
JPEG_2000 = frozenset(map(of_process, (90, 91, 92, 93))) | HTJ2K
JPEG_XL_LOSSLESS = of_process(110)
JPEG_XL = frozenset({JPEG_XL_LOSSLESS, of_process(111), of_process(112)})
MPEG = frozenset(of_process(f"{number}{part}") for number in range(100, 107) for part in ("", ".1")) | {
    of_process(107),
    of_process(108),
}
"""MPEG-2, MPEG-4 AVC and HEVC: all frames are one stream."""

LOSSY = JPEG_DCT | frozenset(map(of_process, (81, 91, 93, 111, 112, 203)))
"""Samples come back changed, unless Lossy Image Compression (0028,2110) is 00."""

NAMES = {
    of_process(110): "JPEG XL Lossless",
    of_process(111): "JPEG XL JPEG Recompression",
    of_process(112): "JPEG XL",
    DEFLATED_FRAME: "Deflated Image Frame Compression",
    GE_PRIVATE: "GE Private Implicit VR Little Endian, Big Endian Pixels",
}
"""Those that pydicom has no name for."""
