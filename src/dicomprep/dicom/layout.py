"""How the samples of a frame are laid out, as the Image Pixel Module states (DICOM PS3.3 C.7.6.3), and corrections."""

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.dicom.numbers import MAX_DIGITS, format_number
from dicomprep.dicom.vocabulary import PHOTOMETRIC, WHOLE_SLIDE
from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.stored import Layout

__all__ = ["read_layout", "require_room"]

Notes = tuple[str, ...]

FLOAT_BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
MAX_COMPRESSION_RATIO = 20_000
"""Decoded bytes over the file's; no codec reaches it."""

PALETTE = "PALETTE COLOR"
UNKNOWN = "UNKNOWN"


def read_layout(root: Attributes, pixel_keyword: str) -> tuple[Layout, Notes]:
    """The layout of every frame and what had to be corrected; InputError where the header does not say enough.

    `pixel_keyword` is that of the pixel data: float and double ones have bits of their own.
    """
    rows, columns = _required(root, "Rows"), _required(root, "Columns")
    samples = root.integer("SamplesPerPixel", 1) or 1
    photometric, notes = _read_photometric(root, samples)
    if samples not in (1, 3) or (samples == 3) == photometric.startswith(("MONOCHROME", "PALETTE")):
        message = f"{label('SamplesPerPixel')} {format_number(samples)} with {photometric} is not supported"
        raise InputError(ErrorCode.UNSUPPORTED_PIXELS, message)
    float_bits = FLOAT_BITS.get(pixel_keyword)
    allocated = float_bits or _required(root, "BitsAllocated")
    stored = float_bits or root.integer("BitsStored", allocated) or allocated
    if not 1 <= allocated <= 64 or samples > allocated or stored < 1:
        bits = f"{label('BitsAllocated')} {format_number(allocated)} with {label('BitsStored')} {format_number(stored)}"
        raise InputError(ErrorCode.UNSUPPORTED_PIXELS, f"{bits} is not supported")
    if stored > allocated:
        excess = f"{label('BitsStored')} {format_number(stored)} is more than {label('BitsAllocated')}"
        notes, stored = (*notes, f"{excess}; treated as {allocated}"), allocated
    signed = root.integer("PixelRepresentation", 0) == 1
    if signed and samples == 3:
        notes = (*notes, f"{label('PixelRepresentation')} is signed for a color image; treated as unsigned")
    layout = Layout(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=_read_high_bit(root, allocated, stored),
        signed=signed and samples == 1,
        photometric_interpretation=photometric,
        planar=samples == 3 and root.integer("PlanarConfiguration", 0) == 1,
        kind="float" if float_bits else "integer",
        overlaid=root.has_overlay_bits,
        tiled=_is_tiled(root),
    )
    return layout, notes


def require_room(layout: Layout, *, file_size: int, max_bytes: int) -> None:
    """InputError where a decoded frame takes too much of `max_bytes`: a header that is damaged, or a real image."""
    if layout.decoded_bytes * 4 <= max_bytes:
        return
    size = f"{layout.rows}×{layout.columns}×{layout.samples}"
    if layout.decoded_bytes > MAX_COMPRESSION_RATIO * file_size:
        claim = f"{label('Rows')} and {label('Columns')} imply {size} samples ({layout.decoded_bytes:,} bytes)"
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{claim}; the whole file has {file_size:,} bytes")
    needed = -(-layout.decoded_bytes * 4 // 2**20)
    memory = f"{layout.decoded_bytes:,} bytes, several times that to decode"
    message = f"frame of {size} samples exceeds the memory limit ({memory})"
    raise InputError(ErrorCode.LIMIT_EXCEEDED, f"{message}; run `dicomprep retry` with --max-memory {needed} or more")


def _read_photometric(root: Attributes, samples: int) -> tuple[str, Notes]:
    """The defined term, whatever its case and punctuation; what is missing follows from the number of samples."""
    stated = root.text("PhotometricInterpretation")
    words = (stated or "").upper().replace("_", " ").replace("-", " ").split()
    if not words:
        term = "RGB" if samples == 3 else "MONOCHROME2"
        return term, (f"{label('PhotometricInterpretation')} is missing; treated as {term}",)
    if not all(word.isascii() and word.isalnum() for word in words):
        words = [UNKNOWN]
    term = PALETTE if words == PALETTE.split() else "".join(words) if words[0] == "MONOCHROME" else "_".join(words)
    if term.startswith("MONOCHROME") and term not in ("MONOCHROME1", "MONOCHROME2"):
        term = "MONOCHROME2"
    if term not in PHOTOMETRIC:  # it may be anything, and what is said of it is recorded
        return UNKNOWN, ()
    return term, () if term == stated else (f"{label('PhotometricInterpretation')} is treated as {term}",)


def _is_tiled(root: Attributes) -> bool:
    """Whether the frames are tiles of a total pixel matrix (PS3.3 C.8.12.4.1, C.7.6.17)."""
    organized = root.code("DimensionOrganizationType").startswith("TILED")
    return organized or root.code("SOPClassUID") == WHOLE_SLIDE or root.has_value("TotalPixelMatrixColumns")


def _read_high_bit(root: Attributes, allocated: int, stored: int) -> int:
    try:
        high_bit = root.integer("HighBit")
    except InputError:
        high_bit = None
    return high_bit if high_bit is not None and stored - 1 <= high_bit < allocated else stored - 1


def _required(root: Attributes, keyword: str) -> int:
    value = root.integer(keyword)
    if not value or not 0 < value < 10**MAX_DIGITS:
        found = "missing" if value is None else format_number(value)
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is {found}")
    return value
