"""Whether two pictures are the same: exactly, however they are wrapped, or as far as an eye would tell."""

from typing import Any

import cv2
import numpy as np
import xxhash
from numpy.typing import NDArray

__all__ = ["digest_samples", "perceptual_hash", "similarity"]

LEAST_CONTRAST = 8 / 255
"""Between the brightest and the darkest part of a picture, as a share of its range."""

LEAST_BYTES = 0.05
"""A picture whose PNG takes fewer bytes a sample is blank, a mask or a test pattern: many patients may have the same.

Measured on public collections: CT, MR, X-ray and ultrasound 0.07 to 0.6, masks and colour bars 0.004 to 0.04.
"""

SAMPLED = 56
"""About so many rows and columns of a thumbnail are looked at: all of them would take ten times as long."""


def digest_samples(pixels: NDArray[Any], *, bits_stored: int) -> bytes:
    """XXH3-128 of stored values and their shape: the same for the same values in any lossless transfer syntax."""
    if bits_stored <= 8 and pixels.dtype.kind in "ui" and pixels.itemsize > 1:  # one writer's word is another's byte
        pixels = pixels.astype(f"{pixels.dtype.kind}1")
    state = xxhash.xxh3_128(np.ascontiguousarray(pixels).data)
    state.update(f"{pixels.shape}{pixels.dtype.str}".encode())
    return state.digest()


def perceptual_hash(pixels: NDArray[Any], *, encoded_bytes: int) -> int | None:
    """64 bits, signed, of a thumbnail (rows, columns[, 3]): few of them differ between pictures that look the same.

    Each bit says whether it gets brighter from one part to the next on the right (a difference hash). None for a
    picture with so little in it that another patient's may well be the same; `encoded_bytes` is how long its PNG is.
    """
    if encoded_bytes < LEAST_BYTES * pixels.size:
        return None
    step = max(1, min(pixels.shape[:2]) // SAMPLED)
    sampled = np.ascontiguousarray(pixels[::step, ::step])
    parts = cv2.resize(sampled, (9, 8), interpolation=cv2.INTER_AREA)
    if parts.ndim == 3:
        parts = parts.mean(axis=2)
    darkest, brightest, _, _ = cv2.minMaxLoc(parts)
    if brightest - darkest < LEAST_CONTRAST * np.iinfo(pixels.dtype).max:
        return None
    return int.from_bytes(np.packbits(parts[:, 1:] > parts[:, :-1]).tobytes(), "big", signed=True)


def similarity(one: NDArray[Any], other: NDArray[Any]) -> float:
    """How alike two pictures are, as the correlation of their grey at 64 rows and columns: 1.0 for the same."""
    first, second = (_small_grey(pixels) for pixels in (one, other))
    spread = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / spread if spread else 0.0


def _small_grey(pixels: NDArray[Any]) -> NDArray[np.float32]:
    small = cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey = small if small.ndim == 2 else small.mean(axis=2)
    return grey - grey.mean()
