"""The pages in a real Chromium: keys, undo, restart, two annotators, original, gallery, failures."""

import re
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from tests.building import make_dicom
from tests.pages import Pages, free_port, serving
from tests.running import Place, frames_of, make_files, wait_until
from tests.web.browsing import IN_CHROMIUM, Opened, press

HOSTILE = "<img src=x onerror=hit()>\"'&</script><script>hit()</script>"
CLASSES = f"biopsy,mag view,{HOSTILE[:50]}"

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Eight small files, a cine, names and headers that want to be HTML, a mammogram's size, failures."""
    place = Place(tmp_path_factory.mktemp("browser"))
    make_files(place.source, *(f"{name}.dcm" for name in "abcdefgh"))
    make_dicom(place.source / "cine" / "x.dcm", frames_of(6, seed=9), patient_id="Cine", Modality="US")
    with warnings.catch_warnings(action="ignore"):
        make_hostile(place)
    (place.source / "text.dcm").write_text("this is no DICOM")
    place.run()
    return place


def make_hostile(place: Place) -> None:
    evil = {"Modality": HOSTILE[:16], "Manufacturer": HOSTILE, "BodyPartExamined": HOSTILE}
    hostile = HOSTILE.replace("/", "∕")
    make_dicom(place.source / hostile / f"{hostile}.dcm", frames_of(1)[0], patient_id=HOSTILE, **evil)
    ramp = np.arange(64 * 48, dtype=np.int16).reshape(64, 48) - 1024
    make_dicom(
        place.source / "ct.dcm",
        ramp,
        patient_id="CT",
        WindowCenter=40,
        WindowWidth=400,
        RescaleIntercept=0,
        RescaleSlope=1,
    )
    make_dicom(place.source / f"{HOSTILE[:25].replace('/', '∕')}.dcm", PhotometricInterpretation=HOSTILE[:16])


@pytest.fixture(scope="module")
def pages(place: Place) -> Iterator[Pages]:
    with serving(place, "--classes", CLASSES) as pages:
        yield pages


def shown(page: Page) -> int:
    """The image on the stage."""
    page.wait_for_selector("#stage img[data-state=ready], #stage canvas")
    return frame_of(page.get_attribute("#stage img", "src"))


def frame_of(address: str | None) -> int:
    """The image of an address, which holds its digest, too."""
    match = re.search(r"/image/(\d+)\?v=[0-9a-f]{32}$", str(address))
    assert match, address
    return int(match[1])


def saved(pages: Pages, count: int) -> bool:
    return wait_until(lambda: sum(label is not None for label in pages.labels().values()) == count, 30)


def test_keys_label_undo_and_are_still_there_after_a_restart(place: Place, opened: Opened) -> None:
    port = free_port()
    with serving(place, "--classes", CLASSES, port=port) as pages:
        page = opened(pages.origin)
        frames = []
        for key in ("1", "2", "3", "1"):
            frames.append(shown(page))
            press(page, key)
        assert len(set(frames)) == 4
        assert saved(pages, 4)
        assert [pages.labels()[frame] for frame in frames] == ["biopsy", "mag view", HOSTILE[:50], "biopsy"]
        expect(page.locator("#counts")).to_contain_text("4 of")
        skipped = shown(page)
        press(page, "s")
        assert shown(page) != skipped
        press(page, "u")
        assert shown(page) == skipped
        expect(page.locator("#status")).to_have_text("skip undone")
        press(page, "u")
        expect(page.locator("#status")).to_have_text("label undone")
        assert shown(page) == frames[3]
        assert saved(pages, 3)
        page.close()
    with serving(place, "--classes", CLASSES, port=port) as pages:
        page = opened(pages.origin)
        expect(page.locator("#counts")).to_contain_text("3 of")
        assert shown(page) == frames[3]
        press(page, "ArrowLeft")
        assert shown(page) == frames[2]
        expect(page.locator("[data-key='3']")).to_have_attribute("aria-pressed", "true")
        for frame in frames[2::-1]:
            press(page, "u")
            expect(page.locator("#stage img")).to_have_attribute("src", re.compile(rf"/image/{frame}\?v="))
        assert saved(pages, 0)
        press(page, "u")
        expect(page.locator("#status")).to_have_text("Nothing to undo.")
    assert len(place.rows("SELECT id FROM labels")) == 8


