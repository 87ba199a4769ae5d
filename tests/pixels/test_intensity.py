"""From stored values to gray: every rule of PS3.3 C.11 against formulas written a second time."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.pixels import apply_windowing

from dicomprep.pixels.intensity import (
    GrayscaleTransform,
    LookupTable,
    Rescale,
    ValueRange,
    Window,
    apply_lookup,
    apply_window,
    draw_grayscale,
)
from dicomprep.pixels.transform import GrayscaleRecord, TableRecord, record_grayscale
from dicomprep.pixels.value_range import RangeRule, measure_range, overview_shape
from tests.building import dataset_of

RAMP = LookupTable(-100, 12, np.arange(0, 4096, 3, dtype="<u2").tobytes())
CURVE = LookupTable(10, 16, (np.linspace(0, 1, 300) ** 2 * 65535).astype("<u2").tobytes())
ROBUST = RangeRule()
FUNCTIONS = ["LINEAR", "LINEAR_EXACT", "SIGMOID"]

centers = st.floats(-2000, 3000)
widths = st.floats(1, 5000)
rescales = st.builds(Rescale, st.floats(-4, 4).filter(lambda slope: abs(slope) > 1e-3), st.floats(-2000, 2000))
windows = st.builds(Window, centers, widths, st.sampled_from(FUNCTIONS))


def measured(frames: list[Any], *, modalities: list[Any], padding: Any, rule: RangeRule = ROBUST) -> ValueRange:
    """The range of frames of one shape."""
    shape = overview_shape(frames[0].shape)
    return measure_range(zip(frames, modalities, strict=True), padding=padding, shape=shape, rule=rule)


ranges = st.builds(lambda low, span: ValueRange(low, low + span, "robust"), centers, widths)
grays = st.builds(
    GrayscaleTransform,
    rescales | st.just(RAMP),
    windows | ranges | st.just(CURVE),
    st.booleans(),
    st.none() | st.tuples(st.integers(-40, 0), st.integers(1, 40)),
)


def every_stored_value(bits: int, *, signed: bool) -> NDArray[Any]:
    """All values of `bits` bits, shuffled, in the smallest dtype that holds them."""
    first = -(2 ** (bits - 1)) if signed else 0
    values = np.arange(first, first + 2**bits)
    np.random.default_rng(bits).shuffle(values)
    return values.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}").reshape(-1, 2)


def window_of_the_standard(x: float, center: float, width: float, function: str) -> float:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, word for word, for an output range of 0 to 1."""
    if function == "SIGMOID":
        return 1 / (1 + math.exp(min(700, -4 * (x - center) / width)))
    if function == "LINEAR_EXACT":
        if x <= center - width / 2:
            return 0
        return 1 if x > center + width / 2 else (x - center) / width + 0.5
    if x <= center - 0.5 - (width - 1) / 2:
        return 0
    return 1 if x > center - 0.5 + (width - 1) / 2 else (x - (center - 0.5)) / (width - 1) + 0.5


