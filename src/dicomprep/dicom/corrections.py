"""Where the pixels show that the header is wrong about them. Nothing is tried out: markers and lengths tell."""

from dataclasses import replace

from dicomprep.dicom.attributes import label
from dicomprep.dicom.encapsulation import ITEM, SEQUENCE_END, locate_frames
from dicomprep.dicom.header import Header, PixelElement, name_syntax
from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.markers import identify_syntax
from dicomprep.pixels.codecs.transfer_syntaxes import ENCAPSULATED_UNCOMPRESSED, EXPLICIT_LITTLE_ENDIAN, NATIVE
from dicomprep.pixels.stored import Layout
from dicomprep.storage.source import HEAD_BYTES

__all__ = ["resolve_pixel_element", "resolve_sampling", "resolve_transfer_syntax"]

Notes = tuple[str, ...]


def resolve_sampling(header: Header, pixels: PixelElement, layout: Layout) -> tuple[Layout, Notes]:
    """Native pixels that are called subsampled and hold three full samples each are not subsampled."""
    full = replace(layout, photometric_interpretation="YBR_FULL")
    if layout.photometric_interpretation != "YBR_FULL_422" or pixels.length != _native_length(header, full):
        return layout, ()
    return full, ("Photometric Interpretation (0028,0004) is YBR_FULL_422, but chroma is not subsampled",)


def resolve_pixel_element(header: Header, pixels: PixelElement, layout: Layout) -> tuple[PixelElement, Notes]:
    """Fragments that have a length, and native pixels that have none, by what stands at their beginning and end."""
    wanted = _native_length(header, layout)
    fragments = header.file.read_at(pixels.position, 4) == ITEM
    if pixels.length is not None and pixels.length != wanted and fragments:
        end = pixels.position + pixels.length
        return replace(pixels, length=None, end=end), (
            "Pixel Data (7FE0,0010) is encapsulated; its explicit length is ignored",
        )
    if pixels.length is None and not fragments and header.file.read_at(pixels.position + wanted, 4) == SEQUENCE_END:
        return replace(pixels, length=wanted), ("Pixel Data (7FE0,0010) is native; its length is computed",)
    return pixels, ()


def resolve_transfer_syntax(header: Header, pixels: PixelElement, layout: Layout) -> tuple[str, Notes]:
    """The transfer syntax of the pixels: the stated one, unless they are encapsulated where it says that they are not.

    Never tried out: the first frame's own markers tell, or a length that fits to the byte.
    """
    stated = header.transfer_syntax
    native = stated in NATIVE
    if native == (pixels.length is not None):
        return stated, ()
    if not native:
        if pixels.length == _native_length(header, layout):
            return EXPLICIT_LITTLE_ENDIAN, (
                f"{label('TransferSyntaxUID')} is {name_syntax(stated)}, but the pixels are not compressed",
            )
        raise InputError(ErrorCode.CORRUPT_PIXELS, "compressed Pixel Data (7FE0,0010) is not encapsulated")
    fragments = locate_frames(header.file, pixels.position, frame_count=1, end=pixels.end).frames[0]
    try:
        found = identify_syntax(header.file.read_at(fragments[0].offset, HEAD_BYTES)) if fragments else None
    except ValueError:
        found = None
    if found is None and sum(fragment.length for fragment in fragments) * 8 >= layout.frame_bits:
        found = ENCAPSULATED_UNCOMPRESSED
    if found is None:
        message = f"{label('TransferSyntaxUID')} is native, but the pixels are compressed in an unknown way"
        raise InputError(ErrorCode.CORRUPT_HEADER, message)
    return found, (f"transfer syntax detected from the codestream: {name_syntax(found)}",)


def _native_length(header: Header, layout: Layout) -> int:
    """Bytes of native pixel data of all frames, padded to an even number."""
    return (header.stated_frames * layout.frame_bits + 15) // 16 * 2