def test_an_image_that_is_missing_takes_no_label_until_it_is_there(pages: Pages, opened: Opened) -> None:
    page = opened(f"{pages.origin}/?annotator=misser")
    frame = shown(page)
    page.close()
    (name,) = pages.place.rows("SELECT thumbnail_path FROM images WHERE id = ?", frame)
    path = pages.place.output / str(name)
    away = path.rename(path.with_suffix(".away"))
    try:
        page = opened("about:blank")
        page.goto(f"{pages.origin}/?annotator=misser")
        expect(page.locator("#stage")).to_contain_text("Image file missing")
        press(page, "1")
        expect(page.locator("#status")).to_contain_text("it cannot be labeled")
        expect(page.locator("#stage")).to_contain_text("Image file missing")
    finally:
        away.rename(path)
    assert shown(page) == frame  # it asks again by itself
    assert pages.place.rows("SELECT id FROM labels WHERE annotator = 'misser'") == []
    press(page, "1")
    assert wait_until(lambda: pages.place.rows("SELECT frame_id FROM labels WHERE annotator = 'misser'") == [frame], 30)
    press(page, "u")
    assert wait_until(lambda: pages.labels()[frame] is None, 30)


def test_a_key_before_the_picture_has_come_does_nothing(pages: Pages, opened: Opened) -> None:
    page = opened("about:blank")
    held: list[Route] = []
    page.route("**/image/**", lambda route: held.append(route))  # noqa: PLW0108  (it cannot wrap a built-in)
    page.goto(f"{pages.origin}/?annotator=early")
    page.wait_for_selector("#stage img[data-state=loading]")
    for key in ("1", "2"):
        press(page, key)
    expect(page.locator("#status")).to_have_text("The image has not loaded yet.")
    for route in held:
        route.continue_()
    page.unroute("**/image/**")
    frame = shown(page)
    assert pages.place.rows("SELECT id FROM labels WHERE annotator = 'early'") == []
    press(page, "2")
    assert wait_until(lambda: pages.place.rows("SELECT frame_id FROM labels WHERE annotator = 'early'") == [frame], 30)
    press(page, "u")
    assert wait_until(lambda: pages.labels()[frame] is None, 30)


def test_a_label_waits_until_the_page_is_let_in_again(pages: Pages, opened: Opened) -> None:
    """The server was started with another token, a tunnel has no end, a line was slow: none of it is a refusal."""
    page = opened(f"{pages.origin}/?annotator=patient")
    frame = shown(page)
    refusals = [401, 408, 502]

    def refuse(route: Route) -> None:
        if refusals:
            route.fulfill(status=refusals.pop(), body="Not now.")
        else:
            route.continue_()

    page.route("**/label", refuse)
    press(page, "1")
    expect(page.locator("#status")).to_contain_text("1 change not saved yet. Not now.")
    expect(page.locator("#status")).to_have_text("All changes saved.", timeout=30_000)
    assert pages.place.rows("SELECT frame_id FROM labels WHERE annotator = 'patient'") == [frame]
    press(page, "u")
    assert wait_until(lambda: pages.labels()[frame] is None, 30)


def test_what_arrives_twice_and_a_double_click_count_once(pages: Pages, opened: Opened) -> None:
    page = opened("about:blank")

    def send_twice(route: Route) -> None:
        route.fetch()  # it arrives, and the answer is lost
        route.continue_()

    for path in ("label", "undo", "skip"):
        page.route(f"**/{path}", send_twice)
    page.goto(f"{pages.origin}/?annotator=twice")
    first = shown(page)
    page.dblclick("[data-key='1']")
    expect(page.locator("#stage img")).not_to_have_attribute("src", re.compile(rf"/image/{first}\?"))
    events = "SELECT frame_id FROM labels WHERE annotator = 'twice' ORDER BY id"
    assert wait_until(lambda: pages.place.rows(events) == [first], 30)
    second = shown(page)
    press(page, "s")
    expect(page.locator("#stage img")).not_to_have_attribute("src", re.compile(rf"/image/{second}\?"))
    press(page, "u")
    expect(page.locator("#status")).to_have_text("skip undone")
    assert shown(page) == second
    press(page, "u")
    expect(page.locator("#stage img")).to_have_attribute("src", re.compile(rf"/image/{first}\?"))
    assert wait_until(lambda: pages.labels()[first] is None, 30)
    assert pages.place.rows(events) == [first, first]
    assert pages.place.rows("SELECT frame_id FROM passed WHERE annotator = 'twice'") == []


def test_annotators_of_any_script_can_be_chosen_on_the_page(pages: Pages, opened: Opened) -> None:
    page = opened(f"{pages.origin}/?annotator=first")
    shown(page)
    for name in ("李雷 Łukasz", '100 %+"1";', "👩\u200d⚕️"):
        page.click("#annotator")
        page.fill("#naming-name", name)
        page.click("#naming button[value=ok]")
        expect(page.locator("#annotator")).to_have_text(name)
        shown(page)


