"""Drawing in a real Chromium: on the thumbnail and the original, and how it lies in the gallery."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route

from tests.building import make_dicom
from tests.describing import make_segmentation, make_series, save
from tests.pages import Pages, serving
from tests.running import Place, wait_until
from tests.web.browsing import IN_CHROMIUM, Opened

pytestmark = IN_CHROMIUM
ROWS, COLUMNS = 120, 200


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Images whose pixels are twice as high as they are wide, cropped to a square."""
    place = Place(tmp_path_factory.mktemp("drawing"))
    for number in range(4):
        pixels = np.full((ROWS, COLUMNS), 200, np.uint16)
        pixels[40:80, 70:130] = 3000
        pixels[:2, :2] = 4000
        make_dicom(place.source / f"p{number}.dcm", pixels, patient_id=f"P{number}", PixelSpacing=[2.0, 1.0])
    place.run(size=96, fit="crop")
    return place


@pytest.fixture(scope="module")
def pages(place: Place) -> Iterator[Pages]:
    with serving(place) as served:
        yield served


def stand(pages: Pages, frame_id: int) -> list[tuple[str, list[float], str | None]]:
    found = pages.get(f"/annotations?images={frame_id}")["images"][str(frame_id)]["annotations"]
    return [(one["kind"], [n for corner in one["corners"] for n in corner], one["label"]) for one in found]


def settled(pages: Pages, frame_id: int, wanted: list[str]) -> list:
    assert wait_until(lambda: [one[0] for one in stand(pages, frame_id)] == wanted, 15), stand(pages, frame_id)
    return stand(pages, frame_id)


def untouched(pages: Pages) -> int:
    return pages.place.rows("SELECT id FROM frames WHERE id NOT IN (SELECT frame_id FROM annotation_events)")[0]


def image_of(page: Page) -> int:
    page.wait_for_selector("#stage .annotations[data-image]")
    return int(page.get_attribute("#stage .annotations", "data-image"))


def places(page: Page, frame_id: int) -> list[list[float]]:
    """The bright block's corners on the screen, as the thumbnail lies on the stage."""
    return page.evaluate(
        """async ([id, corners]) => {
            const { images } = await (await fetch(`/annotations?images=${id}`)).json();
            const { size, factor, shift } = images[id];
            const box = document.getElementById("stage").getBoundingClientRect();
            const pixel = Math.min(box.width / size[1], box.height / size[0]);
            return corners.map(([row, column]) => [
                box.left + box.width / 2 + (factor[1] * column + shift[1] - size[1] / 2) * pixel,
                box.top + box.height / 2 + (factor[0] * row + shift[0] - size[0] / 2) * pixel,
            ]);
        }""",
        [frame_id, [[40, 70], [80, 130]]],
    )