@given(
    grayscale=grays,
    bits=st.integers(1, 12) | st.sampled_from([13, 14, 15, 16]),
    signed=st.booleans(),
    depth=st.sampled_from([8, 16]),
)
def test_table_and_direct_path_draw_the_same(
    grayscale: GrayscaleTransform, bits: int, signed: bool, depth: int
) -> None:
    pixels = every_stored_value(bits, signed=signed)
    by_table = draw_grayscale(pixels, grayscale=grayscale, bits_stored=bits, depth=depth)
    direct = draw_grayscale(pixels.astype(np.float64), grayscale=grayscale, bits_stored=bits, depth=depth)
    assert by_table.dtype == direct.dtype == (np.uint8 if depth == 8 else np.uint16)
    np.testing.assert_array_equal(by_table, direct)
    few = pixels[: max(1, 2 ** (bits - 1) // 2 - 1)][:50]
    np.testing.assert_array_equal(
        draw_grayscale(few, grayscale=grayscale, bits_stored=bits, depth=depth), by_table[: len(few)]
    )


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_every_dtype_draws_its_values(dtype: str) -> None:
    values = [0, 1, 50, 100, 127] if np.dtype(dtype).kind == "u" else [-128, -1, 0, 50, 127]
    pixels = np.array([values], dtype)
    grayscale = GrayscaleTransform(Rescale(2, 10), Window(60, 401, "LINEAR"))
    bits = 8 * pixels.dtype.itemsize
    expected = [[round(255 * window_of_the_standard(2 * v + 10, 60, 401, "LINEAR")) for v in values]]
    assert draw_grayscale(pixels, grayscale=grayscale, bits_stored=bits, depth=8).tolist() == expected


@given(
    x=st.lists(st.floats(-5000, 5000), min_size=1), center=centers, width=widths, function=st.sampled_from(FUNCTIONS)
)
def test_windows_are_those_of_the_standard(x: list[float], center: float, width: float, function: str) -> None:
    drawn = apply_window(np.array(x), center=center, width=width, function=function)
    expected = [window_of_the_standard(value, center, width, function) for value in x]
    # at the ends of a very narrow LINEAR window the last bit decides
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-9 if width > 1.001 else 1)


@given(center=centers, width=st.floats(1.5, 5000), function=st.sampled_from(FUNCTIONS))
def test_windows_are_those_of_pydicom(center: float, width: float, function: str) -> None:
    values = np.linspace(-4000, 4000, 999)
    dataset = dataset_of(
        PhotometricInterpretation="MONOCHROME2", BitsStored=16, PixelRepresentation=0,
        WindowCenter=center, WindowWidth=width, VOILUTFunction=function,
    )  # fmt: skip
    with np.errstate(over="ignore"):
        expected = apply_windowing(values, dataset) / 65535
    drawn = apply_window(
        values, center=float(dataset.WindowCenter), width=float(dataset.WindowWidth), function=function
    )
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-9)


def test_linear_window_of_width_one_is_a_threshold() -> None:
    assert apply_window(np.array([39.0, 39.5, 39.6, 41]), center=40, width=1).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("function", "width"), [("LINEAR", 0.9), ("LINEAR", 0), ("LINEAR_EXACT", 0), ("SIGMOID", -1), ("CUBIC", 10)]
)
def test_undefined_windows_are_refused(function: str, width: float) -> None:
    with pytest.raises(ValueError, match=function):
        apply_window(np.zeros(3), center=0, width=width, function=function)


@given(st.lists(st.floats(-500, 5000), min_size=1))
def test_lookup_takes_the_ends_outside_of_the_table(values: list[float]) -> None:
    entries = RAMP.values.tolist()
    expected = [entries[min(len(entries) - 1, max(0, round(v) + 100))] for v in values]
    assert apply_lookup(np.array(values), RAMP).tolist() == expected


def test_voi_table_fills_its_own_bits() -> None:
    grayscale = GrayscaleTransform(Rescale(), LookupTable(0, 10, np.array([0, 512, 1023], "<u2").tobytes()))
    assert draw_grayscale(np.array([[0, 1, 2, 9]], "u1"), grayscale=grayscale, bits_stored=8, depth=8).tolist() == [
        [0, 128, 255, 255]
    ]


@given(center=st.floats(0, 4095), width=widths, function=st.sampled_from(FUNCTIONS))
def test_monochrome1_of_inverted_data_is_monochrome2(center: float, width: float, function: str) -> None:
    pixels = every_stored_value(12, signed=False)
    mirrored = 4095 - center + (1 if function == "LINEAR" else 0)  # LINEAR is centerd half a value lower
    plain = GrayscaleTransform(Rescale(), Window(center, width, function))
    inverted = GrayscaleTransform(Rescale(), Window(mirrored, width, function), inverted=True)
    direct = draw_grayscale(pixels, grayscale=plain, bits_stored=12, depth=8).astype(int)
    mirror = draw_grayscale(4095 - pixels, grayscale=inverted, bits_stored=12, depth=8).astype(int)
    assert np.abs(direct - mirror).max() <= (1 if width > 1.001 else 255)
    assert np.mean(direct != mirror) < 0.01


def test_full_range_mirrors_exactly() -> None:
    pixels = every_stored_value(8, signed=False)
    voi = ValueRange(0, 255, "all stored values")
    plain = draw_grayscale(pixels, grayscale=GrayscaleTransform(Rescale(), voi), bits_stored=8, depth=8)
    np.testing.assert_array_equal(plain, pixels)
    inverted = draw_grayscale(
        pixels, grayscale=GrayscaleTransform(Rescale(), voi, inverted=True), bits_stored=8, depth=8
    )
    np.testing.assert_array_equal(inverted, 255 - pixels)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("dtype", ["i2", "i4", "f8"])
