"""Labels, classes and options that look like markup: text on the data card of an export and in the report."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from dicomprep.exchange.export import export_frames
from dicomprep.exchange.formats.registry import Format
from dicomprep.exchange.options import ExportOptions
from dicomprep.web.report import write_report
from tests.running import Place, make_files, set_labels

LABELS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "| a | b |",
    "`x` and ``y``",
    "# *not* _a_ **heading** ~~x~~",
    "http://evil.example/?a=b&amp;c",
    "www.evil.example",
    "a\\",
    "mag_view T2*",
    "\u202egnp.x",
    "a\n\n# b\n- c\n",
    "---",
)
SAID = {label: " ".join(label.replace("\u202e", "").split()) for label in LABELS}
CARD = {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "strong", "hr"}
FIGURES = {"div", "figure", "figcaption", "svg", "text", "rect"}
REPORT = CARD | FIGURES | {"html", "head", "meta", "title", "style", "body", "main"}


class Reader(HTMLParser):
    """Which elements and attributes there are, and what is read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.read = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.read += "".join(f" {value} " for name, value in attrs if name == "aria-label")

    def handle_data(self, data: str) -> None:
        self.read += data


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("written"))
    make_files(place.source, *(f"s/{number}.dcm" for number in range(len(LABELS))))
    place.run()
    set_labels(place, {f"s/{number}": label for number, label in enumerate(LABELS)}, annotator="<script>hit()</script>")
    return place


def test_labels_are_text_on_the_card(place: Place, tmp_path: Path) -> None:
    where = "label != '`x` and ``y``' or frame_number = 0"
    options = ExportOptions(where=where, license="# [MIT](javascript:alert(1)) <script>", label=LABELS)
    export_frames(Format.CSV, tmp_path / "out", place.workspace, options=options)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").partition("\n---\n")[2]
    assert "<" not in card
    reader = Reader(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(card))
    assert reader.elements <= CARD
    assert reader.attributes <= {"style"}
    assert reader.read.count("\n# ") == 0
    for said in (*SAID.values(), where, "# [MIT](javascript:alert(1)) <script>"):
        assert said in reader.read, said
    assert "http://" not in card


def test_labels_are_text_in_the_report(place: Place, tmp_path: Path) -> None:
    write_report(place.workspace, tmp_path / "report.html")
    reader = Reader((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert reader.elements <= REPORT
    assert not {name for name in reader.attributes if name.startswith("on") or name in ("href", "src")}
    assert "<script>alert(1)</script>: 1" in reader.read
    assert "hit()" not in reader.read
