"""Every page and state under axe-core, light and dark, at a desk and on a phone; nothing is out of reach."""

import re
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from starlette.routing import Route

from dicomprep.web.application import create_application
from dicomprep.web.guard import ServerAddress
from dicomprep.web.site import LabelSettings, PageContext
from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, cli, frames_of, set_labels
from tests.web.browsing import IN_CHROMIUM, Opened

pytestmark = IN_CHROMIUM

DESK, PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 844}
SCREENS = {
    "desktop": DESK,
    "tablet": {"width": 820, "height": 1180},
    "tablet across": {"width": 1180, "height": 820},
    "phone": PHONE,
    "phone across": {"width": 844, "height": 390},
}
READY = "#stage img[data-state=ready], #stage canvas"

STATES: dict[str, tuple[str, str]] = {
    "label": ("/?annotator=ada", READY),
    "label filtered": ("/?annotator=ada&split=train", "#stage"),
    "empty queue": ("/?annotator=ada&modality=XX", "#stage .note"),
    "who": ("/who", "#name"),
    "classes": ("/classes/edit", "h1"),
    "skips": ("/skips?annotator=ada", "h1"),
    "gallery": ("/gallery", ".tile img"),
    "empty gallery": ("/gallery?modality=XX", "#none:not([hidden])"),
    "frame": ("/frame/{cine}", "h1"),
    "original": ("/original/{cine}", "canvas[data-slice]"),
    "failures": ("/failures", ".cause"),
    "failure": ("/failures/{failed}", "h1"),
    "agreement": ("/agreement", "h1"),
    "disagreements": ("/disagreements", "#stage img"),
    "overview": ("/overview", ".cohort"),
    "burned-in": ("/burned-in", ".drawn .seen"),
    "burned-in, none": ("/burned-in?state=released", "h1"),
}
"""Each page and state by its address and by what is there once it is ready."""


def make_place(place: Place) -> Place:
    """A series, a cine, an image with text, files that failed, two annotators who differ."""
    axial = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "SeriesInstanceUID": "1.5", "StudyInstanceUID": "1.4"}
    for number in range(8):
        more = axial | {"ImagePositionPatient": [0, 0, 5 * number], "PixelSpacing": [1, 1], "InstanceNumber": number}
        more |= {"PatientAge": "061Y", "PatientSex": "F", "Manufacturer": "SIEMENS", "BodyPartExamined": "CHEST"}
        make_dicom(place.source / "ct" / f"{number}.dcm", picture(number), patient_id="A", Modality="CT", **more)
    make_dicom(place.source / "us" / "cine.dcm", frames_of(6, seed=9), patient_id="B", Modality="US", FrameTime=100)
    for number in range(3):
        pixels = picture(20 + number)
        cv2.putText(pixels, "DOE JOHN 1950", (20, 300), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 2)
        make_dicom(place.source / "us" / f"text {number}.dcm", pixels, patient_id=f"C{number}", Modality="US")
    (place.source / "text.dcm").write_text("this is no DICOM")
    make_dicom(place.source / "cut.dcm", picture(40))
    (place.source / "cut.dcm").write_bytes((place.source / "cut.dcm").read_bytes()[:-1000])
    place.run(size=224)
    names = place.rows("SELECT filename FROM images ORDER BY id")
    for annotator, labels in (("ada", "normal abnormal normal"), ("محمد علي", "normal normal abnormal")):
        set_labels(place, dict(zip(names, labels.split(), strict=False)), annotator=annotator)
    return place