def test_padding_is_background(dtype: str, inverted: bool) -> None:
    pixels = np.tile(np.array([[-2000, -1990, -1980, -1979, 500]], dtype), (10_000, 1))
    grayscale = GrayscaleTransform(Rescale(1, 0), Window(-2000, 400), inverted=inverted, padding=(-2000, -1980))
    drawn = draw_grayscale(pixels, grayscale=grayscale, bits_stored=16, depth=8)[0]
    assert drawn[:3].tolist() == [0, 0, 0]
    assert drawn[3] > 0
    assert drawn[4] == (0 if inverted else 255)


@given(st.integers(1, 30), st.integers(-50, 50))
def test_padding_takes_no_part_in_the_range(rows: int, padding: int) -> None:
    pixels = np.random.default_rng(rows).integers(100, 1000, (rows, 50)).astype(np.int16)
    bordered = np.full((rows + 20, 70), padding, np.int16)
    bordered[10:-10, 10:-10] = pixels
    modality = [Rescale(2, -7)]
    alone = measured([pixels], modalities=modality, padding=None)
    assert measured([bordered], modalities=modality, padding=(padding, padding)) == alone
    assert measured([bordered], modalities=modality, padding=(padding - 3, padding + 3)) == alone
    assert measured([bordered], modalities=modality, padding=None).low == 2 * padding - 7


def test_neighbors_of_the_padding_take_part_in_the_range() -> None:
    pixels = np.array([[4, 5, 6, 7, 8, 9, 10]])
    found = measured([pixels], modalities=[Rescale()], padding=(5, 9))
    assert (found.low, found.high) == (4, 10)


def test_range_is_shared_by_frames_and_robust() -> None:
    dark, bright = np.full((100, 100), 10.0), np.linspace(0, 1000, 10_000).reshape(100, 100)
    bright[0, 0] = 1e6
    found = measured([dark, bright], modalities=[Rescale(), Rescale(0.5)], padding=None)
    assert found.rule == "robust"
    assert found.low == pytest.approx(5, abs=0.1)
    assert found.high == pytest.approx(0.5 * 990, abs=0.5)  # 0.5 % of both frames is 1 % of one
    assert measured([bright, dark], modalities=[Rescale(0.5), Rescale()], padding=None) == found


def test_range_is_robust_below_black_first_rows() -> None:
    pixels = np.random.default_rng(2).integers(0, 1000, (512, 512))
    pixels[:9] = 0
    pixels[300, 300] = 30_000  # one hot pixel
    found = measured([pixels], modalities=[Rescale()], padding=None)
    assert found.rule == "robust"
    assert found.high < 1000


def test_counts_are_black_at_zero() -> None:
    pixels = np.linspace(50, 1000, 10_000).reshape(100, 100)
    found = measured([pixels], modalities=[Rescale()], padding=None, rule=RangeRule(from_zero=True))
    assert (found.low, found.rule) == (0, "robust, from zero")
    assert found.high == measured([pixels], modalities=[Rescale()], padding=None).high
    below = measured([pixels - 2000], modalities=[Rescale()], padding=None, rule=RangeRule(from_zero=True))
    assert below.low < below.high < 0


@pytest.mark.parametrize("pixels", [np.array([[0] * 999 + [1]]), np.array([[7, 9]]), np.array([[3] * 9999 + [4, 5]])])
def test_few_values_use_the_whole_range(pixels: NDArray[Any]) -> None:
    found = measured([pixels], modalities=[Rescale()], padding=None)
    assert (found.low, found.high, found.rule) == (pixels.min(), pixels.max(), "minimum to maximum")


@pytest.mark.parametrize("value", [-1000, 0, 7])
@pytest.mark.parametrize("padding", [None, (-2000, -2000), (0, 7)])
def test_constant_image_stays_constant(value: int, padding: tuple[int, int] | None) -> None:
    pixels = np.full((64, 64), value, np.int16)
    found = measured([pixels], modalities=[Rescale(3, 1)], padding=padding)
    for array in (pixels, pixels.astype(np.float64)):
        grayscale = GrayscaleTransform(Rescale(3, 1), found, padding=padding)
        assert len(np.unique(draw_grayscale(array, grayscale=grayscale, bits_stored=16, depth=8))) == 1


