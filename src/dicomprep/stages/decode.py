"""Source → Frames: open a file once, decode each of its frames once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dicomprep.dicom.attributes import label
from dicomprep.dicom.encapsulation import FrameTable, locate_frames
from dicomprep.dicom.grey import (
    FrameAttributes,
    read_aspect,
    read_inversion,
    read_modality,
    read_padding,
    read_voi,
)
from dicomprep.dicom.header import Header, PixelElement, name_syntax, offsets_of, read_header
from dicomprep.dicom.palette import read_palette
from dicomprep.dicom.sniff import GE_PRIVATE
from dicomprep.errors import ErrorCode, InputError
from dicomprep.models import Frame, Instance
from dicomprep.pixels.codecs import NATIVE_SYNTAXES, Decoded, decode_codestream, decode_native, is_supported
from dicomprep.pixels.codestream import identify_syntax
from dicomprep.pixels.intensity import Grey, LookupTable, Range, Rescale, Window, measure_range
from dicomprep.pixels.stored import Layout
from dicomprep.storage import HEAD_BYTES, SourceFile

__all__ = ["Image", "decode"]

RANGE_FRAMES = 8
"""From so many frames, spread evenly, the range of a file without a window is measured."""

COUNTS = frozenset({"NM", "PT"})
"""Modalities whose 8-bit values are counts, not a picture that is ready for a display."""


@dataclass(frozen=True, slots=True)
class Image:
    """A file that holds an image: what it is, and its frames on demand."""

    instance: Instance
    patient_id: str | None
    """With its issuer. It never leaves the worker: only a keyed hash of it does."""
    frame_count: int
    layout: Layout
    _reader: "_Reader"

    def frames(self, indices: Sequence[int]) -> Iterator[Frame | tuple[int, InputError]]:
        """The frames of `indices`, decoded one at a time; where one cannot be, its index and the reason."""
        self._reader.prepare(self.frame_count)
        for index in indices:
            try:
                yield self._reader.frame(index)
            except InputError as error:
                yield index, error


def decode(file: SourceFile, *, max_bytes: int) -> Image:
    """Read the header of an open file and make its frames available.

    `max_bytes` bounds what an inflated data set or a decoded frame may take. Raises InputError where the file is
    no DICOM, holds no image, or one that cannot be drawn.
    """
    header = read_header(file, max_bytes=max_bytes)
    instance = header.instance()
    pixels = header.pixels
    if pixels is None or pixels.length == 0:
        raise NoImage(instance, _why_no_image(header))
    if pixels.length is None and not header.encoding.stated:
        header = _with_identified_syntax(header, pixels)
    if pixels.keyword == "PixelData" and not is_supported(header.transfer_syntax):
        reason = f"no decoder for transfer syntax {name_syntax(header.transfer_syntax)}"
        raise InputError(ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX, reason)
    layout = header.layout()
    if layout.decoded_bytes * 4 > max_bytes:
        size = f"{layout.rows}×{layout.columns}×{layout.samples}"
        raise InputError(ErrorCode.LIMIT_EXCEEDED, f"a frame of {size} samples does not fit the memory a file may take")
    issuer = header.attributes.text("IssuerOfPatientID")
    patient_id = header.attributes.text("PatientID")
    identity = f"{patient_id}^{issuer}" if patient_id and issuer else patient_id
    return Image(instance, identity, header.frame_count, layout, _Reader(header, pixels, layout))


class NoImage(InputError):
    """A valid DICOM file that holds no image; its header is known all the same."""

    def __init__(self, instance: Instance, detail: str) -> None:
        super().__init__(ErrorCode.NO_PIXEL_DATA, detail)
        self.instance = instance


def _with_identified_syntax(header: Header, pixels: PixelElement) -> Header:
    """Where no transfer syntax is stated, the first frame's markers say how it is compressed."""
    fragments = locate_frames(header.file, pixels.position, frame_count=1).frames[0]
    try:
        syntax = identify_syntax(header.file.read_at(fragments[0].offset, HEAD_BYTES)) if fragments else None
    except ValueError:
        syntax = None
    if syntax is None:
        message = f"{label('TransferSyntaxUID')} is missing and the pixels do not show how they are compressed"
        raise InputError(ErrorCode.CORRUPT_HEADER, message)
    return replace(header, transfer_syntax=syntax)


def _why_no_image(header: Header) -> str:
    if header.pixels is not None:
        return f"{label(header.pixels.keyword)} is empty"
    if "PixelDataProviderURL" in header.attributes:
        return "its pixels are elsewhere: Pixel Data Provider URL (0028,7FE0)"
    return "it holds no Pixel Data (7FE0,0010)"


