"""The page of classes over real HTTP: what is sent twice counts once, imported classes are the page's."""

import re
import uuid
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from dicomprep.exchange.labels import ImportOptions, import_labels
from tests.pages import Pages, serving
from tests.running import Place, make_files

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Over images with imported labels, which are on no list of classes yet, and one class by the command."""
    place = Place(tmp_path_factory.mktemp("Klassen"))
    make_files(place.source, *(f"s/{name}.dcm" for name in NAMES))
    place.run()
    lines = ["filename,label", "s/a,Lunge/Rundherd", "s/b,3.75", f"s/c,{'lang ' * 20}"]
    (place.base / "l.csv").write_text("\n".join(lines) + "\n")
    import_labels(place.workspace, place.base / "l.csv", options=ImportOptions())
    with serving(place, "--classes", "normal,Erguß") as pages:
        yield pages


def offered(pages: Pages) -> list[str]:
    """The classes on the labeling page."""
    _, content = pages.ask("GET", "/")
    return [unescape(name) for name in re.findall(r'data-label="([^"]*)"', content.decode())]


def change(pages: Pages, kind: str, **values: object) -> object:
    return pages.post("/classes/change", kind=kind, command=uuid.uuid4().hex, **values)


def test_classes_from_an_import_to_a_merge(pages: Pages) -> None:
    place = pages.place
    assert offered(pages) == ["Lunge/Rundherd", "normal", "Erguß"]  # no measured value, no text
    assert place.rows("SELECT count(*) FROM classes") == [1]  # the imported one: no other until something is done
    assert pages.ask("GET", "/classes/edit")[0] == 200
    assert change(pages, "order", names=["Erguß", "normal"]) == {}
    assert offered(pages) == ["Erguß", "normal", "Lunge/Rundherd"]
    once = {"kind": "rename", "name": "Lunge/Rundherd", "target": "Lunge/Nodul", "command": "a1"}
    assert [pages.post("/classes/change", **once) for _ in range(2)] == [{}, {}]  # the second finds no such class
    assert offered(pages) == ["Erguß", "normal", "Lunge/Nodul"]
    assert pages.get("/progress")["classes"]["Lunge/Nodul"] == 1
    (frame,) = place.rows("SELECT id FROM frames WHERE filename = 's/b'")
    pages.post("/label", frame=frame, label="Erguß")
    assert change(pages, "merge", name="Erguß", target="normal") == {}
    assert offered(pages) == ["normal", "Lunge/Nodul"]
    assert place.rows("SELECT label FROM labels WHERE annotator = 'me'") == ["normal"]
    assert change(pages, "hide", name="normal") == {}
    assert offered(pages) == ["Lunge/Nodul"]
    assert pages.post("/classes", name="normal")["classes"] == ["normal", "Lunge/Nodul"]
    _, content = pages.ask("GET", "/classes/edit")
    log = re.findall(r"<td>((?:order|rename|merge|hide|show) [^<]*)</td>", unescape(content.decode()))
    assert log == [
        "show normal",
        "hide normal",
        "merge Erguß into normal",
        "rename Lunge/Rundherd to Lunge/Nodul",
        "order Erguß, normal",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "x"},
        {"kind": "rename", "name": "nichts", "target": "y"},
        {"kind": "rename", "name": "normal", "target": ""},
        {"kind": "rename", "name": "normal", "target": "a,b"},
        {"kind": "rename", "name": "normal", "target": "x" * 61},
        {"kind": "merge", "name": "normal", "target": "normal"},
        {"kind": "merge", "name": "normal"},
        {"kind": "order", "names": ["normal", "normal"]},
        {"kind": "order", "names": "normal"},
        {"kind": "order", "names": [1]},
        {"kind": "hide", "name": ""},
    ],
)
def test_what_cannot_be_is_refused(pages: Pages, wrong: dict[str, object]) -> None:
    before = pages.place.rows("SELECT count(*) FROM class_events")
    assert pages.post("/classes/change", **wrong) == 400
    assert pages.place.rows("SELECT count(*) FROM class_events") == before


def test_a_former_name_in_the_options_is_the_class_of_today(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_files(place.source, "a.dcm")
    place.run()
    with serving(place, "--classes", "x,y") as pages:
        assert change(pages, "rename", name="x", target="z") == {}
    with serving(place, "--classes", "x,y") as pages:
        assert offered(pages) == ["z", "y"]
