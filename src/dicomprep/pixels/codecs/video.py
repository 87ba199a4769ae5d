"""MPEG-2, MPEG-4 AVC and HEVC, frame by frame, by FFmpeg (DICOM PS3.5 8.2.5 to 8.2.8, A.4.5 to A.4.8).

Needs the extra `video`. All frames are one stream: a frame is had by decoding those before it, once.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.base import Decoded, are_installed
from dicomprep.pixels.codecs.transfer_syntaxes import MPEG
from dicomprep.pixels.stored import Layout

__all__ = ["DEPENDENCIES", "TRANSFER_SYNTAXES", "Video", "is_available"]

TRANSFER_SYNTAXES = MPEG
DEPENDENCIES: tuple[str, ...] = ("av",)

FORMATS = "h264,hevc,mpegvideo,mpeg,mpegts,mov"
"""Elementary streams and the containers that the standard allows; nothing that names other files."""

HD_ROWS = 720
"""From here on, colors are those of ITU-R BT.709 where a stream does not say; below, those of BT.601."""


def is_available() -> bool:
    """Whether FFmpeg can be loaded, which comes with the extra `video`."""
    return are_installed(DEPENDENCIES)


class Video:
    """The frames of one stream, cheapest in ascending order."""

    def __init__(self, stream: BinaryIO, layout: Layout, frame_count: int) -> None:
        self._stream, self._layout, self._frame_count = stream, layout, frame_count
        self._at = 0
        self._frames: Iterator[tuple[Any, str]] = iter(())

    def frame(self, index: int) -> Decoded:
        """Decode up to frame `index` (from 0).

        Returns RGB, (rows, columns, 3), uint8, or uint16 where the stream has more than 8 bits.

        Raises InputError: `truncated` where the stream ends before the frame, `corrupt_pixels` where it is damaged.
        """
        if index < self._at or self._at == 0:
            self._stream.seek(0)
            self._at, self._frames = 0, self._decode()
        try:
            for frame, codec in self._frames:
                self._at += 1
                if frame.is_corrupt:
                    raise ValueError("incomplete frame")
                if self._at > index:
                    return self._convert(frame, codec)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            reason = str(error).split(":")[0].removeprefix("[Errno 1094995529] ")
            message = f"video damaged after {self._at} frames: {reason}"
            raise InputError(ErrorCode.CORRUPT_PIXELS, message) from error
        raise InputError(ErrorCode.TRUNCATED, f"video truncated after {self._at} frames")

    def _decode(self) -> Iterator[tuple[Any, str]]:
        """Frames as FFmpeg has them, and its codec; only those that are wanted become RGB."""
        import av

        options = {"format_whitelist": FORMATS, "err_detect": "explode"}
        with av.open(self._stream, options=options) as container:
            video = next(iter(container.streams.video), None)
            if video is None or video.codec_context is None:
                raise ValueError("no decodable video stream")
            video.codec_context.options = {"err_detect": "explode"}
            video.codec_context.thread_count = 1  # the other cores have files of their own
            for packet in self._whole_packets(container.demux(video)):
                for frame in packet.decode():
                    yield frame, video.codec_context.name

    def _whole_packets(self, packets: Iterator[Any]) -> Iterator[Any]:
        """All packets but the last one of a stream that ends early: it may be cut, which FFmpeg does not always see."""
        following = None
        for number, (packet, following) in enumerate(pairwise(packets), 1):
            last = following.size == 0  # what FFmpeg closes a stream with
            if not (last and number < self._frame_count):
                yield packet
        if following is not None:
            yield following

    def _convert(self, frame: Any, codec: str) -> Decoded:  # noqa: ANN401
        from av.video.reformatter import Interpolation

        found, wanted = (frame.height, frame.width), (self._layout.rows, self._layout.columns)
        if found != wanted:
            said = "video size ({}×{}) contradicts Rows/Columns ({}×{})".format(*found, *wanted)
            raise InputError(ErrorCode.CORRUPT_PIXELS, said)
        deep = max(component.bits for component in frame.format.components) > 8
        pixels: NDArray[Any] = frame.to_ndarray(
            format="rgb48le" if deep else "rgb24",
            src_colorspace=_color_matrix(frame),
            interpolation=Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND,
        )
        return Decoded(np.ascontiguousarray(pixels), "RGB", 16 if deep else 8, f"FFmpeg {codec}")


def _color_matrix(frame: Any) -> int:  # noqa: ANN401
    """As the stream says (ITU-T H.273, table 4), else as its size suggests."""
    from av.video.reformatter import Colorspace

    stated = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601, 9: Colorspace.BT2020}
    usual = Colorspace.ITU709 if frame.height >= HD_ROWS else Colorspace.ITU601
    return int(stated.get(int(frame.colorspace), usual))
