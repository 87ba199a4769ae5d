"""The labelling page over real HTTP: what it shows, what it records, whom it refuses."""

import http.client
import re
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest

from tests.building import make_dicom
from tests.running import PROJECT, Place, call, frames_of, make_files, started

HOSTILE = "<script>alert(1)</script>\"'&"


@dataclass
class Page:
    """A server on this machine, and the place whose images it shows."""

    place: Place
    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: dict[str, object] | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and content; the headers of the answer stay in `headers`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        given = {"Host": f"127.0.0.1:{self.port}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        connection.request(method, path, urlencode(body or {}) if method == "POST" else None, given)
        answer = connection.getresponse()
        content = answer.read()
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        connection.close()
        return answer.status, content

    def shown(self, path: str = "/") -> int | None:
        """The id of the image on the page."""
        match = re.search(rb'src="/image/(\d+)"', self.ask("GET", path)[1])
        return int(match[1]) if match else None

    def post(self, path: str, **body: object) -> int:
        return self.ask("POST", path, body, Origin=f"http://127.0.0.1:{self.port}")[0]

    def labels(self) -> list[str | None]:
        return self.place.rows("SELECT label FROM images ORDER BY id")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    place = Place(tmp_path_factory.mktemp("label"))
    make_files(place.source, "a.dcm", "s/b.dcm:2")
    make_dicom(place.source / "<b>bold.dcm", frames_of(1, seed=9)[0], Modality="US", PatientName=HOSTILE)
    place.run()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = PROJECT / "scripts" / "02_label_server.py"
    command = [sys.executable, str(script), "--db", str(place.db), "--classes", "biopsy,mag view", "--port", str(port)]
    with started(command, place.base) as server:
        assert "4 images to label" in server.process.stdout.readline()
        shown = Page(place, port)
        for _ in range(100):
            try:
                shown.ask("GET", "/")
                break
            except OSError:
                time.sleep(0.1)
        yield shown


@pytest.fixture(autouse=True)
def _without_labels(page: Page) -> None:
    while any(page.labels()):
        assert page.post("/undo") == 303


def test_a_label_is_recorded_and_the_next_image_shown(page: Page) -> None:
    first = page.shown()
    assert page.post("/label", frame=first, label="mag view") == 303
    assert page.labels() == ["mag view", None, None, None]
    assert page.shown() not in (None, first)
    assert b"1 of 4 labelled" in page.ask("GET", "/")[1]


def test_undo_goes_back_step_by_step_and_loses_nothing(page: Page) -> None:
    before = len(page.place.rows("SELECT id FROM labels"))
    images = []
    for label in ("biopsy", "mag view"):
        images.append(page.shown())
        page.post("/label", frame=images[-1], label=label)
    for image in reversed(images):
        assert page.post("/undo") == 303
        assert page.shown() == image
    assert len(page.place.rows("SELECT id FROM labels")) == before + 4


def test_skipping_leads_through_all_images_without_a_label(page: Page) -> None:
    seen = [page.shown()]
    while (image := page.shown(f"/?after={seen[-1]}")) is not None:
        seen.append(image)
    assert len(seen) == len(set(seen)) == 4
    assert not any(page.labels())


def test_an_image_is_the_thumbnail_itself(page: Page) -> None:
    status, content = page.ask("GET", f"/image/{page.shown()}")
    assert (status, page.headers["content-type"]) == (200, "image/png")
    assert content in page.place.images().values()


@pytest.mark.parametrize("path", ["/image/99", "/image/x", "/image/../x.db", "/static/../application.py", "/x.db"])
def test_nothing_but_images_and_the_page_is_served(page: Page, path: str) -> None:
    assert page.ask("GET", path)[0] == 404


def test_text_from_files_stays_text(page: Page) -> None:
    pages = [page.ask("GET", f"/?after={after}")[1] for after in range(4)]
    assert any(b"&lt;b&gt;bold" in content for content in pages)
    assert not any(b"<b>bold" in content or HOSTILE.encode() in content for content in pages)
    assert "default-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", ""])
@pytest.mark.parametrize("path", ["/", "/image/1", "/static/label.js"])
def test_another_host_name_is_refused(page: Page, host: str, path: str) -> None:
    assert page.ask("GET", path, Host=host)[0] == 421


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "null"}, {"Origin": "http://evil.example"}, {"Origin": "{own}", "Sec_Fetch_Site": "cross-site"}],
)
def test_a_label_from_another_page_is_refused(page: Page, headers: dict[str, str]) -> None:
    headers = {name: value.format(own=f"http://127.0.0.1:{page.port}") for name, value in headers.items()}
    for path in ("/label", "/undo"):
        assert page.ask("POST", path, {"frame": page.shown(), "label": "biopsy"}, **headers)[0] == 403
    assert not any(page.labels())


@pytest.mark.parametrize("body", [{"label": "other"}, {"frame": "x"}, {"frame": 99}, {"frame": ""}])
def test_what_is_no_label_of_an_image_is_refused(page: Page, body: dict[str, object]) -> None:
    assert page.post("/label", **({"frame": page.shown(), "label": "biopsy"} | body)) == 400
    assert not any(page.labels())


@pytest.mark.parametrize("options", [["--classes", ","], ["--classes", "a,a"], ["--db", "no.db"]])
def test_a_mistake_is_named_before_anything_is_served(page: Page, options: list[str]) -> None:
    database = [] if "--db" in options else ["--db", str(page.place.db)]
    done = call([sys.executable, "-m", "dicomprep", "label", *database, *options], page.place.base)
    assert (done.returncode, done.stderr.startswith("Error: ")) == (2, True)


def test_a_port_in_use_is_named(page: Page) -> None:
    command = [sys.executable, "-m", "dicomprep", "label", "--db", str(page.place.db), "--port", str(page.port)]
    done = call(command, page.place.base)
    assert (done.returncode, f"Port {page.port} cannot be used" in done.stderr) == (3, True)