def drag(page: Page, start: list[float], end: list[float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    page.mouse.move(*end)
    page.mouse.up()


def shoot(page: Page, name: str) -> None:
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_drawn_moved_resized_undone_and_seen_everywhere(pages: Pages, opened: Opened) -> None:
    page = opened(f"{pages.origin}/")
    frame_id = image_of(page)
    start, end = places(page, frame_id)
    page.keyboard.press("b")
    drag(page, start, end)
    [(_, corners, label)] = settled(pages, frame_id, ["box"])
    assert np.abs(np.array(corners) - (40, 70, 80, 130)).max() < 1.5
    assert label == "normal"
    page.keyboard.press("2")  # the class of the drawing that is chosen, not of the image
    assert wait_until(lambda: stand(pages, frame_id)[0][2] == "abnormal", 15)
    assert pages.labels()[frame_id] is None
    page.get_by_label("Note on the annotation").fill("smooth Ä")
    page.keyboard.press("Enter")
    shoot(page, "thumbnail")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    drag(
        page,
        [(start[0] + end[0]) / 2, (start[1] + end[1]) / 2],
        [(start[0] + end[0]) / 2 + 30, (start[1] + end[1]) / 2],
    )
    assert wait_until(lambda: stand(pages, frame_id)[0][1][1] > 72, 15)
    moved = stand(pages, frame_id)[0][1]
    assert moved[3] - moved[1] == pytest.approx(corners[3] - corners[1])
    drag(page, [end[0] + 30, end[1]], [end[0] + 30, end[1] + 25])
    assert wait_until(lambda: stand(pages, frame_id)[0][1][2] > moved[2] + 1, 15)
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    page.mouse.click(*start)
    page.keyboard.press("g")
    for x, y in ((0, 0), (60, 0), (60, 60)):
        page.mouse.click(start[0] + x, start[1] + y)
    page.keyboard.press("Enter")
    settled(pages, frame_id, ["box", "point", "polygon"])
    page.keyboard.press("Delete")
    settled(pages, frame_id, ["box", "point"])
    page.keyboard.press("u")
    settled(pages, frame_id, ["box", "point", "polygon"])
    page.wait_for_selector(".annotations polygon[data-key] >> nth=1")
    page.keyboard.press("o")
    page.wait_for_selector("#stage canvas[data-slice]")
    page.wait_for_selector("#stage .field .annotations polygon[data-key] >> nth=1")
    shoot(page, "original in place")
    page.goto(f"{pages.origin}/gallery")
    page.wait_for_selector(f'.tile[href$="?image={frame_id}"] .drawn polygon')
    shoot(page, "gallery")
    page.goto(f"{pages.origin}/frame/{frame_id}")
    page.wait_for_selector(".framed .drawn polygon")
    shoot(page, "image")


def test_on_the_original_turned_and_flipped_it_lies_where_it_was_drawn(pages: Pages, opened: Opened) -> None:
    frame_id = untouched(pages)
    page = opened(f"{pages.origin}/original/{frame_id}")
    page.wait_for_selector(f"#stage .annotations[data-image='{frame_id}']")
    for key in ("r", "h"):
        page.keyboard.press(key)
    page.wait_for_timeout(100)
    box = page.locator(".field").bounding_box()
    # turned, rows run across: the image is as wide as 240 and as high as 200 of its columns
    pixel = min(box["width"] / (2 * ROWS), box["height"] / COLUMNS)
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    page.keyboard.press("b")
    drag(page, [middle[0] - 40 * pixel, middle[1] - 30 * pixel], [middle[0] + 40 * pixel, middle[1] + 30 * pixel])
    [(_, corners, _)] = settled(pages, frame_id, ["box"])
    assert np.abs(np.array(corners) - (40, 70, 80, 130)).max() < 1.5
    shoot(page, "original turned")
    page.keyboard.press("u")
    settled(pages, frame_id, [])
    page.wait_for_selector(".annotations polygon", state="detached")


def test_what_is_drawn_while_the_server_is_away_is_kept_and_counts_once(pages: Pages, opened: Opened) -> None:
    frame_id = untouched(pages)
    page = opened(f"{pages.origin}/original/{frame_id}")
    page.wait_for_selector(f"#stage .annotations[data-image='{frame_id}']")
    tries: list[str] = []

    def lose(route: Route) -> None:
        tries.append(route.request.post_data)
        if len(tries) == 1:
            route.fetch()  # it arrives, and the answer is lost
        route.fulfill(status=502, body="away") if len(tries) < 3 else route.continue_()

    page.route("**/annotate", lose)
    box = page.locator(".field").bounding_box()
    page.keyboard.press("p")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _ in range(60):
        page.wait_for_timeout(200)
        if len(tries) == 3:
            break
    settled(pages, frame_id, ["point"])
    assert len(set(tries)) == 1
    assert pages.place.rows(f"SELECT count(*) FROM annotation_events WHERE frame_id = {frame_id}") == [1]


def test_segments_lie_over_the_image_on_which_they_were_drawn(tmp_path: Path, opened: Opened) -> None:
    segmented = Place(tmp_path)
    slices = make_series(segmented.source / "ct")
    save(make_segmentation(slices[:2], labels=("liver", "spleen")), segmented.source / "seg.dcm")
    segmented.run(size=64, fit="pad")
    ids = dict(segmented.rows("SELECT filename, id FROM images"))
    with serving(segmented) as pages:
        masks = pages.get(f"/annotations?images={ids['ct/0']}")["masks"]
        assert [(one["frame"], one["number"]) for one in masks] == [(0, 1), (2, 2)]
        assert pages.get(f"/annotations?images={ids['ct/2']}")["masks"] == []
        page = opened(f"{pages.origin}/original/{ids['ct/0']}")
        page.wait_for_selector(".masks canvas >> nth=1")
        drawn = page.eval_on_selector_all(
            ".masks canvas",
            """(all) => all.map((one) => {
                const { data } = one.getContext("2d").getImageData(0, 0, one.width, one.height);
                const at = (row, column) => data[4 * (row * one.width + column) + 3];
                return [at(2, 5), at(3, 5), at(11, 11), at(12, 5), at(5, 12)].map((alpha) => alpha > 0);
            })""",
        )
        assert drawn == [[True, True, True, False, False], [False, True, True, False, False]]
        on_screen = page.eval_on_selector_all(
            "canvas.source, .masks canvas",
            "(all) => all.map((one) => one.getBoundingClientRect()).map((b) => [b.x, b.y, b.width, b.height])",
        )
        assert np.abs(np.array(on_screen[1:]) - on_screen[0]).max() < 1
        shoot(page, "segments")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        page.click(".masks-button")
        page.wait_for_selector(".masks", state="hidden")
