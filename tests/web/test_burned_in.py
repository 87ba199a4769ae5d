"""The review of burned-in text: what waits, where text is seen, and decisions that count once."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, cli, make_files
from tests.web.browsing import IN_CHROMIUM, Opened

TEXT_AT = (300, 40)  # row, column of the left end of the line
ROWS, COLUMNS = 400, 600


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("burned in"))
    make_files(place.source, "a.dcm")
    for number in range(3):
        pixels = np.full((ROWS, COLUMNS), 30, np.uint8)
        pixels[:100, number * 50 : number * 50 + 60] = 90
        cv2.putText(pixels, "DOE JOHN 1950", TEXT_AT[::-1], cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 2)
        make_dicom(place.source / f"us{number}.dcm", pixels, patient_id=f"U{number}", Modality="US")
    place.run(hold_burned_in=True)
    return place


@pytest.fixture(scope="module")
def pages(place: Place) -> Iterator[Pages]:
    with serving(place) as pages:
        yield pages


def held(place: Place) -> list[str]:
    lines = cli(place.base, "release", "--db", place.db).stdout.splitlines()
    return sorted(line.split("\t")[1] for line in lines if "\t" in line)


def test_text_is_outlined_where_it_is_and_a_decision_counts_once(pages: Pages) -> None:
    place = pages.place
    (frame,) = place.rows("SELECT id FROM images WHERE filename LIKE '%us0'")
    html = pages.ask("GET", "/burned-in")[1].decode()
    assert html.count("<li data-frame=") == 3
    assert all(f"in/us{number}" in html for number in range(3))
    assert ("in/a<" in html, "held back from exports" in html) == (False, True)
    found = pages.get(f"/burned-in/{frame}")
    rows, columns = found["size"]
    scale = max(rows, columns) / max(ROWS, COLUMNS)
    shift = (rows - ROWS * scale) / 2
    tops, lefts, bottoms, rights = zip(*found["seen"], strict=True)
    box = min(tops), min(lefts), max(bottoms), max(rights)
    (width, height), _ = cv2.getTextSize("DOE JOHN 1950", cv2.FONT_HERSHEY_SIMPLEX, 0.9, 2)
    true = np.array([TEXT_AT[0] - height, TEXT_AT[1], TEXT_AT[0], TEXT_AT[1] + width]) * scale + [shift, 0, shift, 0]
    assert np.abs(np.array(box) - true).max() < 30 * scale
    body = {"frame": frame, "act": "release", "command": "one"}
    for _ in range(2):
        assert pages.post("/burned-in/decide", "ada", **body) == {}
    assert place.rows("SELECT count(*) FROM releases") == [1]
    assert held(place) == ["in/us1", "in/us2"]
    released = pages.ask("GET", "/burned-in?state=released")[1].decode()
    assert f'data-frame="{frame}"' in released
    assert "released by <bdi>ada</bdi>" in released
    assert pages.post("/burned-in/decide", "ada", frame=frame, act="keep", command="two") == {}
    assert held(place) == ["in/us0", "in/us1", "in/us2"]
    assert f'data-frame="{frame}"' in pages.ask("GET", "/burned-in?state=kept")[1].decode()
    assert f'data-frame="{frame}"' not in pages.ask("GET", "/burned-in")[1].decode()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"frame": 1, "act": "burn"}, 400),
        ({"act": "release"}, 400),
        ({"frame": 999, "act": "release"}, 400),
        ({"frame": 1, "act": "release", "digest": "00"}, 409),
        ({"frame": 1, "act": "release", "dataset": "another"}, 409),
    ],
)
def test_what_is_no_decision_is_refused(pages: Pages, body: dict[str, object], status: int) -> None:
    before = pages.place.tables("releases")
    assert pages.post("/burned-in/decide", **body) == status
    assert pages.place.tables("releases") == before


def test_a_source_that_is_gone_says_so(pages: Pages) -> None:
    (frame,) = pages.place.rows("SELECT id FROM images WHERE filename LIKE '%us2'")
    path = pages.place.source / "us2.dcm"
    content = path.read_bytes()
    path.unlink()
    found = pages.get(f"/burned-in/{frame}")
    path.write_bytes(content)
    assert (found["seen"], found["problem"].startswith("Cannot look for text")) == ([], True)


@IN_CHROMIUM[0]
@IN_CHROMIUM[1]
def test_one_key_releases_or_keeps_and_the_next_image_comes(pages: Pages, opened: Opened) -> None:
    before = len(pages.place.rows("SELECT id FROM releases"))
    page = opened(f"{pages.origin}/burned-in?annotator=ada")
    page.wait_for_selector("li[aria-current] .drawn .seen")
    waiting = [item.get_attribute("data-frame") for item in page.query_selector_all(".suspects li")]
    for key, word in (("r", "released by ada"), ("k", "kept by ada")):
        item = page.locator("li[aria-current]")
        frame = item.get_attribute("data-frame")
        page.keyboard.press(key)
        page.wait_for_selector(f"li[data-frame='{frame}'] .decision:text('{word}')")
    rows = pages.place.rows("SELECT frame_id || ' ' || released FROM releases ORDER BY id")
    assert rows[before:] == [f"{waiting[0]} 1", f"{waiting[1]} 0"]
