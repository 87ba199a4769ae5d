"""Where pixels go: shapes, centers, squareness, antialiasing, and the way back to the source."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomprep.config import ImageOptions
from dicomprep.errors import InputError
from dicomprep.models import DecodedAs, Intensity, Normalized, Transform
from dicomprep.pipeline.stages.resize import resize
from dicomprep.pixels.geometry import Geometry, max_halvings, plan_geometry, to_source, to_thumbnail
from dicomprep.pixels.resampling import EVERY_PIXEL, Grid, place, place_labels, resample
from dicomprep.pixels.sizes import Size

FITS = ["pad", "crop", "stretch"]
sides = st.integers(1, 5000)
aspects = st.floats(1 / 20, 20)
sizes = st.sampled_from([8, 31, 224, 512])
plans = st.builds(
    lambda rows, columns, aspect, size, fit: plan_geometry((rows, columns), aspect=aspect, size=size, fit=fit),
    sides, sides, aspects, sizes, st.sampled_from(FITS),
)  # fmt: skip
canvases = st.tuples(st.integers(8, 600), st.integers(8, 600))
scales = st.floats(0.02, 20)
every_size = st.one_of(
    st.builds(Size, canvas=canvases),
    st.builds(Size, canvas=canvases, scale=scales),
    st.builds(Size, longest=st.integers(8, 600)),
    st.builds(Size, scale=scales, longest=st.integers(8, 600)),
    st.just(Size()),
    st.builds(Size, scale=st.floats(0.02, 1)),
)


@st.composite
def every_plan(draw: st.DrawFn) -> Geometry:
    """Whatever can be asked for: each kind of size and fit, any region, flipped or not, pixels of any aspect."""
    rows, columns = draw(st.integers(1, 1500)), draw(st.integers(1, 1500))
    top, left = draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))
    bottom, right = draw(st.integers(top + 1, rows)), draw(st.integers(left + 1, columns))
    region = draw(st.sampled_from([None, (top, left, bottom, right)]))
    flipped = draw(st.tuples(st.booleans(), st.booleans()))
    fit, aspect = draw(st.sampled_from(FITS)), draw(aspects)
    return plan_geometry((rows, columns), aspect=aspect, size=draw(every_size), fit=fit, region=region, flipped=flipped)


@pytest.mark.parametrize(
    ("shape", "aspect", "fit", "drawn"),
    [  # drawn: crop_origin, crop_shape, scaled_shape, offset
        ((512, 512), 1.0, "pad", ((0, 0), (512, 512), (224, 224), (0, 0))),
        ((512, 256), 1.0, "pad", ((0, 0), (512, 256), (224, 112), (0, 56))),
        ((256, 512), 1.0, "pad", ((0, 0), (256, 512), (112, 224), (56, 0))),
        ((256, 512), 2.0, "pad", ((0, 0), (256, 512), (224, 224), (0, 0))),
        ((512, 256), 1.0, "crop", ((128, 0), (256, 256), (224, 224), (0, 0))),
        ((100, 400), 2.0, "crop", ((0, 100), (100, 200), (224, 224), (0, 0))),
        ((512, 256), 1.0, "stretch", ((0, 0), (512, 256), (224, 224), (0, 0))),
        ((1, 5000), 1.0, "pad", ((0, 0), (1, 5000), (1, 224), (111, 0))),
        ((5000, 1), 1.0, "pad", ((0, 0), (5000, 1), (224, 1), (0, 111))),
        ((1, 5000), 1.0, "crop", ((0, 2499), (1, 1), (224, 224), (0, 0))),
        ((1, 1), 1.0, "pad", ((0, 0), (1, 1), (224, 224), (0, 0))),
    ],
)
def test_plans(shape: tuple[int, int], aspect: float, fit: str, drawn: tuple[tuple[int, int], ...]) -> None:
    assert plan_geometry(shape, aspect=aspect, size=224, fit=fit) == Geometry(shape, *drawn, (224, 224))


@given(plans)
def test_plans_stay_within_source_and_canvas(plan: Geometry) -> None:
    for axis in (0, 1):
        assert plan.crop_origin[axis] >= 0
        assert 1 <= plan.crop_shape[axis] <= plan.source_shape[axis] - plan.crop_origin[axis]
        assert 1 <= plan.scaled_shape[axis] <= plan.canvas_shape[axis] - plan.offset[axis]
        margin = plan.source_shape[axis] - plan.crop_shape[axis]
        assert abs(margin - 2 * plan.crop_origin[axis]) <= 1
        padding = plan.canvas_shape[axis] - plan.scaled_shape[axis]
        assert abs(padding - 2 * plan.offset[axis]) <= 1


@given(sides, sides, aspects, sizes)
def test_pad_fills_one_side_and_keeps_the_shape(rows: int, columns: int, aspect: float, size: int) -> None:
    plan = plan_geometry((rows, columns), aspect=aspect, size=size, fit="pad")
    assert plan.crop_shape == (rows, columns)
    assert max(plan.scaled_shape) == size
    longest = max(rows * aspect, columns)
    for drawn, physical in zip(plan.scaled_shape, (rows * aspect, columns), strict=True):
        assert abs(drawn - max(1, size * physical / longest)) <= 0.5 + 1e-6


@given(sides, sides, aspects)
def test_crop_takes_a_square_of_what_is_pictured(rows: int, columns: int, aspect: float) -> None:
    plan = plan_geometry((rows, columns), aspect=aspect, size=224, fit="crop")
    side = min(rows * aspect, columns)
    assert abs(plan.crop_shape[0] - min(rows, max(1, side / aspect))) <= 0.5 + 1e-6
    assert abs(plan.crop_shape[1] - min(columns, max(1, side))) <= 0.5 + 1e-6


@given(every_plan())
def test_every_plan_stays_within_its_region_and_canvas(plan: Geometry) -> None:
    for axis in (0, 1):
        assert 0 <= plan.crop_origin[axis] < plan.crop_origin[axis] + plan.crop_shape[axis] <= plan.source_shape[axis]
        assert 0 <= plan.offset[axis] < plan.offset[axis] + plan.scaled_shape[axis] <= plan.canvas_shape[axis]


coordinates = st.floats(-2000, 5000)


@given(every_plan(), st.lists(st.tuples(*[coordinates] * 4), min_size=1, max_size=5))
def test_points_and_boxes_go_to_the_source_and_back(plan: Geometry, corners: list[tuple[float, ...]]) -> None:
    boxes = np.sort(np.array(corners).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    for given_ones in (boxes, boxes[:, :2]):
        there = to_source(given_ones, plan)
        np.testing.assert_allclose(to_thumbnail(there, plan), given_ones, rtol=0, atol=1e-6)
        drawn = to_thumbnail(given_ones, plan)
        np.testing.assert_allclose(to_source(drawn, plan), given_ones, rtol=0, atol=1e-6)
    assert (to_source(boxes, plan)[:, :2] <= to_source(boxes, plan)[:, 2:]).all()
    corner_points = np.sort(to_source(boxes.reshape(-1, 2), plan).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    assert (to_source(boxes, plan) == corner_points).all()


@given(every_plan())
def test_the_edges_of_the_picture_are_those_of_the_crop(plan: Geometry) -> None:
    drawn = [*plan.offset, *np.add(plan.offset, plan.scaled_shape)]
    crop = [*plan.crop_origin, *np.add(plan.crop_origin, plan.crop_shape)]
    np.testing.assert_allclose(to_source(drawn, plan), crop, rtol=0, atol=1e-6)
    np.testing.assert_allclose(to_thumbnail(crop, plan), drawn, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "aspect", "size", "fit", "drawn"),
    [  # drawn: crop_origin, crop_shape, scaled_shape, offset, canvas_shape
        ((2000, 1000), 1.0, Size((1024, 512)), "pad", ((0, 0), (2000, 1000), (1024, 512), (0, 0), (1024, 512))),
        ((1000, 1000), 1.0, Size((200, 100)), "pad", ((0, 0), (1000, 1000), (100, 100), (50, 0), (200, 100))),
        ((1000, 1000), 1.0, Size((200, 100)), "crop", ((0, 250), (1000, 500), (200, 100), (0, 0), (200, 100))),
        ((1000, 1000), 2.0, Size((200, 100)), "crop", ((0, 0), (1000, 1000), (200, 100), (0, 0), (200, 100))),
        ((1000, 1000), 1.0, Size((200, 100)), "stretch", ((0, 0), (1000, 1000), (200, 100), (0, 0), (200, 100))),
        ((300, 500), 1.0, Size(), "pad", ((0, 0), (300, 500), (300, 500), (0, 0), (300, 500))),
        ((300, 500), 2.0, Size(), "pad", ((0, 0), (300, 500), (600, 500), (0, 0), (600, 500))),
        ((300, 500), 0.5, Size(), "crop", ((0, 0), (300, 500), (300, 1000), (0, 0), (300, 1000))),
        ((300, 500), 0.5, Size(), "stretch", ((0, 0), (300, 500), (300, 500), (0, 0), (300, 500))),
        ((300, 500), 1.0, Size(longest=250), "pad", ((0, 0), (300, 500), (150, 250), (0, 0), (150, 250))),
        ((300, 500), 1.0, Size(longest=900), "pad", ((0, 0), (300, 500), (300, 500), (0, 0), (300, 500))),
        ((300, 500), 1.0, Size(scale=0.5), "pad", ((0, 0), (300, 500), (150, 250), (0, 0), (150, 250))),
        ((300, 500), 1.0, Size(scale=2, longest=100), "pad", ((0, 0), (300, 500), (60, 100), (0, 0), (60, 100))),
        ((300, 500), 1.0, Size((100, 300), scale=0.5), "pad", ((50, 0), (200, 500), (100, 250), (0, 25), (100, 300))),
        ((300, 500), 1.0, Size((224, 224), scale=10), "pad", ((139, 239), (22, 22), (220, 220), (2, 2), (224, 224))),
    ],
)
def test_plans_of_every_kind_of_size(
    shape: tuple[int, int], aspect: float, size: Size, fit: str, drawn: tuple[tuple[int, int], ...]
) -> None:
    assert plan_geometry(shape, aspect=aspect, size=size, fit=fit) == Geometry(shape, *drawn)


@given(sides, sides, aspects, canvases, scales)
def test_a_given_scale_is_kept_to_half_a_pixel(rows, columns, aspect, canvas, scale) -> None:
    """Whatever the canvas: what does not fit is cut, never squeezed."""
    for size in (Size(canvas, scale=scale), Size(scale=min(scale, 1))):
        plan = plan_geometry((rows, columns), aspect=aspect, size=size, fit="pad")
        for drawn, crop, step in zip(
            plan.scaled_shape, plan.crop_shape, (aspect * size.scale, size.scale), strict=True
        ):
            assert abs(drawn - max(1, crop * step)) <= 0.5 + 1e-6 or crop == 1


def test_a_thumbnail_without_bounds_is_refused() -> None:
    with pytest.raises(InputError, match=r"65,535×65,535 pixels is too large; limit it with --size max="):
        plan_geometry((65535, 65535), aspect=1.0, size=Size(), fit="pad")


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("shape", "aspect"), [((300, 500), 1.0), ((500, 300), 0.6), ((90, 80), 2.5), ((40, 30), 1.0)])
def test_a_mark_is_found_where_the_map_says(shape: tuple[int, int], aspect: float, fit: str) -> None:
    """A blob drawn into the source lies, in the thumbnail, where `to_thumbnail` puts it."""
    rows, columns = np.indices(shape) + 0.5
    middle = np.array([shape[0] * 0.45, shape[1] * 0.55])
    blob = 60_000 * np.exp(-(((rows - middle[0]) / 6) ** 2) - ((columns - middle[1]) / 6) ** 2)
    region = (shape[0] // 9, shape[1] // 7, shape[0] - 2, shape[1] - 3)
    for size in (224, Size((300, 170)), Size(longest=200), Size(scale=1.5), Size((150, 400), scale=1.25)):
        for turned in ({}, {"flipped": (True, False)}, {"region": region}, {"region": region, "flipped": (True, True)}):
            plan = plan_geometry(shape, aspect=aspect, size=size, fit=fit, **turned)
            drawn = place(blob.astype(np.uint16), plan).astype(np.float64)
            assert drawn.shape == plan.canvas_shape
            within = np.array([middle - plan.crop_origin, plan.crop_origin + np.array(plan.crop_shape) - middle])
            if within.min() < min(18, 0.4 * min(shape)):
                continue  # cut by the crop
            centroid = [(weights * drawn).sum() / drawn.sum() for weights in np.indices(drawn.shape) + 0.5]
            np.testing.assert_allclose(to_thumbnail(middle[np.newaxis], plan)[0], centroid, atol=0.3)


@pytest.mark.parametrize("flipped", [(False, False), (True, False), (False, True), (True, True)])
def test_every_pixel_and_name_lies_where_the_map_says(flipped: tuple[bool, bool]) -> None:
    """Of a region that is not scaled each pixel is that of the source, and so are the names of a label map."""
    names = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
    plan = plan_geometry(
        (40, 60), aspect=1.0, size=Size((41, 33), scale=1), fit="pad", region=(3, 5, 33, 31), flipped=flipped
    )
    (top, left), (rows, columns) = plan.offset, plan.scaled_shape
    y, x = np.mgrid[top : top + rows, left : left + columns]
    down, right = to_source(np.stack([y.ravel(), x.ravel()], -1) + 0.5, plan).astype(int).T
    for drawn in (place(names, plan), place_labels(names, plan)):
        assert (drawn[y, x].ravel() == names[down, right]).all()
        assert (rows, columns, np.count_nonzero(drawn)) == (30, 26, 30 * 26)


@pytest.mark.parametrize("kind", ["means of blocks", "every nth pixel"])
def test_regions_and_flips_of_a_coarser_grid_are_those_of_the_source(kind: str) -> None:
    shape, step = (641, 903), 4
    rows, columns = np.indices(tuple(-(-length // step) for length in shape)) * step
    middle = (step - 1) / 2 if kind == "means of blocks" else 0
    grid = Grid(step) if kind == "means of blocks" else Grid(step, phase=0.5 - 0.5 / step)
    full = 20 * np.arange(shape[0])[:, np.newaxis] + 30 * np.arange(shape[1])
    plan = plan_geometry(
        shape, aspect=1.0, size=Size((60, 40)), fit="pad", region=(33, 101, 606, 899), flipped=(False, True)
    )
    drawn = place((20 * (rows + middle) + 30 * (columns + middle)).astype(np.uint16), plan, grid=grid).astype(int)
    expected = place(full.astype(np.uint16), plan).astype(int)
    per_pixel = np.dot([20, 30], np.divide(plan.crop_shape, plan.scaled_shape))
    assert np.abs(drawn - expected).max() <= 0.06 * per_pixel


def test_stored_transform_leads_back() -> None:
    decoded = DecodedAs("RGB", "native")
    normalized = Normalized(np.zeros((300, 500), np.uint8), (300, 500), EVERY_PIXEL, 1.5, Intensity(), decoded)
    thumbnail = resize(normalized, ImageOptions(size=128, fit="crop"))  # type: ignore[arg-type]
    stored = Transform.from_json(thumbnail.transform.to_json())
    assert stored.geometry == plan_geometry((300, 500), aspect=1.5, size=128, fit="crop")
    np.testing.assert_allclose(stored.to_source([[64, 64]]), [[150, 250]])


@pytest.mark.parametrize("aspect", [0.25, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_a_circle_comes_out_round(aspect: float, fit: str) -> None:
    """A disc of 100 mm in pixels of (aspect × 0.25) × 0.25 mm."""
    width, height = 0.25, aspect * 0.25
    rows, columns = round(150 / height), round(200 / width)
    y, x = np.indices((rows, columns)) + 0.5
    disc = ((y * height - 75) ** 2 + (x * width - 100) ** 2 < 50**2).astype(np.uint8) * 255
    drawn = place(disc, plan_geometry((rows, columns), aspect=aspect, size=224, fit=fit)) > 127
    tall, wide = drawn.any(axis=1).sum(), drawn.any(axis=0).sum()
    pixels_per_mm = 224 / (200 if fit == "pad" else 150)
    assert abs(tall - wide) <= 1
    assert tall == pytest.approx(100 * pixels_per_mm, abs=1.5)
    assert drawn.sum() == pytest.approx(np.pi * (50 * pixels_per_mm) ** 2, rel=0.02)


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_a_checkerboard_becomes_mid_gray(dtype: type, white: int) -> None:
    board = ((np.indices((896, 1120)).sum(axis=0) % 2) * white).astype(dtype)
    for shape in [(224, 224), (224, 112), (100, 97)]:
        shrunk = resample(board, shape=shape)
        assert shrunk.dtype == dtype
        assert shrunk.shape == shape
        assert np.abs(shrunk.astype(float) / white - 0.5).max() < 0.06


def test_shrinking_takes_the_mean() -> None:
    pixels = np.random.default_rng(5).integers(0, 65536, (60, 80)).astype(np.uint16)
    means = pixels.reshape(15, 4, 16, 5).mean(axis=(1, 3))
    np.testing.assert_allclose(resample(pixels, shape=(15, 16)), means, atol=0.51)


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1), (2, 3), (3, 224), (224, 224), (700, 20)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_shape_fills_its_square(shape: tuple[int, int], fit: str, channels: tuple[int, ...], dtype: type) -> None:
    white = np.iinfo(dtype).max
    pixels = np.full((*shape, *channels), white, dtype)
    pixels.flags.writeable = False
    plan = plan_geometry(shape, aspect=1.0, size=224, fit=fit)
    drawn = place(pixels, plan)
    assert drawn.shape == (224, 224, *channels)
    assert drawn.dtype == dtype
    (top, left), (rows, columns) = plan.offset, plan.scaled_shape
    assert drawn[top : top + rows, left : left + columns].min() == white
    assert np.count_nonzero(drawn) == rows * columns * (channels or (1,))[0]


@pytest.mark.parametrize("channels", [(), (3,)])
def test_growing_keeps_edges_in_place_and_within_range(channels: tuple[int, ...]) -> None:
    pixels = np.zeros((8, 8, *channels), np.uint8)
    pixels[:, 4:] = 255
    grown = resample(pixels, shape=(64, 64))
    assert grown.shape == (64, 64, *channels)
    assert grown[:, :24].max() <= 20
    assert grown[:, 40:].min() >= 235
    assert abs(np.mean(grown) - 127.5) < 2


def test_channels_stay_apart() -> None:
    pixels = np.zeros((300, 200, 3), np.uint8)
    pixels[..., 1] = 200
    drawn = place(pixels, plan_geometry((300, 200), aspect=1.0, size=64, fit="crop"))
    assert drawn.reshape(-1, 3).tolist() == [[0, 200, 0]] * 64**2


# A smaller version of the source


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("step", [2, 4])
@pytest.mark.parametrize("shape", [(640, 640), (641, 903), (1007, 700)])
@pytest.mark.parametrize("kind", ["means of blocks", "every nth pixel"])
def test_a_slope_is_the_same_slope_on_a_coarser_grid(kind: str, shape: tuple[int, int], step: int, fit: str) -> None:
    """Up to the edges, where the coarser grid may end beyond the source."""
    rows, columns = np.indices(tuple(-(-length // step) for length in shape)) * step
    middle = (step - 1) / 2 if kind == "means of blocks" else 0
    grid = Grid(step) if kind == "means of blocks" else Grid(step, phase=0.5 - 0.5 / step)
    slope = 20 * (rows + middle) + 30 * (columns + middle)
    full = 20 * np.arange(shape[0])[:, np.newaxis] + 30 * np.arange(shape[1])
    plan = plan_geometry(shape, aspect=1.0, size=60, fit=fit)
    drawn = place(slope.astype(np.uint16), plan, grid=grid).astype(int)
    expected = place(full.astype(np.uint16), plan).astype(int)
    (top, left), (tall, wide) = plan.offset, plan.scaled_shape
    difference = np.abs(drawn - expected)[top : top + tall, left : left + wide]
    per_pixel = np.dot([20, 30], np.divide(plan.crop_shape, plan.scaled_shape))
    assert difference[1:-1, 1:-1].max() <= 0.02 * per_pixel
    assert difference.max() <= 0.06 * per_pixel


@pytest.mark.parametrize(
    ("shape", "size", "fit", "spare", "halvings"),
    [
        ((1024, 1024), 256, "pad", 2, 1),
        ((1023, 1023), 256, "pad", 2, 0),
        ((1024, 2048), 256, "pad", 2, 2),
        ((1024, 2048), 256, "crop", 2, 1),
        ((1024, 2048), 256, "stretch", 2, 1),
        ((1024, 1024), 64, "pad", 3.5, 2),
        ((100, 100), 224, "pad", 2, 0),
    ],
)
def test_a_source_is_halved_as_long_as_enough_is_left(
    shape: tuple[int, int], size: int, fit: str, spare: float, halvings: int
) -> None:
    assert max_halvings(plan_geometry(shape, aspect=1.0, size=size, fit=fit), spare=spare) == halvings
