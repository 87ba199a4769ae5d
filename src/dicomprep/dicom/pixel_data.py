"""The pixel data of one file, frame by frame: native, encapsulated, or a video stream (DICOM PS3.5 section 8, A.4)."""

from dataclasses import replace
from typing import BinaryIO, cast

import numpy as np

from dicomprep.dicom.attributes import label
from dicomprep.dicom.encapsulation import FragmentStream, FrameTable, locate_frames
from dicomprep.dicom.header import Header, PixelElement, name_syntax, offsets_of
from dicomprep.dicom.sniff import GE_PRIVATE
from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs import decode_codestream, decode_native, is_supported, reduces
from dicomprep.pixels.components import true_components
from dicomprep.pixels.decoded import Decoded, Detail, reduced
from dicomprep.pixels.likeness import digest_samples
from dicomprep.pixels.stored import Layout
from dicomprep.pixels.video import VIDEO_SYNTAXES, Video, can_decode_video
from dicomprep.storage import digest_bytes

__all__ = ["PixelData"]


class PixelData:
    """Where the frames lie, and how they are decoded; no more than a frame of them is in memory.

    Raises InputError where nothing decodes `syntax`, or where the frames cannot be found.
    """

    def __init__(self, header: Header, element: PixelElement, layout: Layout, syntax: str) -> None:
        _require_decoder(syntax)
        self.layout, self.syntax = layout, syntax
        self.frame_count = header.stated_frames
        self.notes: tuple[str, ...] = ()
        self._file, self._element = header.file, element
        self._big_endian = header.encoding.big_endian or syntax == GE_PRIVATE
        self._table: FrameTable | None = None
        self._video: Video | None = None
        if element.length is not None:
            self._count_native(element.length)
        elif syntax in VIDEO_SYNTAXES:
            table = locate_frames(self._file, element.position, frame_count=1, end=element.end)
            fragments = [fragment for frame in table.frames for fragment in frame]
            self._video = Video(cast(BinaryIO, FragmentStream(self._file, fragments)), layout, self.frame_count)
        else:
            self._locate(header)

    @property
    def held_frames(self) -> int:
        """For so many frames there are pixels, at least some; of a video that shows only when it is decoded."""
        if self._element.length is None:
            return self.frame_count if self._table is None else len(self._table.frames)
        return min(self.frame_count, -(-8 * self._held_bytes // self.layout.frame_bits))

    @property
    def is_encapsulated(self) -> bool:
        """Each frame has a codestream of its own."""
        return self._table is not None

    @property
    def is_video(self) -> bool:
        """A frame can be decoded only after those before it."""
        return self._video is not None

    @property
    def reduces_by_means(self) -> bool:
        """A reduced frame is one of means of blocks, and can be reduced further."""
        return not self.is_encapsulated or not reduces(self.syntax)

    def decode(self, index: int, detail: Detail) -> Decoded:
        """Decode frame `index` (from 0) in as much detail as is wanted, at least."""
        if self._table is None:
            whole = self._decode_native(index) if self._video is None else self._video.frame(index)
            return reduced(_digested(whole), times=detail.reduction)
        data = self._table.read(self._file, index)
        decoded = decode_codestream(data, self.layout, transfer_syntax=self.syntax, detail=detail)
        is_whole = decoded.grid.step == 1 and not decoded.step
        stream = digest_bytes(data)
        decoded = replace(_digested(decoded) if is_whole else replace(decoded, digest=stream), stream_digest=stream)
        return reduced(decoded, times=detail.reduction) if self.reduces_by_means else decoded

    def _count_native(self, length: int) -> None:
        held = 8 * length // self.layout.frame_bits
        if held > self.frame_count:
            self.notes = (f"the pixels have room for {held} frames; {label('NumberOfFrames')} is {self.frame_count}",)

    def _locate(self, header: Header) -> None:
        """Find the frames' fragments; there may be more than the header says."""
        self._table = locate_frames(
            self._file,
            self._element.position,
            frame_count=self.frame_count,
            end=self._element.end,
            extended_offsets=offsets_of(header.attributes),
        )
        head = self._table.head(self._file)
        self.layout, notes = true_components(head, self.layout, self.syntax)
        self.notes = (*self._table.notes, *notes)
        self.frame_count = max(self.frame_count, len(self._table.frames))

    def _decode_native(self, index: int) -> Decoded:
        first_bit = index * self.layout.frame_bits
        start, wanted = first_bit // 8, (first_bit % 8 + self.layout.frame_bits + 7) // 8
        held = self._held_bytes
        if start + wanted > held:
            share = 100 * max(0, held - start) / wanted
            message = f"{max(0, held - start):,} of the frame's {wanted:,} bytes are there ({share:.1f} %)"
            raise InputError(ErrorCode.TRUNCATED, message)
        if self._element.swapped and self.layout.bits_allocated <= 8:
            data = memoryview(self._read_swapped(start, wanted))
        else:
            data = self._file.view_at(self._element.position + start, wanted)
        return decode_native(data, self.layout, big_endian=self._big_endian, bit_offset=first_bit % 8)

    @property
    def _held_bytes(self) -> int:
        """Bytes of native pixel data that the file really holds."""
        return min(self._element.length or 0, max(0, self._file.size - self._element.position))

    def _read_swapped(self, start: int, length: int) -> bytes:
        """Bytes out of big-endian words."""
        even, end = start // 2 * 2, (start + length + 1) // 2 * 2
        words = np.frombuffer(self._file.read_at(self._element.position + even, end - even), ">u2")
        return words.astype("<u2").tobytes()[start - even :][:length]


def _digested(decoded: Decoded) -> Decoded:
    return replace(decoded, digest=digest_samples(decoded.pixels, bits_stored=decoded.bits_stored))


def _require_decoder(syntax: str) -> None:
    if is_supported(syntax) or (syntax in VIDEO_SYNTAXES and can_decode_video()):
        return
    remedy = "; it comes with the extra: pip install 'dicomprep[video]'" if syntax in VIDEO_SYNTAXES else ""
    reason = f"no decoder for transfer syntax {name_syntax(syntax)}{remedy}"
    raise InputError(ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX, reason)
