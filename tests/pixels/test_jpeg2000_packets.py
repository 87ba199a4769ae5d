"""JPEG 2000 packet headers rewritten: the same picture without its lowest bits, or not touched at all."""

import io
from typing import Any

import imagecodecs
import numpy as np
import openjpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dicomprep.pixels.codecs.jpeg2000_packets import first_resolutions, without_fine_passes
from dicomprep.pixels.resampling import Grid, samples_of

Pixels = NDArray[Any]
WAY_BEYOND = 1e-9
"""A thumbnail of so many more pixels that nothing is blotted out."""


def textured(shape: tuple[int, ...], *, bits: int, seed: int = 0, signed: bool = False) -> Pixels:
    """Slopes and noise that fill most of the bits."""
    random = np.random.default_rng(seed)
    slopes = np.add.outer(*(np.linspace(0, 0.4, length) for length in shape[:2])).reshape(
        *shape[:2], *[1] * len(shape[2:])
    )
    values = np.clip(slopes + random.normal(0.1, 0.03, shape), 0, 1) * (2**bits - 1)
    if signed:
        return (values - 2 ** (bits - 1)).astype(np.int8 if bits <= 8 else np.int16)
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def encoded(pixels: Pixels, *, bits: int, **options: Any) -> bytes:
    return imagecodecs.jpeg2k_encode(
        pixels, codecformat="j2k", bitspersample=bits, **{"reversible": True, "level": 0, **options}
    )


