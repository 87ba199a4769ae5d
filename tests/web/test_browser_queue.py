"""The labeling page's queue in a real Chromium: opened images, the way back, unsure, notes, many classes, the end."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, frames_of, make_files, wait_until
from tests.web.browsing import IN_CHROMIUM, Opened, press

pytestmark = IN_CHROMIUM
CLASSES = [
    "biopsy",
    "mag view",
    *(f"lung/nodule/part-solid with a long name, no. {n}".replace(",", "") for n in range(30)),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("Schlange"))
    make_files(place.source, *(f"{name}.dcm" for name in "abcd"))
    make_dicom(place.source / "cine" / "x.dcm", frames_of(36, seed=9), patient_id="Cine", Modality="US")
    place.run()
    return place


@pytest.fixture(scope="module")
def pages(place: Place) -> Iterator[Pages]:
    with serving(place, "--classes", ",".join(CLASSES)) as pages:
        yield pages


def see(page: Page, frame: int) -> None:
    """Wait until an image is on the stage and a key counts."""
    expect(page.locator("#stage img[data-state=ready]")).to_have_attribute("src", re.compile(rf"/image/{frame}\?"))
    expect(page.locator("#stage")).to_have_attribute("aria-busy", "false")


def test_an_image_is_opened_labeled_doubted_and_noted(pages: Pages, opened: Opened) -> None:
    cine = pages.place.rows("SELECT id FROM images WHERE modality = 'US' ORDER BY frame_number")
    page = opened(f"{pages.origin}/?image={cine[4]}&annotator=anna")
    see(page, cine[4])
    press(page, "q")
    press(page, "n")
    page.keyboard.type("siehe Vorbefund 李")
    page.keyboard.press("Enter")
    expect(page.locator("#remark")).to_have_text("siehe Vorbefund 李")
    press(page, "2")
    said = "SELECT frame_id, label, unsure, note FROM labels WHERE annotator = 'anna' ORDER BY id DESC LIMIT 1"
    assert wait_until(lambda: pages.place.rows(said) == [(cine[4], "mag view", 1, "siehe Vorbefund 李")], 30)
    expect(page.locator("#counts")).to_contain_text("you 1")  # it has arrived: nothing is lost by leaving
    page.goto(f"{pages.origin}/?image={cine[4]}&annotator=anna")
    see(page, cine[4])
    expect(page.locator("#unsure")).to_have_attribute("aria-pressed", "true")
    page.locator(f"#strip a[data-open='{cine[6]}']").click()
    see(page, cine[6])
    press(page, "/")
    page.keyboard.type("no. 27")
    expect(page.locator(".class:visible[data-label]")).to_have_count(1)
    page.keyboard.press("Enter")
    assert wait_until(lambda: pages.place.rows(said)[0][:2] == (cine[6], CLASSES[-3]), 30)
    press(page, "u")
    expect(page.locator("#status")).to_have_text("label undone")
    see(page, cine[6])


def test_the_way_back_leads_through_all_labels_and_the_end_says_what_is_next(pages: Pages, opened: Opened) -> None:
    cine = pages.place.rows("SELECT id FROM images WHERE modality = 'US' ORDER BY frame_number")
    for frame in cine:  # more than are loaded at a time
        pages.post("/label", "eva", frame=frame, label="biopsy")
    query = quote("frame_number >= 0")
    page = opened(f"{pages.origin}/?annotator=eva&modality=US&where={query}")
    expect(page.locator(".condition")).to_contain_text("modality US, frame_number >= 0")
    expect(page.locator("#stage")).to_contain_text("No more images match")
    expect(page.locator("#counts")).to_have_text("36 of 36 · 100 % · you 36")
    for frame in reversed(cine):
        press(page, "ArrowLeft")
        expect(page.locator("#stage img")).to_have_attribute("src", re.compile(rf"/image/{frame}\?"))
    press(page, "ArrowLeft")
    expect(page.locator("#status")).to_have_text("This is the first image that you labeled.")
    page.locator(".condition a").click()
    expect(page.locator("#modality")).not_to_have_text("US")


def test_a_series_is_seen_as_a_whole_and_labeled_with_one_key(place: Place, opened: Opened) -> None:
    with serving(place, "--classes", "biopsy,mag view", "--unit", "series") as pages:
        (cine,) = pages.place.rows("SELECT min(id) FROM images WHERE modality = 'US'")
        page = opened(f"{pages.origin}/?annotator=ida&image={cine}")
        expect(page.locator(".piece img")).to_have_count(36)
        expect(page.locator("#frame")).to_have_text("36")
        expect(page.locator("#stage")).to_have_attribute("aria-busy", "false")
        press(page, "q")
        press(page, "2")
        said = "SELECT level, label, unsure, annotator FROM unit_labels ORDER BY id"
        assert wait_until(lambda: pages.place.rows(said) == [("series", "mag view", 1, "ida")], 30)
        expect(page.locator(".piece img")).to_have_count(1)
        page.locator(".piece").first.click()
        page.wait_for_selector("#stage canvas")
        press(page, "u")
        expect(page.locator("#status")).to_have_text("label undone")
        press(page, "o")
        expect(page.locator(".piece img")).to_have_count(36)
        page.close()
