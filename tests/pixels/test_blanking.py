"""Writing becomes background, and nothing else does."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dicomprep.pixels.blanking import blank, blank_thumbnail, find_writing, outside_of
from dicomprep.pixels.geometry import Box, plan_geometry, to_source
from dicomprep.pixels.resampling import Grid
from tests.dicom.test_burned_in_text import speckle

TEXT = "NAME DOE^JANE ID 4711-22 1961-02-03 Hospital St. Anna MI 0.7 TIS 0.3 14:22:05 Liver sag. Dr. Meier, F 63Y"
WORDS = TEXT.split()


def write_banner(random: np.random.Generator, side: int = 512) -> tuple[NDArray[np.uint8], NDArray[np.bool_], int]:
    """A picture below a banner of several lines; what is ink in it; and the banner's rows."""
    rows, ground = int(random.integers(50, 110)), int(random.choice([0, 30, 200, 255]))
    picture = np.vstack([np.full((rows, side), ground, np.uint8), speckle(int(random.integers(99)), side)])
    ink, baseline = np.zeros_like(picture), 22
    while baseline < rows - 12:
        scale, font = random.uniform(0.4, 0.9), int(random.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX]))
        text = " ".join(random.choice(WORDS, random.integers(2, 6)))
        at = (int(random.integers(4, 40)), baseline)
        cv2.putText(ink, text, at, font, scale, 255, int(random.integers(1, 3)), cv2.LINE_AA)
        baseline += int(30 * scale) + 12
    ink[rows:] = 0
    color = 255 if ground < 128 else 0
    return (picture + (color - picture.astype(float)) * (ink / 255)).astype(np.uint8), ink > 60, rows


def drawn(boxes: tuple[Box, ...], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape[:2], bool)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def test_all_text_of_banners_is_found_and_nothing_of_the_picture() -> None:
    for seed in range(60):
        picture, ink, rows = write_banner(np.random.default_rng(seed))
        blanked = drawn(find_writing(picture, grid=Grid(), shape=picture.shape, regions=()), picture.shape)
        assert not (ink & ~blanked).any(), seed
        assert not (blanked[rows + 20 :] & (picture[rows + 20 :] > 0)).any(), seed


def draw_loop(seed: int, shape: tuple[int, int] = (288, 384)) -> NDArray[np.uint8]:
    """A frame of a small echocardiogram: streaks of speckle, brighter here and there, in a sector."""
    random = np.random.default_rng(seed)
    brightness = cv2.resize(random.random((5, 6)).astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    noise = random.rayleigh(1, shape).astype(np.float32) * (0.3 + brightness)
    streaks = cv2.GaussianBlur(noise, (0, 0), sigmaX=2.2, sigmaY=0.9)
    picture = np.clip((streaks / streaks.max()) ** 1.6 * 230, 0, 255).astype(np.uint8)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    beside = np.abs(columns - shape[1] / 2)
    picture[(np.hypot(beside, rows + 10) > shape[0]) | (beside > 0.9 * (rows + 20))] = 0
    return picture


def test_speckle_is_not_blanked() -> None:
    found = [find_writing(draw_loop(seed), grid=Grid(), shape=(288, 384), regions=()) for seed in range(60)]
    assert not any(found)


def test_outside_of_regions_all_is_blanked_and_inside_nothing_changes() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        picture = random.integers(1, 255, (300, 400), np.uint8)
        regions = [
            (int(top), int(left), int(top + random.integers(20, 120)), int(left + random.integers(20, 150)))
            for top, left in zip(random.integers(0, 180, 3), random.integers(0, 250, 3), strict=True)
        ]
        boxes = find_writing(picture, grid=Grid(), shape=(300, 400), regions=regions)
        inside = drawn(tuple(regions), picture.shape)
        assert np.array_equal(drawn(boxes, picture.shape), ~inside)
        assert np.array_equal(blank(picture, boxes, grid=Grid()), np.where(inside, picture, 0))


@pytest.mark.parametrize("flipped", [(False, False), (True, True)])
def test_pixels_of_a_thumbnail_that_are_wholly_inside_do_not_change(flipped: tuple[bool, bool]) -> None:
    geometry = plan_geometry((300, 400), aspect=1.0, size=97, fit="pad", flipped=flipped)
    picture = np.random.default_rng(1).integers(1, 255, (97, 97), np.uint8)
    region = (31, 40, 222, 333)
    blanked = blank_thumbnail(picture, outside_of([region], (300, 400)), geometry)
    for row, column in np.ndindex(97, 97):
        top, left, bottom, right = to_source([[row, column, row + 1, column + 1]], geometry)[0]
        inside = top >= 31 and left >= 40 and bottom <= 222 and right <= 333
        outside_frame = bottom <= 0 or top >= 300
        assert blanked[row, column] == (picture[row, column] if inside or outside_frame else 0)
