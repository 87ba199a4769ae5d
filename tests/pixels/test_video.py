"""Video transfer syntaxes, frame by frame: encoded here by FFmpeg, wrapped as DICOM, drawn, cut and damaged."""

import io
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import dicomprep
from dicomprep.config import ImageOptions
from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.base import FULL_DETAIL
from dicomprep.pixels.codecs.video import TRANSFER_SYNTAXES, Video
from tests.building import make_dicom
from tests.reading import decoded_frames, opened_image

UID = "1.2.840.10008.1.2.4"
COUNT = 12
KINDS = {
    "mpeg2": (f"{UID}.100", "mpeg2video", "mpeg2video"),
    "mpeg2 in a transport stream": (f"{UID}.101", "mpeg2video", "mpegts"),
    "avc": (f"{UID}.102", "libx264", "h264"),
    "avc in mp4": (f"{UID}.103", "libx264", "mp4"),
    "avc in a transport stream": (f"{UID}.104", "libx264", "mpegts"),
    "hevc": (f"{UID}.107", "libx265", "hevc"),
    "hevc of 10 bits": (f"{UID}.108", "libx265", "hevc"),
}


def pictures(rows: int = 96, columns: int = 128) -> NDArray[np.uint8]:
    """Patches of every color, with a bar that moves: (frames, rows, columns, 3)."""
    y, x = np.indices((rows, columns))
    still = np.stack([x * 255 // columns, y * 255 // rows, np.full_like(x, 90)], axis=-1).astype(np.uint8)
    frames = np.repeat(still[np.newaxis], COUNT, axis=0)
    for number, frame in enumerate(frames):
        frame[8:24, 8 * number : 8 * number + 8] = 255
    return frames


def encode(frames: NDArray[np.uint8], codec: str, container: str, *, deep: bool = False, matrix: int = 5) -> bytes:
    """A stream of the frames; `matrix` is the color matrix, which the stream states (5: BT.601, 1: BT.709)."""
    target = io.BytesIO()
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with av.open(target, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=25, options={**quiet, "crf": "8", "q:v": "2"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p10le" if deep else "yuv420p"
        stream.bit_rate = 8_000_000
        stream.codec_context.colorspace = matrix
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            converted = frame.reformat(format=stream.pix_fmt, dst_colorspace=matrix)
            converted.colorspace = matrix
            output.mux(stream.encode(converted))
        output.mux(stream.encode())
    return target.getvalue()


def video_file(path: Path, stream: bytes, syntax: str, frames: NDArray[np.uint8], **attributes: Any) -> Path:
    described = {
        "PhotometricInterpretation": "YBR_PARTIAL_420",
        "NumberOfFrames": len(frames),
        "Modality": "ES",
        **attributes,
    }
    return make_dicom(path, frames, transfer_syntax=syntax, codestreams=[stream], color=True, **described)


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_of_a_video_is_drawn(kind: str, tmp_path: Path) -> None:
    syntax, codec, container = KINDS[kind]
    expected = pictures()
    stream = encode(expected, codec, container, deep="10" in kind)
    frames = decoded_frames(video_file(tmp_path / "a.dcm", stream, syntax, expected))
    assert len(frames) == COUNT
    for frame, reference in zip(frames, expected, strict=True):
        assert frame.photometric_interpretation == "RGB"
        depth = 257 if frame.bits_stored == 16 else 1
        error = frame.pixels.astype(np.float64) / depth - reference
        assert np.abs(error).mean() < 3
        assert np.abs(error.mean(axis=(0, 1))).max() < 1  # no cast in any color
    assert frames[0].bits_stored == (16 if "10" in kind else 8)


@pytest.mark.parametrize(("rows", "matrix"), [(96, 5), (96, 1), (720, 1), (720, 5)])
def test_the_stream_says_which_colors_it_means(rows: int, matrix: int, tmp_path: Path) -> None:
    expected = pictures(rows)[:2]
    stream = encode(expected, "libx264", "h264", matrix=matrix)
    frame = decoded_frames(video_file(tmp_path / "a.dcm", stream, f"{UID}.102", expected))[0]
    assert np.abs((frame.pixels.astype(float) - expected[0]).mean(axis=(0, 1))).max() < 1


def test_frames_are_had_in_any_order(tmp_path: Path) -> None:
    expected = pictures()
    path = video_file(tmp_path / "a.dcm", encode(expected, "libx264", "h264"), f"{UID}.102", expected)
    in_order = decoded_frames(path)
    with opened_image(path) as image:
        for index in (7, 3, 4, 11, 0):
            np.testing.assert_array_equal(image._reader.data.decode(index, FULL_DETAIL).pixels, in_order[index].pixels)


@pytest.mark.parametrize("kind", ["mpeg2", "avc", "hevc"])
def test_a_stream_in_many_fragments_is_one_stream(kind: str, tmp_path: Path) -> None:
    syntax, codec, container = KINDS[kind]
    expected = pictures()
    stream = encode(expected, codec, container)
    whole = decoded_frames(video_file(tmp_path / "a.dcm", stream, syntax, expected))
    parts = [stream[at : at + 1000] for at in range(0, len(stream), 1000)]
    attributes = {"PhotometricInterpretation": "YBR_PARTIAL_420", "NumberOfFrames": COUNT}
    path = make_dicom(tmp_path / "b.dcm", expected, transfer_syntax=syntax, codestreams=parts, color=True, **attributes)
    for one, other in zip(whole, decoded_frames(path), strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["mpeg2", "avc", "hevc", "avc in a transport stream"])
def test_a_cut_video_gives_whole_frames_and_then_none(kind: str, share: float, tmp_path: Path) -> None:
    syntax, codec, container = KINDS[kind]
    expected = pictures()
    stream = encode(expected, codec, container)
    whole = decoded_frames(video_file(tmp_path / "a.dcm", stream, syntax, expected))
    path = video_file(tmp_path / "b.dcm", stream[: int(len(stream) * share)], syntax, expected)
    with opened_image(path) as image:
        drawn, broken = 0, 0
        for index in range(COUNT):
            try:
                pixels = image._reader.data.decode(index, FULL_DETAIL).pixels
            except InputError as error:
                assert error.code in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT_PIXELS)
                broken += 1
                continue
            drawn += 1
            np.testing.assert_array_equal(pixels, whole[index].pixels)
    assert broken > 0
    assert drawn + broken == COUNT


def test_a_video_of_another_size_than_the_header_says_is_refused(tmp_path: Path) -> None:
    expected = pictures()
    stream = encode(expected, "libx264", "h264")
    path = video_file(tmp_path / "a.dcm", stream, f"{UID}.102", expected, Rows=480)
    with pytest.raises(InputError, match=r"video size \(96×128\) contradicts Rows/Columns \(480×128\)") as caught:
        decoded_frames(path)
    assert caught.value.code == ErrorCode.CORRUPT_PIXELS


@pytest.mark.parametrize(
    "stream", [b"\0\0", b"rubbish" * 500, b"#EXTM3U\n/etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd"]
)
def test_what_is_no_video_is_refused(stream: bytes, tmp_path: Path) -> None:
    path = video_file(tmp_path / "a.dcm", stream, f"{UID}.102", pictures())
    with pytest.raises(InputError) as caught:
        decoded_frames(path)
    assert caught.value.code in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT_PIXELS)


@pytest.mark.parametrize("syntax", sorted(TRANSFER_SYNTAXES))
def test_without_the_extra_a_video_is_refused_with_the_remedy(
    syntax: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    path = video_file(tmp_path / "a.dcm", b"\0\0\1\xb3", syntax, pictures())
    with pytest.raises(InputError, match=rf"{syntax}\); install it: pip install 'dicomprep\[video\]'"):
        dicomprep.process_dicom(path)


@pytest.mark.parametrize("kind", ["mpeg2", "avc", "hevc", "avc in mp4", "avc in a transport stream"])
def test_damaged_video_is_an_input_error_or_pictures(kind: str, tmp_path: Path) -> None:
    syntax, codec, container = KINDS[kind]
    expected = pictures()[:4]
    stream = encode(expected, codec, container)
    random = np.random.default_rng(7)
    for number in range(40):
        damaged = bytearray(stream)
        for at in random.integers(0, len(stream), random.integers(1, 30)):
            damaged[at] = random.integers(0, 256)
        start, length = random.integers(0, len(stream), 2)
        del damaged[start : start + length // 8]
        with opened_image(video_file(tmp_path / f"{number}.dcm", bytes(damaged), syntax, expected)) as image:
            for index in range(4):
                with suppress(InputError):
                    image.frame(index, ImageOptions())


def test_only_frames_that_are_asked_for_are_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = pictures()
    path = video_file(tmp_path / "a.dcm", encode(expected, "libx264", "h264"), f"{UID}.102", expected)
    converted: list[int] = []
    convert = Video._convert
    monkeypatch.setattr(Video, "_convert", lambda *args: (converted.append(1), convert(*args))[1])
    (drawn,) = dicomprep.process_dicom(path, frames="middle")
    assert (drawn.frame_number, len(converted)) == (COUNT // 2, 1)