@dataclass(slots=True)
class _Reader:
    """Decodes the frames of one file; keeps those that were decoded early to measure the file's range."""

    header: Header
    pixels: PixelElement
    layout: Layout
    table: FrameTable | None = None
    range: Range | None = None
    early: dict[int, Decoded] = field(default_factory=dict)

    def prepare(self, frame_count: int) -> None:
        """Find the frames and, where the file states no window for grey values, the range they share."""
        if self.pixels.length is None:
            if self.header.transfer_syntax in NATIVE_SYNTAXES:
                raise InputError(ErrorCode.CORRUPT_HEADER, "native Pixel Data (7FE0,0010) has no length")
            offsets = offsets_of(self.header.attributes)
            self.table = locate_frames(
                self.header.file, self.pixels.position, frame_count=frame_count, extended_offsets=offsets
            )
        elif self.header.transfer_syntax not in NATIVE_SYNTAXES:
            raise InputError(ErrorCode.CORRUPT_PIXELS, "compressed Pixel Data (7FE0,0010) is not in fragments")
        if self._is_grey and self._voi(0)[0] is None:
            self.range = self._find_range(frame_count)

    def frame(self, index: int) -> Frame:
        """Decode one frame and join it with what the header says of it."""
        decoded = self.early.pop(index, None) or self._decode(index)
        view = FrameAttributes(self.header.attributes, index)
        aspect, notes = read_aspect(view)
        notes = (
            *self.header.encoding.notes,
            *(self.table.notes if self.table else ()),
            *decoded.notes,
            *notes,
        )
        grey = palette = None
        first = 0
        if self.layout.photometric_interpretation == "PALETTE COLOR":
            palette, first = read_palette(self.header.attributes, big_endian=self.header.encoding.big_endian)
        elif self._is_grey:
            grey, grey_notes = self._grey(index, view)
            notes = (*notes, *grey_notes)
        return Frame(
            index=index,
            pixels=decoded.pixels,
            bits_stored=decoded.bits_stored,
            photometric_interpretation=decoded.photometric_interpretation,
            grey=grey,
            palette=palette,
            palette_first=first,
            aspect=aspect,
            icc_profile=self._icc_profile() if self.layout.samples == 3 else None,
            decoder=decoded.decoder,
            notes=notes,
        )

    @property
    def _is_grey(self) -> bool:
        return self.layout.photometric_interpretation.startswith("MONOCHROME")

    def _grey(self, index: int, view: FrameAttributes) -> tuple[Grey, tuple[str, ...]]:
        stated, notes = self._voi(index)
        voi = stated or self.range or Range(0.0, float(2**self.layout.bits_stored - 1), "all stored values")
        modality, more_notes = read_modality(view, big_endian=self.header.encoding.big_endian)
        grey = Grey(
            modality=modality,
            voi=voi,
            inverted=read_inversion(self.header.attributes, self.layout),
            padding=read_padding(self.header.attributes, self.layout),
        )
        return grey, (*more_notes, *notes)

    def _voi(self, index: int) -> tuple[Window | LookupTable | None, tuple[str, ...]]:
        view = FrameAttributes(self.header.attributes, index)
        return read_voi(view, big_endian=self.header.encoding.big_endian)

    def _find_range(self, frame_count: int) -> Range:
        """One range for all frames: the bits' own for pictures of up to 8 bits, else as measured."""
        layout, root = self.layout, self.header.attributes
        big_endian = self.header.encoding.big_endian
        identity = read_modality(FrameAttributes(root, 0), big_endian=big_endian)[0] == Rescale()
        picture = layout.bits_stored <= 8 and not layout.signed and layout.kind == "integer"
        if picture and identity and root.text("Modality") not in COUNTS:
            return Range(0.0, float(2**layout.bits_stored - 1), "all stored values")
        affordable = max(1, min(RANGE_FRAMES, 2**28 // max(1, layout.decoded_bytes)))
        indices = np.unique(np.linspace(0, frame_count - 1, affordable).round().astype(int)).tolist()
        for index in indices:
            try:
                self.early[index] = self._decode(index)
            except InputError:
                continue  # met again, and then reported, when the frame's turn comes
        return measure_range(
            [decoded.pixels for decoded in self.early.values()],
            modalities=[read_modality(FrameAttributes(root, i), big_endian=big_endian)[0] for i in self.early],
            padding=read_padding(root, layout),
            from_zero=root.text("Modality") in COUNTS,
        )

    def _decode(self, index: int) -> Decoded:
        if self.table is not None:
            data = self.table.read(self.header.file, index)
            return decode_codestream(data, self.layout, transfer_syntax=self.header.transfer_syntax)
        layout, file = self.layout, self.header.file
        first_bit = index * layout.frame_bits
        start, wanted = first_bit // 8, (first_bit % 8 + layout.frame_bits + 7) // 8
        held = min(self.pixels.length or 0, max(0, file.size - self.pixels.position))
        if start + wanted > held:
            share = 100 * max(0, held - start) / wanted
            message = f"{max(0, held - start):,} of the frame's {wanted:,} bytes are there ({share:.1f} %)"
            raise InputError(ErrorCode.TRUNCATED, message)
        big_endian = self.header.encoding.big_endian or self.header.transfer_syntax == GE_PRIVATE
        if self.pixels.swapped and layout.bits_allocated <= 8:
            data = self._read_swapped(start, wanted)
        else:
            data = file.read_at(self.pixels.position + start, wanted)
        return decode_native(data, layout, big_endian=big_endian, bit_offset=first_bit % 8)

    def _read_swapped(self, start: int, length: int) -> bytes:
        """Bytes out of big-endian words."""
        even, end = start // 2 * 2, (start + length + 1) // 2 * 2
        words = np.frombuffer(self.header.file.read_at(self.pixels.position + even, end - even), ">u2")
        return words.astype("<u2").tobytes()[start - even :][:length]

    def _icc_profile(self) -> bytes | None:
        root = self.header.attributes
        path = root.item("OpticalPathSequence")
        return root.content("ICCProfile") or (path.content("ICCProfile") if path is not None else None)