def by_pillow(**options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(textured((300, 200), bits=8)).save(file, "JPEG2000", no_jp2=True, irreversible=False, **options)
    return file.getvalue()


def decoded(stream: bytes) -> NDArray[np.int64]:
    return imagecodecs.jpeg2k_decode(stream).astype(np.int64)


@given(
    rows=st.integers(1, 300),
    columns=st.integers(1, 300),
    bits=st.integers(2, 16),
    signed=st.booleans(),
    resolutions=st.integers(1, 7),
    seed=st.integers(0, 9),
)
def test_headers_are_read_and_written_again(
    rows: int, columns: int, bits: int, signed: bool, resolutions: int, seed: int
) -> None:
    pixels = textured((rows, columns), bits=bits, signed=signed, seed=seed)
    stream = encoded(pixels, bits=bits, resolutions=min(resolutions, max(1, min(rows, columns).bit_length())))
    rewritten, step = without_fine_passes(stream, reduction=0, tolerance=1, shrink=WAY_BEYOND)
    assert step == 1
    np.testing.assert_array_equal(decoded(rewritten), pixels)


@pytest.mark.parametrize("progression", ["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"])
@pytest.mark.parametrize("block", [(64, 64), (32, 32), (16, 64)])
def test_every_order_and_size_of_code_blocks(progression: str, block: tuple[int, int]) -> None:
    stream = by_pillow(progression=progression, codeblock_size=block)
    rewritten, step = without_fine_passes(stream, reduction=0, tolerance=1, shrink=WAY_BEYOND)
    assert step == 1
    np.testing.assert_array_equal(decoded(rewritten), textured((300, 200), bits=8))


@pytest.mark.parametrize("step", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("encoder", ["imagecodecs", "pylibjpeg"])
def test_samples_are_rounded_to_the_step(encoder: str, step: int) -> None:
    pixels = textured((301, 517), bits=12)
    stream = encoded(pixels, bits=12) if encoder == "imagecodecs" else openjpeg.encode(pixels, bits_stored=12)
    thin, found = without_fine_passes(stream, reduction=0, tolerance=step * 1.4, shrink=WAY_BEYOND)
    assert found == step
    error = decoded(thin) - pixels
    assert (np.abs(error).max() == 0) == (step == 1)
    assert error.std() < 0.9 * step
    assert abs(error.mean()) < 0.3 * step  # OpenJPEG rounds halves of a step down


def test_what_means_blot_out_goes_first() -> None:
    pixels = textured((512, 512), bits=12)
    stream = encoded(pixels, bits=12)
    for shrink in (2.3, 4.6):
        thin, _ = without_fine_passes(stream, reduction=0, tolerance=1, shrink=shrink)
        error = decoded(thin) - pixels
        block = round(shrink)
        side = 512 // block * block
        means = error[:side, :side].reshape(side // block, block, side // block, block).mean((1, 3))
        assert error.std() > 0.5
        assert means.std() < 0.6 * error.std()


def test_resolutions_that_are_not_decoded_are_left_out() -> None:
    pixels = textured((512, 400), bits=12)
    stream = encoded(pixels, bits=12)
    thin, _ = without_fine_passes(stream, reduction=2, tolerance=1, shrink=WAY_BEYOND)
    assert len(thin) < len(stream) / 8
    np.testing.assert_array_equal(reduced(thin, 2), reduced(stream, 2))


def test_nothing_but_a_region_is_decoded_exactly() -> None:
    pixels = textured((700, 900), bits=12)
    stream = encoded(pixels, bits=12)
    for top, left, bottom, right in ((200, 300, 330, 520), (0, 0, 64, 64), (511, 640, 700, 900), (5, 250, 6, 260)):
        region = (top, left, bottom, right)
        thin, _ = without_fine_passes(stream, reduction=0, tolerance=1, shrink=WAY_BEYOND, region=region)
        differs = decoded(thin) != pixels
        assert not differs[top:bottom, left:right].any()
        assert differs.mean() > 0.4
        thin, _ = without_fine_passes(stream, reduction=1, tolerance=1, shrink=WAY_BEYOND, region=region)
        differs = reduced(thin, 1) != reduced(stream, 1)
        around = samples_of(region, Grid(2, phase=0.25))
        assert not differs[around].any()
        assert differs.any()


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("lossy", encoded(textured((300, 300), bits=8), bits=8, reversible=False, level=60)),
        ("color", encoded(textured((300, 300, 3), bits=8), bits=8)),
        ("high throughput", imagecodecs.htj2k_encode(textured((300, 300), bits=12), reversible=True)),
        ("tiles", by_pillow(tile_size=(128, 128))),
        ("layers", by_pillow(quality_mode="rates", quality_layers=[20, 5, 1])),
        ("precincts", by_pillow(precinct_size=(64, 64))),
        ("JPEG", imagecodecs.jpeg8_encode(textured((64, 64), bits=8))),
        ("nothing", b""),
    ],
)
def test_streams_of_other_kinds_are_not_touched(name: str, stream: bytes) -> None:
    assert without_fine_passes(stream, reduction=0, tolerance=8, shrink=2) == (stream, 0)


def test_a_tolerance_of_less_than_a_value_changes_nothing() -> None:
    stream = encoded(textured((300, 300), bits=12), bits=12)
    assert without_fine_passes(stream, reduction=0, tolerance=0.99, shrink=4) == (stream, 0)


@given(data=st.data())
def test_damaged_streams_are_left_to_the_decoder(data: st.DataObject) -> None:
    stream = bytearray(STREAM)
    for _ in range(data.draw(st.integers(1, 8))):
        stream[data.draw(st.integers(0, min(len(stream), 400) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(stream)))
    without_fine_passes(bytes(stream[:cut]), reduction=data.draw(st.integers(0, 7)), tolerance=8, shrink=2)


def reduced(stream: bytes, reduction: int) -> NDArray[Any]:
    image = Image.open(io.BytesIO(stream), formats=["JPEG2000"])
    image.reduce = reduction  # type: ignore[assignment,method-assign]
    return np.asarray(image)


@pytest.mark.parametrize(
    "stream",
    [
        encoded(textured((512, 384), bits=12), bits=12),
        encoded(textured((512, 384), bits=12), bits=12, reversible=False, level=60),
        encoded(textured((512, 384, 3), bits=8), bits=8),
        by_pillow(progression="RPCL", precinct_size=(64, 64)),
        by_pillow(progression="LRCP", precinct_size=(128, 128), codeblock_size=(32, 32)),
        by_pillow(progression="CPRL"),
    ],
    ids=["reversible", "lossy", "color", "precincts by position", "precincts", "by component"],
)
@pytest.mark.parametrize("reduction", [1, 2])
def test_the_first_resolutions_decode_as_in_the_whole_stream(stream: bytes, reduction: int) -> None:
    whole = first_resolutions(stream, reduction=reduction)
    assert whole is not None
    assert len(whole) < (0.6 if reduction == 1 else 0.4) * len(stream)
    for halvings in range(reduction, 4):
        np.testing.assert_array_equal(reduced(whole, halvings), reduced(stream, halvings))
    assert first_resolutions(stream[: len(whole)], reduction=reduction) in (whole, None)
    assert first_resolutions(stream[: len(whole) // 2], reduction=reduction) is None
    reach = next(
        end for end in range(len(whole) - 64, len(stream)) if first_resolutions(stream[:end], reduction=reduction)
    )
    assert first_resolutions(stream[:reach], reduction=reduction) == whole


@pytest.mark.parametrize(
    "stream",
    [
        by_pillow(tile_size=(128, 128)),
        by_pillow(quality_mode="rates", quality_layers=[20, 5, 1]),
        by_pillow(progression="PCRL", precinct_size=(64, 64)),
        imagecodecs.htj2k_encode(textured((300, 300), bits=12), reversible=True),
        b"",
    ],
    ids=["tiles", "layers", "by position", "high throughput", "nothing"],
)
def test_streams_whose_resolutions_do_not_come_one_by_one_have_no_first_ones(stream: bytes) -> None:
    assert first_resolutions(stream, reduction=2) is None


@given(data=st.data())
def test_a_damaged_beginning_is_none_or_decodes(data: st.DataObject) -> None:
    stream = bytearray(STREAM)
    for _ in range(data.draw(st.integers(1, 8))):
        stream[data.draw(st.integers(0, min(len(stream), 400) - 1))] = data.draw(st.integers(0, 255))
    first_resolutions(bytes(stream[: data.draw(st.integers(0, len(stream)))]), reduction=data.draw(st.integers(0, 7)))


STREAM = encoded(textured((200, 200), bits=12), bits=12)
