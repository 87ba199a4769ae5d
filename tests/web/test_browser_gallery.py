"""The gallery in a real Chromium: selecting by keys and a rectangle, one key for all, back to the same place."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, frames_of
from tests.web.browsing import IN_CHROMIUM, Opened

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("Galerie"))
    make_dicom(place.source / "cine.dcm", frames_of(90, seed=3), patient_id="Cine")
    place.run()
    return place


@pytest.fixture(scope="module")
def pages(place: Place) -> Iterator[Pages]:
    with serving(place, "--classes", "mass,lung/cyst") as pages:
        yield pages


def labeled(pages: Pages) -> list[int]:
    return [frame for frame, label in pages.labels().items() if label]


def test_several_are_selected_and_one_key_labels_them(pages: Pages, opened: Opened) -> None:
    page = opened(f"{pages.origin}/gallery")
    cell = page.locator(".cell")
    expect(page.locator("#count")).to_have_text("90 images")
    expect(page.locator("#picked")).to_be_hidden()
    cell.nth(0).hover()
    page.get_by_role("button", name="Select image 1", exact=True).click()
    expect(page.locator("#picked-count")).to_have_text("1 image selected")
    cell.nth(3).click(modifiers=["Shift"])
    expect(page.locator("#picked-count")).to_have_text("4 images selected")
    cell.nth(2).click()  # while some are selected a click selects, or not
    expect(page.locator("#picked-count")).to_have_text("3 images selected")
    page.keyboard.press("1")
    expect(page.locator("#status")).to_have_text("3 images labeled mass.")
    assert labeled(pages) == [1, 2, 4]
    expect(page.locator(".words.labeled")).to_have_count(3)
    boxes = [cell.nth(number).bounding_box() for number in (0, 11)]  # two in the first row, two in the second
    page.mouse.move(boxes[0]["x"] + 20, boxes[0]["y"] + 60)
    page.mouse.down()
    page.mouse.move(boxes[0]["x"] + 60, boxes[0]["y"] + 90)
    page.mouse.move(boxes[1]["x"] + 50, boxes[1]["y"] + 50)
    page.mouse.up()
    expect(page.locator("#picked-count")).to_have_text("4 images selected")
    page.locator("#picked").get_by_role("button", name="lung/cyst").click()
    expect(page.locator("#status")).to_have_text("4 images labeled lung/cyst.")
    assert page.url.endswith("/gallery")  # no click was left of the rectangle
    page.keyboard.press("u")
    expect(page.locator("#status")).to_have_text("4 labels undone")
    assert labeled(pages) == [1, 2, 4]
    page.keyboard.press("Control+a")
    expect(page.locator("#picked-count")).to_have_text("90 images selected")
    page.keyboard.press("Escape")
    expect(page.locator("#picked")).to_be_hidden()
    page.keyboard.press("1")  # of nothing
    assert labeled(pages) == [1, 2, 4]


def test_one_comes_back_to_where_one_was(pages: Pages, opened: Opened) -> None:
    page = opened(f"{pages.origin}/gallery?sort=newest", viewport={"width": 500, "height": 500})
    expect(page.get_by_role("link", name="Image 1:")).to_be_visible()
    page.evaluate("document.getElementById('size').value = 160")
    page.locator("#size").dispatch_event("input")
    page.evaluate("document.getElementById('tiles').scrollTop = 2000")
    first = page.get_by_role("link", name="Image 34:")  # three a row of 198 pixels
    expect(first).to_be_visible()
    page.wait_for_timeout(400)  # what is kept is the place that was rested at
    first.click()
    expect(page.locator("#name")).to_be_visible()
    page.go_back()
    expect(first).to_be_visible()
    assert page.evaluate("document.getElementById('tiles').scrollTop") > 1500
    assert page.locator("#size").input_value() == "160"
