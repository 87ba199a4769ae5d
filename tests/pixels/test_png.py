"""PNG files hold what was put into them, to every reader."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from dicomprep.pixels.png import encode_png

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))
GRAYS = st.sampled_from([np.uint8, np.uint16])


def by_opencv(content: bytes) -> NDArray[Any]:
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels[..., ::-1] if pixels.ndim == 3 else pixels


@given(st.tuples(SHAPES, GRAYS, st.booleans()).flatmap(lambda s: arrays(s[1], (*s[0], 3) if s[2] else s[0])))
def test_what_is_put_in_comes_out(pixels: NDArray[Any]) -> None:
    before = pixels.copy()
    found = by_opencv(encode_png(pixels))
    assert found.dtype == pixels.dtype
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(("shape", "mode"), [((224, 224), "L"), ((224, 224, 3), "RGB")])
def test_pillow_reads_the_same(shape: tuple[int, ...], mode: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        image.verify()
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_views_of_other_arrays_are_no_matter() -> None:
    pixels = np.random.default_rng(2).integers(0, 65536, (50, 60, 3)).astype(np.uint16)
    for view in (pixels[::2, ::3], pixels[:, ::-1], pixels.transpose(1, 0, 2), pixels[..., 0]):
        np.testing.assert_array_equal(by_opencv(encode_png(view)), view)


def test_the_same_pixels_give_the_same_bytes() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (224, 224)).astype(np.uint8)
    assert encode_png(pixels) == encode_png(pixels.copy())


def test_a_smooth_picture_is_no_larger_than_by_opencv() -> None:
    rows, columns = np.indices((224, 224))
    pixels = (127 + 100 * np.sin(rows / 19) * np.cos(columns / 23)).astype(np.uint8)
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]
    assert len(encode_png(pixels)) <= len(cv2.imencode(".png", pixels, options)[1])
