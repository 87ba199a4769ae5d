"""Drawings on the pages: recorded once, undone, refused where they are none, and shown wherever the image is."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place

BOX = {"kind": "box", "corners": [[5, 10], [20.5, 40]], "label": "normal", "note": "Ä"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    place = Place(tmp_path_factory.mktemp("annotated pages"))
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 4000, (60, 90), dtype=np.uint16)
        make_dicom(place.source / f"p{number}.dcm", pixels, patient_id=f"P{number}")
    place.run(size=48, fit="crop")
    with serving(place) as served:
        yield served


def drawn(pages: Pages, *ids: int) -> dict[str, list[dict]]:
    found = pages.get(f"/annotations?images={','.join(map(str, ids))}")["images"]
    return {key: one["annotations"] for key, one in found.items()}


def test_a_drawing_counts_once_moves_goes_and_comes_back(pages: Pages) -> None:
    key = "a" * 32
    for _ in range(2):
        pages.post("/annotate", frame=1, key=key, command="c1", **BOX)
    assert pages.place.rows("SELECT count(*) FROM annotation_events") == [1]
    [one] = drawn(pages, 1)["1"]
    assert (one["corners"], one["label"], one["annotator"]) == ([[5, 10], [20.5, 40]], "normal", "me")
    pages.post("/label", frame=1, label="normal", command="c2")
    pages.post("/annotate", "you", frame=1, key=key, command="c1", **{**BOX, "corners": [[50, 80], [70, 100]]})
    [one] = drawn(pages, 1)["1"]
    assert (one["corners"], one["annotator"]) == ([[50, 80], [60, 90]], "you")  # cut to the image
    pages.post("/annotate", "you", frame=1, key=key, command="c3")
    assert drawn(pages, 1)["1"] == []
    pages.post("/undo", "you", command="c4")
    pages.post("/undo", "you", command="c4")
    assert drawn(pages, 1)["1"][0]["corners"] == [[50, 80], [60, 90]]
    pages.post("/undo", "you", command="c5")
    assert drawn(pages, 1)["1"][0]["annotator"] == "you"
    assert drawn(pages, 1)["1"][0]["corners"][0] == [5, 10]
    assert pages.post("/undo", command="c6")["item"]["id"] == 1
    assert pages.labels()[1] is None
    pages.post("/undo", command="c7")
    assert drawn(pages, 1)["1"] == []


def test_where_it_lies_in_the_thumbnail(pages: Pages) -> None:
    one = pages.get("/annotations?images=2")["images"]["2"]
    assert (one["size"], one["source"]) == ([48, 48], [60, 90])
    placed = [f * c + s for f, c, s in zip(one["factor"], (60, 75), one["shift"], strict=True)]
    assert placed == pytest.approx([48, 48])
    assert drawn(pages, 2, 3) == {}  # of several only those with a drawing


@pytest.mark.parametrize(
    "change",
    [
        {"corners": [[5, 10]]},
        {"corners": [[5, 10], [5, 10]]},
        {"corners": [[100, 10], [120, 10.5]]},
        {"corners": [[5, 10], [20, "40"]]},
        {"corners": [[5, 10], [20, 10**400]]},
        {"corners": [[5, 10, 3], [20, 40, 3]]},
        {"corners": [[True, 10], [20, 40]]},
        {"corners": "x"},
        {"corners": [[5, 10], None]},
        {"kind": "circle"},
        {"kind": 7},
        {"kind": "polygon"},
        {"label": "unknown"},
        {"note": "x" * 501},
        {"note": "a\nb"},
        {"key": "../x"},
        {"key": "A" * 32},
        {"frame": 99},
        {"annotator": ""},
        {"digest": "00"},
        {"dataset": "another"},
    ],
)
def test_what_is_none_is_refused(pages: Pages, change: dict) -> None:
    before = pages.place.rows("SELECT count(*) FROM annotation_events")
    assert pages.post("/annotate", **{"frame": 2, "annotator": "me", **BOX, **change}) in (400, 409)
    assert pages.place.rows("SELECT count(*) FROM annotation_events") == before


def test_a_key_stays_with_its_image(pages: Pages) -> None:
    pages.post("/annotate", frame=2, key="b" * 32, **BOX)
    assert pages.post("/annotate", frame=3, key="b" * 32, **BOX) == 400


@pytest.mark.parametrize("images", ["", "x", "1,", "1" * 30, ",".join(["1"] * 101), "%F0%9F%98%80", "%C2%B2"])
def test_ids_that_are_none_are_refused(pages: Pages, images: str) -> None:
    assert pages.ask("GET", f"/annotations?images={images}")[0] == 400


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}, {}]
)
def test_nobody_else_draws(pages: Pages, headers: dict[str, str]) -> None:
    status, _ = pages.ask("POST", "/annotate", {"annotator": "me", "frame": 3, **BOX}, **headers)
    assert status in (400, 403, 421)
    assert drawn(pages, 3)["3"] == []
