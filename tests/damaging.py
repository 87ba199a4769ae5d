"""Decodes damaged codestreams in processes of their own; `python -m tests.damaging` prints what became of each.

A decoder that crashes on them would take the tests along.
"""

import json
import os
import struct
import sys
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pydicom
from pydicom.encaps import generate_frames

from dicomprep.errors import InputError
from dicomprep.pixels.codecs.registry import decode_codestream
from dicomprep.pixels.stored import Layout
from tests.reference_table import FOLDER

__all__ = ["CUTS", "DAMAGED", "SAMPLES", "sample"]

SAMPLES = [
    "JPEG2000.dcm",
    "JPEGLSNearLossless_16.dcm",
    "JPGExtended.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "SC_rgb_jls_lossy_sample.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_rle_16bit.dcm",
    "examples_ybr_color.dcm",
]
SEEDS = 60
Streams = Iterator[bytes]

CUTS: dict[str, Callable[[bytes, int], bytes]] = {
    "cut": lambda stream, length: stream[:length],
    "cut and ended": lambda stream, length: stream[:length] + b"\xff\xd9",
    "cut and filled": lambda stream, length: stream[:length] + bytes(len(stream) - length),
}
"""What is left of a stream of which only `length` bytes were written: as they are; with the end marker of JPEG and
JPEG 2000 behind them, as some archives mend them; with zeros up to the length that had been reserved."""


def sample(name: str) -> tuple[bytes, Layout, str]:
    """The first codestream of a sample file, its layout and its transfer syntax."""
    with warnings.catch_warnings(action="ignore"):
        dataset = pydicom.dcmread(FOLDER / name)
    stream = next(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)))
    layout = Layout(
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored,
        dataset.HighBit, dataset.PixelRepresentation == 1, dataset.PhotometricInterpretation,
    )  # fmt: skip
    return stream, layout, str(dataset.file_meta.TransferSyntaxUID)


def _mutated(stream: bytes) -> Streams:
    """Up to eight bytes changed, among the first thousand."""
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        damaged = bytearray(stream)
        for _ in range(random.integers(1, 9)):
            damaged[random.integers(0, min(len(stream), 1000))] = random.integers(0, 256)
        yield bytes(damaged)


def _without_huffman_table(stream: bytes) -> Streams:
    at = stream.index(b"\xff\xc4")
    (length,) = struct.unpack(">H", stream[at + 2 : at + 4])
    yield stream[:at] + stream[at + 2 + length :]


def _with_wrong_frame_header_length(stream: bytes) -> Streams:
    at = stream.index(b"\xff\xc3") + 2
    for length in (0, 8, 16, 18, 255):
        yield stream[:at] + struct.pack(">H", length) + stream[at + 2 :]


def _with_rle_offsets(stream: bytes) -> Streams:
    for offsets in ((64, 2**31), (64, len(stream)), (64, len(stream) + 50), (2**32 - 1, 64), (900, 64), (0, 900)):
        yield stream[:4] + struct.pack("<2I", *offsets) + stream[12:]


def _with_rle_segments(stream: bytes) -> Streams:
    for number in (0, 1, 3, 15, 16, 2**32 - 1):
        yield struct.pack("<I", number) + stream[4:]


DAMAGED: dict[str, tuple[str, Callable[[bytes], Streams]]] = {
    **{name: (name, _mutated) for name in SAMPLES},
    "JPEG Lossless without a Huffman table": ("SC_rgb_jpeg_gdcm.dcm", _without_huffman_table),
    "JPEG Lossless with a wrong frame header": ("SC_rgb_jpeg_gdcm.dcm", _with_wrong_frame_header_length),
    "RLE segments that lie elsewhere": ("MR_small_RLE.dcm", _with_rle_offsets),
    "RLE with another number of segments": ("MR_small_RLE.dcm", _with_rle_segments),
}


def _decode_all(name: str, damage: Callable[[bytes], Streams]) -> str:
    """`survived`, or what a stream led to that is neither its frame nor an InputError."""
    stream, layout, syntax = sample(name)
    for number, damaged in enumerate(damage(stream)):
        try:
            shape = decode_codestream(damaged, layout, transfer_syntax=syntax).pixels.shape
        except InputError:
            continue
        except Exception as error:  # noqa: BLE001
            return f"stream {number}: {error!r}"
        if shape[:2] != (layout.rows, layout.columns):
            return f"stream {number}: pixels of {shape}"
    return "survived"


def _in_child(work: Callable[[], str]) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, work().encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    return text if status == 0 else f"the process died of signal {os.WTERMSIG(status)}"


if __name__ == "__main__":
    json.dump({title: _in_child(lambda: _decode_all(*DAMAGED[title])) for title in DAMAGED}, sys.stdout)  # noqa: B023