def picture(seed: int) -> np.ndarray:
    """A disc with some noise."""
    y, x = np.mgrid[:320, :320] - 160
    disc = np.where(x**2 + y**2 < (90 + 6 * (seed % 9)) ** 2, 150, 20)
    return (disc + np.random.default_rng(seed).integers(0, 12, disc.shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(Place(tmp_path_factory.mktemp("accessible")))


@pytest.fixture(scope="module")
def pages(place: Place) -> Iterator[Pages]:
    with serving(place, "--classes", "normal,abnormal") as pages:
        yield pages


@pytest.fixture
def go(pages: Pages, opened: Opened) -> Callable[[Page | None, str], Page]:
    """To a state, in a page that is open already or in a new one."""
    ids = dict(zip(("cine", "failed"), find_ids(pages.place), strict=True))

    def go_to(page: Page | None, state: str) -> Page:
        path, ready = STATES[state]
        url = pages.origin + path.format(**ids)
        page = page or opened("about:blank")
        page.goto(url)
        page.wait_for_selector(ready)
        return page

    return go_to


def find_ids(place: Place) -> tuple[int, int]:
    (cine, *_) = place.rows("SELECT id FROM images WHERE filename LIKE '%cine%' ORDER BY id")
    (failed, *_) = place.rows("SELECT id FROM files WHERE status = 'failed' ORDER BY id")
    return cine, failed


def test_every_page_and_state_is_accessible(go: Callable[[Page | None, str], Page]) -> None:
    page, axe, wrong = None, Axe(), []
    for state in STATES:
        page = go(page, state)
        for scheme, screen in (("light", DESK), ("dark", PHONE)):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size(screen)
            found = axe.run(page)
            broken = found.response["violations"]
            wrong += [f"{state}, {scheme}: {one['id']} {one['nodes'][0]['html']}" for one in broken]
            if page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
                wrong.append(f"{state}, {screen}: wider than the screen")
    assert wrong == [], wrong


def test_the_report_is_accessible_and_light(place: Place, opened: Opened) -> None:
    report = place.base / "report.html"
    assert cli(place.base, "report", report, "--db", place.db).returncode == 0
    page = opened(report.as_uri(), color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_no_page_is_without_a_state(pages: Pages) -> None:
    """A page that comes tomorrow has to be walked over as well."""
    context = PageContext(pages.place.workspace, LabelSettings(), ServerAddress())
    try:
        routes = [route for route in create_application(context).app.routes if isinstance(route, Route)]
    finally:
        context.close()
    cine, failed = find_ids(pages.place)
    walked = {path.partition("?")[0] for path, _ in STATES.values()}
    for route in routes:
        path = re.sub(r"\{(\w+):id\}", lambda name: str(failed if name[1] == "file_id" else cine), route.path)
        if "GET" in route.methods and pages.ask("GET", path)[0] == 200:
            is_page = pages.headers["content-type"].startswith("text/html")
            assert not is_page or path in {one.format(cine=cine, failed=failed) for one in walked}, path


@pytest.mark.parametrize("screen", SCREENS)
def test_buttons_progress_and_undo_are_in_reach(go: Callable[[Page | None, str], Page], screen: str) -> None:
    page = go(None, "who")
    page.set_viewport_size(SCREENS[screen])
    go(page, "label")
    size = SCREENS[screen]
    for selector in ("#progress", "[data-label] >> nth=0", "[data-label] >> nth=1", *TOOLS):
        box = page.locator(selector).bounding_box()
        assert box is not None, selector
        inside = box["x"] >= 0 and box["x"] + box["width"] <= size["width"] + 0.5
        assert inside and box["y"] + box["height"] <= size["height"] + 0.5, (selector, box)
        assert page.locator(selector).evaluate(IS_ON_TOP), selector
    stage = page.locator("#stage").bounding_box()
    assert stage["width"] * stage["height"] > 0.2 * size["width"] * size["height"], stage


IS_ON_TOP = """element => {
  const { x, y, width, height } = element.getBoundingClientRect();
  return element.contains(document.elementFromPoint(x + width / 2, y + height / 2));
}"""
"""Neither scrolled away nor under something else."""

TOOLS = [f".tools [data-key={key}]" for key in ("ArrowLeft", "ArrowRight", "s", "u")]
