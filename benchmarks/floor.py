"""The unavoidable parts of making thumbnails of a file, in a plain loop over the same libraries, each by itself.

Nothing is checked, recorded or looked up: the file is read, its frames are entropy-decoded at the resolution at which
dicomprep decodes them, a picture of that size is resampled, a thumbnail is encoded and written.
"""

import io
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pydicom
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import generate_frames

from dicomprep.pixels.png import encode_png

__all__ = ["PARTS", "Plan", "spend"]

PARTS = ("read", "decode", "resample", "encode", "write")
Pixels = NDArray[Any]
Spent = defaultdict[str, float]
Decode = Callable[[bytes], Pixels]


@dataclass(frozen=True, slots=True)
class Plan:
    """How dicomprep decodes and draws the frames of a class, as its database says."""

    decoder: str
    step: int
    """1/step of the rows and columns are decoded."""
    scaled_shape: tuple[int, int]
    """(rows, columns) to which a frame is resampled."""


def spend(files: list[Path], root: Path, thumbnails: Path, plan: Plan, scratch: Path) -> dict[str, float]:
    """Processor seconds of each part for `files` below `root`, whose thumbnails lie below `thumbnails`."""
    cv2.setNumThreads(1)
    spent: Spent = defaultdict(float)
    for file in files:
        with _clock(spent, "read"):
            content = _read(file)
        dataset = pydicom.dcmread(io.BytesIO(content))
        decode = _decoder(dataset, plan)
        frames = _frames(dataset)
        for index, data in enumerate(frames):
            suffix = f"_frame{index:04d}" if len(frames) > 1 else ""
            place = file.relative_to(root).with_suffix("")
            thumbnail = np.asarray(Image.open(thumbnails / f"{place}{suffix}.png"))
            _spend_frame(spent, data, decode, plan, thumbnail, scratch / f"{file.parent.name}_{file.stem}{suffix}.png")
    return {part: spent[part] for part in PARTS}


def _spend_frame(spent: Spent, data: bytes, decode: Decode, plan: Plan, thumbnail: Pixels, out: Path) -> None:
    with _clock(spent, "decode"):
        pixels = decode(data)
    drawn = (pixels >> max(0, int(pixels.max()).bit_length() - 8)).astype(np.uint8)
    with _clock(spent, "resample"):
        cv2.resize(drawn, plan.scaled_shape[::-1], interpolation=cv2.INTER_AREA)
    with _clock(spent, "encode"):
        png = encode_png(thumbnail)
    with _clock(spent, "write"):
        temporary = out.with_name(f".{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(descriptor, png)
        os.close(descriptor)
        temporary.rename(out)


@contextmanager
def _clock(spent: Spent, part: str) -> Iterator[None]:
    start = time.process_time()
    yield
    spent[part] += time.process_time() - start


def _read(file: Path) -> bytes:
    descriptor = os.open(file, os.O_RDONLY)
    content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    os.close(descriptor)
    return content


def _frames(dataset: pydicom.Dataset) -> list[bytes]:
    """The bytes of each frame."""
    count = int(dataset.get("NumberOfFrames", 1))
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return list(generate_frames(dataset.PixelData, number_of_frames=count))
    length = len(dataset.PixelData) // count
    return [dataset.PixelData[start : start + length] for start in range(0, count * length, length)]


def _decoder(dataset: pydicom.Dataset, plan: Plan) -> Decode:
    """The library that dicomprep says it used, called directly."""
    shape = (dataset.Rows, dataset.Columns)
    dtype = np.dtype(f"u{dataset.BitsAllocated // 8}")
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return lambda data: np.frombuffer(data, dtype)[: shape[0] * shape[1]].reshape(shape)
    if plan.decoder == "OpenJPEG":
        return imagecodecs.jpeg2k_decode if plan.step == 1 else lambda data: _reduced_j2k(data, shape, plan.step)
    if plan.decoder == "CharLS":
        return imagecodecs.jpegls_decode
    if dataset.BitsStored > 8:
        return imagecodecs.jpeg8_decode if plan.decoder == "libjpeg-turbo" else imagecodecs.ljpeg_decode
    least = [-(-length // plan.step) if plan.step > 1 else 0 for length in shape]
    space = "RGB" if dataset.SamplesPerPixel == 3 else "GRAY"
    return lambda data: simplejpeg.decode_jpeg(data, space, min_height=least[0], min_width=least[1])


def _reduced_j2k(data: bytes, shape: tuple[int, int], step: int) -> Pixels:
    image = Image.open(io.BytesIO(data), formats=["JPEG2000"])
    rows, columns = (-(-length // step) * step for length in shape)
    image._size = (columns, rows)
    image.reduce = step.bit_length() - 1  # type: ignore[assignment,method-assign]
    return np.asarray(image)