def test_nothing_jumps_scrolls_or_is_run(pages: Pages, opened: Opened) -> None:
    page = opened(f"{pages.origin}/?annotator=skipper")
    shown(page)
    box = page.locator("#stage").bounding_box()
    seen = set()
    for _ in pages.labels():
        shown(page)
        seen.add(page.inner_text("#name"))
        assert page.locator("#stage").bounding_box() == box
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        press(page, "s")
    assert len(seen) == len(pages.labels())
    assert any("img src=x onerror=hit()" in name for name in seen)
    expect(page.locator("#stage")).to_contain_text("Your queue is empty. You labeled 0 images.")
    expect(page.locator("#stage")).to_contain_text(f"{len(seen)} unlabeled images skipped")
    assert page.locator("img[src='x']").count() == 0


def test_two_annotators_see_different_images_and_both_are_kept(pages: Pages, opened: Opened) -> None:
    both = [opened(f"{pages.origin}/?annotator={name}") for name in ("anna", "bert")]
    seen: list[list[int]] = [[], []]
    for _ in range(5):
        for frames, page in zip(seen, both, strict=True):
            frames.append(shown(page))
            press(page, "1")
    assert len({*seen[0], *seen[1]}) == 10
    assert saved(pages, 10)
    events = pages.place.rows("SELECT annotator, frame_id FROM labels WHERE annotator IN ('anna', 'bert')")
    assert sorted(events) == sorted([("anna", f) for f in seen[0]] + [("bert", f) for f in seen[1]])


