"""The pixel data of one file, frame by frame: native, encapsulated, or a video stream (DICOM PS3.5 section 8, A.4)."""

from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO, cast

import numpy as np

from dicomprep.dicom.attributes import label
from dicomprep.dicom.beginnings import Beginnings
from dicomprep.dicom.encapsulation import FragmentStream, FrameTable, locate_frames
from dicomprep.dicom.header import Header, PixelElement, name_syntax, read_extended_offsets
from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs import video
from dicomprep.pixels.codecs.base import FULL_DETAIL, Decoded, Detail, Halvings
from dicomprep.pixels.codecs.jpeg2000_packets import first_resolutions
from dicomprep.pixels.codecs.native import decode_native
from dicomprep.pixels.codecs.registry import (
    decode_codestream,
    is_supported,
    is_usually_reduced,
    is_wavelet,
    resolve_components,
)
from dicomprep.pixels.codecs.transfer_syntaxes import GE_PRIVATE, LOSSY
from dicomprep.pixels.codecs.video import Video
from dicomprep.pixels.similarity import Overview, digest_samples, make_overview, measure_content, overview_halvings
from dicomprep.pixels.stored import Layout
from dicomprep.storage.source import digest_bytes

__all__ = ["PixelData"]


MAX_LOSSY_RATIO = 50.0
"""Compression ratio of lossy codecs as they are used."""


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
        self._beginnings = Beginnings(header.file)
        self._big_endian = header.encoding.big_endian or syntax == GE_PRIVATE
        self._table: FrameTable | None = None
        self._video: Video | None = None
        if element.length is not None:
            self._count_native(element.length)
        elif syntax in video.TRANSFER_SYNTAXES:
            table = locate_frames(self._file, element.position, frame_count=1, end=element.end)
            fragments = [fragment for frame in table.frames for fragment in frame]
            self._video = Video(cast(BinaryIO, FragmentStream(self._file, fragments)), layout, self.frame_count)
        else:
            self._locate(header)

    @property
    def available_frames(self) -> int:
        """Number of frames with at least some pixel data; of a video that shows only when it is decoded."""
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
        return not self.is_encapsulated or not self._in_part

    def decode(self, index: int, detail: Detail) -> Decoded:
        """Decode frame `index` (from 0) in as much detail as is wanted, at least."""
        if self._table is None or not self._in_part:
            return self.decode_whole(index).at(detail.reduction)
        decoded = self._decode_beginning(self._table, index, detail)
        return decoded or self._decode_part(self._table.read(self._file, index), index, detail)

    def decode_whole(self, index: int) -> Halvings:
        """Decode frame `index` in full, and what it is known by."""
        if self._table is not None:
            data = self._table.read(self._file, index)
            whole = replace(self._decode(data, FULL_DETAIL), stream_digest=digest_bytes(data))
        else:
            whole = self._decode_native(index) if self._video is None else self._video.frame(index)
        halvings = Halvings(whole)
        digest = digest_samples(whole.pixels, bits_stored=whole.bits_stored)
        halvings.whole = replace(whole, digest=digest, overview=self._survey(halvings))
        return halvings

    def glance(self, index: int, *, reduction: int) -> Decoded:
        """Decode frame `index` of codestreams at a reduced resolution, to 256 grays: nothing is made of it."""
        data = self._table.read(self._file, index) if self._table is not None else b""
        tolerance = 2.0 ** max(0, self.layout.bits_stored - 8)
        return self._decode(data, Detail(reduction, tolerance, 2.0**reduction, checked=True))

    def _decode_beginning(self, table: FrameTable, index: int, detail: Detail) -> Decoded | None:
        """A frame by the first bytes of its codestream alone; None where these do not do, or anything is odd."""
        reduction = min(detail.reduction, self._overview_reduction)
        if not reduction or not is_wavelet(self.syntax) or not self._file.identity:
            return None
        with suppress(InputError):
            data = self._beginnings.read(table, index, reduction)
            decoded = self._decode_part(data, index, detail) if data else None
            return decoded if decoded is not None and decoded.grid.step > 1 else None
        return None

    def _decode_part(self, data: bytes, index: int, detail: Detail) -> Decoded:
        """A frame of which no more is decoded than is wanted."""
        decoded = self._decode(data, detail)
        stream = self._stream_digest(data, index)
        return replace(
            decoded, digest=stream, stream_digest=stream, overview=self._survey_part(data, index, decoded, detail)
        )

    def _stream_digest(self, data: bytes, index: int) -> bytes:
        """What a frame is known by: its codestream; or its length and what is always read of it."""
        if not self._file.identity or not is_wavelet(self.syntax):
            return digest_bytes(data)
        beginning = first_resolutions(data, reduction=self._overview_reduction)
        return digest_bytes(data if beginning is None else beginning + str(self._coded_bytes(index)).encode())

    def _coded_bytes(self, index: int) -> int:
        """Of the codestream of a frame."""
        return sum(fragment.length for fragment in self._table.frames[index]) if self._table else 0

    @property
    def _in_part(self) -> bool:
        """Frames are known by their codestreams, of which no more is decoded than is wanted."""
        return is_usually_reduced(self.syntax, self.layout)

    def _survey(self, halvings: Halvings) -> Overview:
        """The overview of a frame that was decoded in full."""
        pixels = halvings.whole.pixels
        times, content = overview_halvings(pixels.shape), measure_content(pixels)
        if self.layout.is_palette:
            return make_overview(pixels, content=content, times=times, averaged=False)
        small = halvings.at(times)
        return make_overview(small.pixels, content=content, times=times - (small.grid.step.bit_length() - 1))

    def _decode(self, data: bytes, detail: Detail) -> Decoded:
        return decode_codestream(data, self.layout, transfer_syntax=self.syntax, detail=detail)

    @property
    def _overview_reduction(self) -> int:
        return max(0, overview_halvings((self.layout.rows, self.layout.columns)) - 1)

    def _survey_part(self, data: bytes, index: int, decoded: Decoded, detail: Detail) -> Overview:
        """The overview of a frame of which a part was decoded; how much there is in it says its codestream."""
        rows, columns = self.layout.rows, self.layout.columns
        content = self._coded_bytes(index) / (rows * columns * self.layout.samples)
        content *= MAX_LOSSY_RATIO if self.syntax in LOSSY else 1
        times = overview_halvings((rows, columns))
        is_reducible = decoded.grid.step > 1 or not detail.reduction
        if is_wavelet(self.syntax) and is_reducible:  # always from the same part of it, which takes next to no time
            decoded = self._decode(data, Detail(self._overview_reduction, checked=True))
        return make_overview(
            decoded.pixels, content=content, times=max(0, times - (decoded.grid.step.bit_length() - 1))
        )

    def _count_native(self, length: int) -> None:
        held = 8 * length // self.layout.frame_bits
        if held > self.frame_count:
            self.notes = (
                f"Pixel Data (7FE0,0010) holds {held} frames; {label('NumberOfFrames')} is {self.frame_count}",
            )

    def _locate(self, header: Header) -> None:
        """Find the frames' fragments; there may be more than the header says."""
        self._table = locate_frames(
            self._file,
            self._element.position,
            frame_count=self.frame_count,
            end=self._element.end,
            extended_offsets=read_extended_offsets(header.attributes),
        )
        head = self._table.head(self._file)
        self.layout, notes = resolve_components(head, self.layout, self.syntax)
        self.notes = (*self._table.notes, *notes)
        self.frame_count = max(self.frame_count, len(self._table.frames))

    def _decode_native(self, index: int) -> Decoded:
        first_bit = index * self.layout.frame_bits
        start, wanted = first_bit // 8, (first_bit % 8 + self.layout.frame_bits + 7) // 8
        held = self._held_bytes
        if start + wanted > held:
            share = 100 * max(0, held - start) / wanted
            message = f"pixel data truncated: {max(0, held - start):,} of {wanted:,} bytes ({share:.1f} %)"
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


def _require_decoder(syntax: str) -> None:
    if is_supported(syntax) or (syntax in video.TRANSFER_SYNTAXES and video.is_available()):
        return
    remedy = "; install it: pip install 'dicomprep[video]'" if syntax in video.TRANSFER_SYNTAXES else ""
    reason = f"no decoder for transfer syntax {name_syntax(syntax)}{remedy}"
    raise InputError(ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX, reason)