def test_constant_image_with_padding_is_drawn_without_a_warning() -> None:
    pixels = np.full((64, 64), 40, np.int16)
    pixels[:5] = -2000
    padding = (-2000, -2000)
    grayscale = GrayscaleTransform(
        Rescale(), measured([pixels], modalities=[Rescale()], padding=padding), padding=padding
    )
    drawn = draw_grayscale(pixels, grayscale=grayscale, bits_stored=16, depth=8)
    assert drawn[:5].max() == 0
    assert len(np.unique(drawn[5:])) == 1


def test_nothing_but_padding_has_a_range_all_the_same() -> None:
    pixels = np.full((8, 8), 5, np.uint8)
    found = measured([pixels], modalities=[Rescale()], padding=(5, 5))
    assert found.low < found.high
    assert not draw_grayscale(
        pixels, grayscale=GrayscaleTransform(Rescale(), found, padding=(5, 5)), bits_stored=8, depth=8
    ).any()


@pytest.mark.parametrize(
    "voi", [Window(0.5, 1, "LINEAR_EXACT"), ValueRange(0, 1, "robust"), LookupTable(0, 8, b"\0\0\xff\0")]
)
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_no_number_is_background(dtype: str, inverted: bool, voi: Window | ValueRange | LookupTable) -> None:
    pixels = np.array([[np.nan, 0, 1, np.inf, -np.inf]], dtype)
    drawn = draw_grayscale(pixels, grayscale=GrayscaleTransform(Rescale(), voi, inverted), bits_stored=32, depth=8)[
        0
    ].tolist()
    low, high = (255, 0) if inverted else (0, 255)
    assert drawn == [0, low, high, high, low]


def test_no_number_takes_no_part_in_the_range() -> None:
    pixels = np.linspace(0, 100, 900).reshape(30, 30)
    holed = pixels.copy()
    holed[0, :3] = np.nan, np.inf, -np.inf
    found = measured([holed], modalities=[Rescale()], padding=None)
    assert found.low >= pixels[0, 3]
    assert found.high == pytest.approx(99.5, abs=0.2)


@given(grays, st.sampled_from(["u1", "i1", "u2", "i2", "i4", "f4"]))
def test_inputs_are_never_changed(grayscale: GrayscaleTransform, dtype: str) -> None:
    pixels = np.random.default_rng(1).integers(-120, 120, (200, 200)).astype(dtype)
    before = pixels.copy()
    pixels.flags.writeable = False
    draw_grayscale(pixels, grayscale=grayscale, bits_stored=min(16, 8 * pixels.itemsize), depth=8)
    measured([pixels], modalities=[grayscale.modality], padding=grayscale.padding)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_window_leaves_its_input_alone(function: str) -> None:
    values = np.linspace(-10, 10, 50)
    values.flags.writeable = False
    apply_window(values, center=0, width=5, function=function)
    apply_lookup(values, RAMP)


@given(rescales, windows | ranges, st.booleans())
def test_description_leads_from_gray_back_to_stored_value(
    modality: Rescale, voi: Window | ValueRange, inverted: bool
) -> None:
    recorded = record_grayscale(GrayscaleTransform(modality, voi, inverted))
    assert isinstance(recorded.modality, Rescale)
    shade = np.array([0.25, 0.5, 0.75])
    target = 1 - shade if recorded.inverted else shade
    rule = recorded.voi
    if isinstance(rule, ValueRange):
        values = rule.low + target * (rule.high - rule.low)
    elif isinstance(rule, TableRecord):
        raise TypeError(rule)
    elif rule.function == "SIGMOID":
        values = rule.center - rule.width / 4 * np.log(1 / target - 1)
    elif rule.function == "LINEAR_EXACT":
        values = rule.center + (target - 0.5) * rule.width
    else:
        values = rule.center - 0.5 + (target - 0.5) * (rule.width - 1)
    stored = (values - recorded.modality.intercept) / recorded.modality.slope
    if isinstance(voi, Window) and voi.width < 1.001:
        return  # a threshold has no way back
    drawn = draw_grayscale(
        stored[np.newaxis], grayscale=GrayscaleTransform(modality, voi, inverted), bits_stored=64, depth=16
    )[0]
    np.testing.assert_allclose(drawn / 65535, shade, atol=1e-3)


def test_description_of_tables_and_padding() -> None:
    assert record_grayscale(GrayscaleTransform(RAMP, CURVE, padding=(-5, 3))) == GrayscaleRecord(
        TableRecord("modality", first=-100, entries=1366, bits=12),
        TableRecord("voi", first=10, entries=300, bits=16),
        padding=(-5, 3),
    )
