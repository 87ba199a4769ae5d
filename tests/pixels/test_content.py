"""Content is found on breasts and radiographs of which it is known where their tissue and their markers are."""

from collections.abc import Callable

import numpy as np
import pytest

from dicomprep.pixels.content import Content, find_content, find_heavier_side, halvings_of_search, to_source_box
from dicomprep.pixels.geometry import Box
from dicomprep.pixels.resampling import Grid, halve
from tests.pixels.drawing_bodies import Drawn, draw_breast, draw_radiograph

COUNT = 60


def crop_of(drawn: Drawn, content: Content) -> Box:
    times = halvings_of_search(drawn.pixels.shape, content)
    box = find_content(halve(drawn.pixels, times=times), content, margin=2)
    whole = (0, 0, *drawn.pixels.shape)
    return whole if box is None else to_source_box(box, Grid(2**times), drawn.pixels.shape)  # type: ignore[return-value,arg-type]


@pytest.mark.parametrize(("draw", "content"), [(draw_breast, Content.BREAST), (draw_radiograph, Content.FIELD)])
def test_tissue_is_kept_and_markers_are_left_out(
    draw: Callable[[np.random.Generator], Drawn], content: Content
) -> None:
    kept, marked, area = [], 0, []
    for seed in range(COUNT):
        drawn = draw(np.random.default_rng(seed))
        top, left, bottom, right = crop_of(drawn, content)
        kept.append(np.count_nonzero(drawn.tissue[top:bottom, left:right]) / np.count_nonzero(drawn.tissue))
        marked += bool(drawn.marker[top:bottom, left:right].any())
        area.append((bottom - top) * (right - left) / drawn.tissue.size)
    assert min(kept) >= 0.999
    assert marked <= 0.01 * COUNT
    assert np.mean(area) < 0.7


def test_the_chest_wall_is_where_the_tissue_is() -> None:
    for seed in range(40):
        drawn = draw_breast(np.random.default_rng(seed))
        assert find_heavier_side(halve(drawn.pixels, times=1)) == ("R" if drawn.is_right else "L")


@pytest.mark.parametrize("content", list(Content))
def test_of_a_picture_without_an_even_border_all_is_kept(content: Content) -> None:
    noise = np.random.default_rng(0).uniform(0, 4000, (300, 260))
    box = find_content(noise, content)
    assert box is None or box == (0, 0, 300, 260)
    assert find_content(np.full((300, 260), 7.0), content) in (None, (0, 0, 300, 260))


def test_the_body_is_found_without_the_table() -> None:
    y, x = np.mgrid[0:256, 0:256]
    hounsfield = np.full((256, 256), -1000.0)
    hounsfield[((y - 120) / 60) ** 2 + ((x - 128) / 90) ** 2 < 1] = 40
    hounsfield[((y - 120) / 40) ** 2 + ((x - 100) / 30) ** 2 < 1] = -850  # a lung
    hounsfield[200:202, 20:236] = 100
    hounsfield[100:130, 2:14] = 30  # an arm
    box = find_content(hounsfield, Content.HOUNSFIELD)
    assert box is not None
    assert box[:2] == (60, 1)
    assert box[2] <= 182
    assert 217 <= box[3] <= 220


def test_parts_that_are_large_are_content_too() -> None:
    legs = np.zeros((256, 256))
    legs[40:220, 30:90] = legs[40:220, 150:220] = 900
    assert find_content(legs, Content.BODY) == (39, 29, 221, 221)
    assert find_content(legs, Content.FIELD) == (39, 29, 221, 221)


def test_a_border_of_one_value_is_cut_off_and_nothing_else() -> None:
    framed = np.zeros((200, 300))
    framed[20:180, 40:260] = np.random.default_rng(0).uniform(10, 99, (160, 220))
    assert find_content(framed, Content.FRAMED) == (19, 39, 181, 261)
    framed[0, :] = framed[-1, :] = framed[:, 0] = 50
    assert find_content(framed, Content.FRAMED) is None or find_content(framed, Content.FRAMED) == (0, 0, 200, 300)


def test_an_uneven_background_is_told_from_tissue() -> None:
    drawn = draw_breast(np.random.default_rng(5))
    tilt = np.linspace(0, 400, drawn.pixels.shape[0])[:, None]
    brighter = Drawn((drawn.pixels.astype(float) + tilt).clip(0, 4495).astype(np.uint16), drawn.tissue, drawn.marker)
    top, left, bottom, right = crop_of(brighter, Content.BREAST)
    assert drawn.tissue[top:bottom, left:right].sum() == drawn.tissue.sum()
    assert right - left < 0.9 * drawn.pixels.shape[1]
