"""The stack viewer in a real Chromium: series, windows, measurements, cine, two images side by side, touch."""

import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, frames_of, wait_until
from tests.web.browsing import IN_CHROMIUM, Opened, press

pytestmark = IN_CHROMIUM

SLICES = 12
AXIAL = [1, 0, 0, 0, 1, 0]
HU = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400}
DRUG = {"RadiopharmaceuticalStartTime": "100000", "RadionuclideTotalDose": 7e7, "RadionuclideHalfLife": 6586}
PET = {
    "Units": "BQML", "CorrectedImage": ["ATTN", "DECY"], "DecayCorrection": "ADMIN", "PatientWeight": 70,
    "RadiopharmaceuticalInformationSequence": [DRUG], "RescaleSlope": 1, "RescaleIntercept": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two CT series of a patient in one space, two views of a breast, PET, a radiograph without spacing, a cine."""
    place = Place(tmp_path_factory.mktemp("viewer"))
    for name, study, count, step in (("Current", "1.2020", SLICES, 5.0), ("Prior", "1.2019", 6, 10.0)):
        for number in range(count):
            where = {"ImagePositionPatient": [0, 0, step * number], "ImageOrientationPatient": AXIAL}
            uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "FrameOfReferenceUID": "1.9"}
            more = (
                {"PixelSpacing": [2, 2], "InstanceNumber": count - number, "StudyDate": f"{study[2:]}0101"}
                | where
                | uids
            )
            path = place.source / name / f"{number * 5 % 7} {number}.dcm"
            make_dicom(path, slice_of(step * number, study), patient_id="Ünal", Modality="CT", **HU, **more)
    for number, view in enumerate(("CC", "MLO")):
        more = {"ViewPosition": view, "ImageLaterality": "L", "PatientOrientation": ["A", "R"], "Rows": 40}
        more |= {"ImagerPixelSpacing": [0.5, 0.5], "SeriesInstanceUID": f"1.3.{number}"}
        make_dicom(place.source / "mg" / f"{view}.dcm", noise(number), patient_id="MG", Modality="MG", **more)
    make_dicom(place.source / "pt.dcm", noise(5), patient_id="PT", Modality="PT", **PET)
    make_dicom(place.source / "cr.dcm", noise(6), patient_id="CR", Modality="CR")
    make_dicom(place.source / "cine.dcm", frames_of(6, seed=9), patient_id="US", Modality="US", FrameTime=200)
    place.run()
    return place


def slice_of(position: float, study: str) -> np.ndarray:
    """The value of every pixel in HU says where the slice lies; but for some noise in a corner."""
    pixels = np.full((40, 40), 1024 + round(position), np.uint16)
    pixels[:8, :8] += np.random.default_rng([round(position), int(study[2:])]).integers(0, 90, (8, 8), np.uint16)
    return pixels


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4000, (40, 40), np.uint16)


@pytest.fixture(scope="module")
def pages(place: Place) -> Iterator[Pages]:
    with serving(place, "--classes", "a,b") as pages:
        yield pages


def identity(pages: Pages, where: str) -> int:
    return int(pages.place.rows(f"SELECT id FROM images WHERE {where} ORDER BY filename")[0])


def view(pages: Pages, opened: Opened, where: str, **options: object) -> Page:
    page = opened(f"{pages.origin}/original/{identity(pages, where)}", **options)
    expect(page.locator("canvas").first).to_have_attribute("data-slice", re.compile(r"\d"))
    expect(page.locator("canvas").first).to_have_attribute("data-slices", re.compile(r"\d"))
    return page


def go(page: Page, pages: Pages, where: str) -> None:
    page.goto(f"{pages.origin}/original/{identity(pages, where)}")
    expect(page.locator("canvas")).to_have_attribute("data-slice", "0")


PRIOR = "study_id LIKE '%Prior' AND filename LIKE '% 1'"
CURRENT = "study_id LIKE '%Current' AND filename LIKE '% 4'"


def slices(page: Page) -> list[str | None]:
    return [canvas.get_attribute("data-slice") for canvas in page.locator("canvas").all()]


def gray(page: Page, row: int = 30, column: int = 30) -> int:
    script = "([r, c]) => document.querySelector('canvas').getContext('2d').getImageData(c, r, 1, 1).data[0]"
    return int(page.evaluate(script, [row, column]))


def middle(page: Page) -> tuple[float, float]:
    box = page.locator(".field").first.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_wheel_keys_and_drag_run_through_the_series_along_its_normal(pages: Pages, opened: Opened) -> None:
    page = view(pages, opened, CURRENT)
    canvas = page.locator("canvas")
    expect(canvas).to_have_attribute("aria-label", f"CT, slice 5 of {SLICES}, W 400 L 40")
    x, y = middle(page)
    page.mouse.move(x, y)
    expect(page.locator(".readout")).to_contain_text(": 20 HU")
    seen = []
    press(page, "Home")
    for number in range(SLICES):
        expect(canvas).to_have_attribute("data-slice", str(number))
        seen.append(gray(page))
        expect(page.locator(".readout")).to_contain_text(f": {5 * number} HU")
        page.mouse.wheel(0, 100)
    assert sorted(set(seen)) == seen  # HU rise with the position, whatever Instance Numbers and names say
    press(page, "PageUp")
    expect(canvas).to_have_attribute("data-slice", str(SLICES - 11))
    press(page, "ArrowDown")
    expect(canvas).to_have_attribute("data-slice", "2")
    page.mouse.down()
    page.mouse.move(x, y + 24 * 3, steps=6)
    page.mouse.up()
    expect(canvas).to_have_attribute("data-slice", "5")
    expect(page.locator(".corner.first")).to_have_text(f"6 / {SLICES} · opened: 5 (B)")
    press(page, "b")
    expect(canvas).to_have_attribute("aria-label", f"CT, slice 5 of {SLICES}, W 400 L 40")


def test_a_window_stays_until_it_is_reset(pages: Pages, opened: Opened) -> None:
    page = view(pages, opened, CURRENT)
    canvas, readout = page.locator("canvas"), page.locator(".readout")
    before = gray(page)
    page.keyboard.press("Shift+Digit5")  # lung
    expect(canvas).to_have_attribute("aria-label", f"CT, slice 5 of {SLICES}, W 1500 L −600")
    expect(readout).to_contain_text("W 1500 L −600")
    lung = gray(page)
    assert lung > before
    press(page, "ArrowDown")
    expect(canvas).to_have_attribute("aria-label", f"CT, slice 6 of {SLICES}, W 1500 L −600")
    press(page, "i")
    assert abs(gray(page) - (255 - lung)) <= 2
    x, y = middle(page)
    page.mouse.move(x, y)
    page.mouse.down(button="right")
    page.mouse.move(x + 50, y, steps=3)
    page.mouse.up(button="right")
    expect(readout).not_to_contain_text("W 1500")
    page.keyboard.press("Shift+Digit0")
    expect(readout).to_contain_text("W 400 L 40 (file)")
    press(page, "ArrowUp")
    assert gray(page) == before


def test_distances_and_angles_are_in_the_units_that_the_header_gives(pages: Pages, opened: Opened) -> None:
    page = view(pages, opened, CURRENT)
    readout = page.locator(".readout")
    press(page, "m")
    for moves in ("", "ArrowRight"):  # by keys: from the center, ten pixels of 2 mm
        for _ in range(10 if moves else 0):
            page.keyboard.press(moves)
        press(page, "Enter")
    expect(readout).to_contain_text("ruler 20 mm")
    expect(page.locator(".marks text")).to_have_text("20 mm")
    press(page, "a")
    x, y = middle(page)
    for place in ((x + 100, y), (x, y), (x, y + 60)):
        page.mouse.click(*place)
    expect(readout).to_contain_text("angle 90°")
    press(page, "ArrowDown")
    press(page, "Escape")
    press(page, "ArrowDown")
    expect(page.locator(".marks text")).to_have_count(0)  # those of another slice
    press(page, "ArrowUp")
    expect(page.locator(".marks text")).to_have_count(2)
    press(page, "Backspace")
    expect(page.locator(".marks text")).to_have_text("20 mm")
    for where, unit in (("modality = 'MG'", "mm at the detector"), ("modality = 'CR'", "px")):
        go(page, pages, where)
        press(page, "m")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 90, y + 10, steps=3)
        page.mouse.up()
        expect(readout).to_contain_text(re.compile(rf"ruler [\d.]+ {unit}"))
        assert page.locator(".scale-bar").is_visible() is ("mm" in unit)
    expect(readout).to_contain_text("(stored value)")


def test_directions_turn_with_the_image(pages: Pages, opened: Opened) -> None:
    page = view(pages, opened, CURRENT)

    def letters() -> list[str]:
        return page.locator(".letter").all_inner_texts()

    assert letters() == ["A", "L", "P", "R"]
    for key, expected in (("r", "RALP"), ("h", "RPLA"), ("v", "LPRA"), ("Shift+Digit0", "ALPR")):
        press(page, key)
        assert "".join(letters()) == expected
    expect(page.locator(".scale-bar")).to_have_text(re.compile(r"^[125]0? [cm]m$"))
    go(page, pages, "modality = 'MG'")
    expect(page.locator(".letter.right")).to_have_text("A")
    assert letters() == ["L", "A", "R", "P"]
    go(page, pages, "modality = 'PT'")
    page.mouse.move(*middle(page))
    expect(page.locator(".readout")).to_contain_text(re.compile(r": \d+ Bq/mL · SUV [\d.]+$"))


def test_a_slice_that_is_gone_is_said_and_the_others_are_seen(pages: Pages, opened: Opened) -> None:
    (path,) = (pages.place.source / "Prior").glob("* 2.dcm")
    away = path.rename(path.with_suffix(".away"))
    try:
        page = opened("about:blank")
        page.goto(f"{pages.origin}/original/{identity(pages, PRIOR)}")
        expect(page.locator("canvas")).to_have_attribute("data-slices", "6")
        press(page, "ArrowDown")
        expect(page.locator(".field .note")).to_contain_text("Cannot display the source file")
        press(page, "ArrowDown")
        expect(page.locator("canvas")).to_have_attribute("aria-label", "CT, slice 4 of 6, W 400 L 40")
        assert not page.locator(".field .note").is_visible()
    finally:
        away.rename(path)


def test_a_cine_plays_and_pauses(pages: Pages, opened: Opened) -> None:
    page = view(pages, opened, "modality = 'US'")
    press(page, " ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    for number in (4, 1):  # on and on
        page.wait_for_selector(f"canvas[data-slice='{number}']")
    press(page, " ")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    at = slices(page)
    page.wait_for_timeout(150)
    assert slices(page) == at


def test_prior_and_current_scroll_together_by_their_place(pages: Pages, opened: Opened) -> None:
    page = view(pages, opened, CURRENT)
    press(page, "c")
    page.get_by_role("button", name="study 1 (2019)").click()
    expect(page.locator("canvas")).to_have_count(2)
    expect(page.locator("canvas").nth(1)).to_have_attribute("data-slice", "2")  # 20 mm are the third of 10 mm
    press(page, "End")
    expect(page.locator("canvas").nth(1)).to_have_attribute("data-slice", "5")  # the nearest to 55 mm
    press(page, "x")
    press(page, "Home")
    expect(page.locator("canvas").first).to_have_attribute("data-slice", "0")
    press(page, "l")
    press(page, "ArrowDown")
    expect(page.locator("canvas").nth(1)).to_have_attribute("data-slice", "1")
    assert slices(page)[0] == "0"
    press(page, "l")  # from here on with what lies between them
    press(page, "ArrowDown")
    expect(page.locator("canvas").first).to_have_attribute("data-slice", "2")
    press(page, "c")
    expect(page.locator("canvas")).to_have_count(1)
    go(page, pages, "modality = 'MG'")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("button", name="L MLO").click()
    expect(page.locator("canvas").nth(1)).to_have_attribute("aria-label", re.compile("^MG, slice 1 of 1"))


def test_the_labeling_page_runs_through_a_series_and_labels_its_own_image(pages: Pages, opened: Opened) -> None:
    page = opened(f"{pages.origin}/?annotator=runner")
    for _ in range(8):
        page.wait_for_selector("#stage img[data-state=ready]")
        if page.inner_text("#modality").startswith("CT"):
            break
        press(page, "ArrowRight")
    address = str(page.get_attribute("#stage img", "src"))
    page.keyboard.press("ArrowDown")  # opens the original
    expect(page.locator("#original")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("canvas")).to_have_attribute("data-slices", re.compile(r"^(6|12)$"))
    press(page, "Home")
    press(page, "ArrowDown")
    page.keyboard.press("Shift+Digit1")
    expect(page.locator("canvas")).to_have_attribute("aria-label", re.compile(r"^CT, slice 2 of \d+, W 400 L 40$"))
    press(page, "2")
    frame = int(address.split("/")[2].partition("?")[0])
    assert wait_until(lambda: pages.place.rows("SELECT frame_id FROM labels WHERE annotator = 'runner'") == [frame], 30)
    press(page, "u")


def fingers(page: Page) -> Callable[..., None]:
    """What fingers do: `touchStart`, `touchMove` with where they are, `touchEnd`."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        named = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": named})

    return touch


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390)], ids=["upright", "across"])
def test_one_finger_scrolls_and_two_magnify(pages: Pages, opened: Opened, width: int, height: int) -> None:
    page = view(pages, opened, CURRENT, viewport={"width": width, "height": height}, has_touch=True, is_mobile=True)
    x, y = middle(page)
    touch = fingers(page)
    touch("touchStart", (x, y))
    for down in (20, 40, 60):
        touch("touchMove", (x, y + down))
    touch("touchEnd")
    expect(page.locator("canvas")).not_to_have_attribute("data-slice", "4")
    before = page.locator("canvas").bounding_box()
    touch("touchStart", (x - 20, y), (x + 20, y))
    touch("touchMove", (x - 40, y), (x + 40, y))
    touch("touchEnd")
    after = page.locator("canvas").bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] > 1.5 * before["width"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_no_state_of_the_viewer_keeps_anybody_out(pages: Pages, opened: Opened, scheme: str) -> None:
    page = view(pages, opened, CURRENT, color_scheme=scheme)
    for key in ("", "m", "t", "?", "Escape", "c"):
        if key:
            press(page, key)
        page.wait_for_timeout(100)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    page.get_by_role("button", name="study 1 (2019)").click()
    expect(page.locator("canvas")).to_have_count(2)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.goto(f"{pages.origin}/?annotator=axe")
    page.wait_for_selector("#stage img[data-state=ready]")
    press(page, "o")
    expect(page.locator("canvas")).to_have_attribute("data-slice", re.compile(r"\d"))
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_window_in_units_goes_on_to_other_series(pages: Pages, opened: Opened) -> None:
    page = opened(f"{pages.origin}/who")
    kept = page.evaluate("""async () => {
      const { Windows } = await import("/static/window.js");
      const windows = new Windows();
      const seen = [];
      const use = (...kind) => (windows.use(...kind), seen.push(windows.current && windows.current[0]));
      use("CT", "HU", 1);
      windows.current = [-600, 1500];
      use("CT", "HU", 2);
      use("MR", "", 3);
      windows.current = [500, 900];
      use("MR", "", 3);
      use("MR", "", 4);
      use("CT", "HU", 5);
      windows.reset();
      use("CT", "HU", 6);
      return seen;
    }""")
    assert kept == [None, -600, None, 500, None, -600, None]