def test_a_tablet_labels_by_touch(pages: Pages, opened: Opened) -> None:
    page = opened(
        f"{pages.origin}/?annotator=touch", viewport={"width": 768, "height": 1024}, has_touch=True, is_mobile=True
    )
    frame = shown(page)
    page.tap("[data-key='2']")
    assert wait_until(lambda: pages.labels()[frame] == "mag view", 30)
    assert shown(page) != frame
    for button in page.locator(".class").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 40
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 768
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_can_be_used_without_seeing_it(pages: Pages, opened: Opened) -> None:
    page = opened(f"{pages.origin}/?annotator=reader")
    shown(page)
    assert " frame " in str(page.get_attribute("#stage img", "alt"))
    expect(page.get_by_role("button", name="biopsy")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Images labeled")).to_be_visible()
    expect(page.get_by_role("status")).to_be_attached()
    for button in page.locator("button:visible").all():
        assert (button.inner_text() or button.get_attribute("aria-label") or "").strip()
    press(page, "?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    press(page, "1")
    press(page, "Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    assert pages.place.rows("SELECT id FROM labels WHERE annotator = 'reader'") == []


def pixel(page: Page, row: int, column: int) -> int:
    script = "([r, c]) => document.querySelector('canvas').getContext('2d').getImageData(c, r, 1, 1).data[0]"
    return int(page.evaluate(script, [row, column]))


def test_the_original_is_drawn_at_full_resolution_and_its_window_can_be_dragged(pages: Pages, opened: Opened) -> None:
    (frame,) = pages.place.rows("SELECT id FROM images WHERE filename LIKE '%ct'")
    page = opened(f"{pages.origin}/original/{frame}")
    expect(page.locator("canvas")).to_have_attribute("data-frame", "0")
    assert page.evaluate("[document.querySelector('canvas').width, document.querySelector('canvas').height]") == [
        48,
        64,
    ]
    expect(page.locator(".readout")).to_contain_text("W 400 L 40 (file)")

    def drawn(value: float, center: float, width: float) -> float:
        return 255 * min(1, max(0, (value - center) / width + 0.5))

    for row in (18, 22, 26):
        assert abs(pixel(page, row, 0) - drawn(48 * row - 1024, 39.5, 399)) <= 1
    page.select_option(".presets", label="Lung W 1500 L −600")
    expect(page.locator(".readout")).to_contain_text("W 1500 L −600")
    for row in (4, 10, 20):
        assert abs(pixel(page, row, 0) - drawn(48 * row - 1024, -600, 1500)) <= 1
    box = page.locator("canvas").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    before = pixel(page, 10, 0)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0], middle[1] + 60, steps=4)
    page.mouse.up()
    assert wait_until(lambda: pixel(page, 10, 0) < before - 20, 10)  # the center went up: darker
    press(page, "z")
    zoomed = page.locator("canvas").bounding_box()
    assert zoomed is not None
    assert abs(zoomed["width"] - 2 * box["width"]) < 2


def test_frames_of_a_cine_are_turned_by_the_wheel(pages: Pages, opened: Opened) -> None:
    frame = pages.place.rows("SELECT id FROM images WHERE modality = 'US' ORDER BY frame_number")[1]
    page = opened(f"{pages.origin}/original/{frame}")
    expect(page.locator("canvas")).to_have_attribute("data-frame", "1")
    page.mouse.move(400, 300)
    for number in (2, 3):
        page.mouse.wheel(0, 100)
        expect(page.locator("canvas")).to_have_attribute("data-frame", str(number))
    assert pixel(page, 5, 5) == int(frames_of(6, seed=9)[3][5, 5])
    page.mouse.wheel(0, -100)
    expect(page.locator("canvas")).to_have_attribute("data-frame", "2")


def test_tags_are_shown_as_text_and_names_only_when_asked(pages: Pages, opened: Opened) -> None:
    (frame,) = pages.place.rows("SELECT id FROM images WHERE filename LIKE '%hit()%'")
    page = opened(f"{pages.origin}/original/{frame}")
    page.get_by_role("button", name="Tags").click()
    expect(page.locator(".tags table")).to_contain_text("MONOCHROME2")
    expect(page.locator(".tags table")).not_to_contain_text("onerror=hit()")
    expect(page.locator(".tags table")).not_to_contain_text("Patient ID")
    page.get_by_role("button", name="Show all tags").click()
    expect(page.locator(".tags table")).to_contain_text("Patient ID")
    expect(page.locator(".tags table")).to_contain_text("onerror=hit()")
    assert page.locator("img[src='x']").count() == 0


def test_the_gallery_scrolls_filters_and_leads_to_an_image(pages: Pages, opened: Opened) -> None:
    page = opened(f"{pages.origin}/gallery", viewport={"width": 500, "height": 400})
    count = len(pages.labels())
    expect(page.locator("#count")).to_have_text(f"{count} images")
    last = page.get_by_role("link", name=f"Image {count}:")
    assert last.count() == 0
    page.evaluate("document.getElementById('tiles').scrollTop = 1e6")
    expect(last).to_be_visible()
    assert page.locator(".tile").count() < count
    assert page.locator("img[src='x']").count() == 0
    page.select_option("[name=modality]", "US")
    expect(page.locator("#count")).to_have_text("6 images")
    expect(page.locator(".tile")).to_have_count(6)
    page.locator(".tile").nth(2).click()
    page.locator("#name").click()
    expect(page.locator("h1")).to_contain_text("cine/x_frame000")
    for picture in (".row-of-tiles img", ".about .large"):  # whole, whatever its shape
        expect(page.locator(picture).first).to_have_css("object-fit", "contain")
    page.get_by_role("link", name="Show all in the gallery").click()
    expect(page.locator("#count")).to_have_text("6 images")


def test_a_failure_is_explained_and_tried_again(pages: Pages, opened: Opened) -> None:
    page = opened(f"{pages.origin}/failures?code=not_dicom")
    cause = page.locator(".cause", has_text="not_dicom")
    expect(cause).to_contain_text("no DICM prefix")
    page.goto(f"{pages.origin}/failures?code=unsupported_pixels")
    expect(page.locator("main")).to_contain_text("<img src=x onerror=hit()>.dcm")
    page.goto(f"{pages.origin}/failures?code=not_dicom")
    page.get_by_role("link", name="text.dcm").click()
    expect(page.locator("main")).to_contain_text("not_dicom")
    page.go_back()
    make_files(pages.place.source, "text.dcm", seed=99)
    cause.get_by_role("button", name="Retry 1 file").click()
    expect(page.locator("#status")).to_contain_text("Retry finished", timeout=60_000)
    assert pages.place.statuses()["text.dcm"] == ("done", None)
    page.reload()
    expect(page.locator(".cause", has_text="not_dicom")).to_have_count(0)


def test_every_page_shows_strings_of_files_as_text(pages: Pages, opened: Opened) -> None:
    (hostile,) = pages.place.rows("SELECT id FROM images WHERE filename LIKE '%hit()%'")
    pages.post("/label", HOSTILE[:50].replace(",", ""), frame=hostile, label=HOSTILE[:50])
    pages.post("/label", "other", frame=hostile, label="biopsy")
    page = opened(f"{pages.origin}/overview")
    for path in ("overview", "agreement", "gallery", f"frame/{hostile}", "failures", "failures/1", "who", ""):
        page.goto(f"{pages.origin}/{path}")
        page.wait_for_load_state("networkidle")
        assert page.locator("img[src='x']").count() == 0, path
        sources = page.evaluate("[...document.scripts].map((script) => script.src)")
        assert [source for source in sources if not source.startswith(f"{pages.origin}/static/")] == [], path
