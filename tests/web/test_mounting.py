"""Where pages are opened: behind proxies that take a prefix off or leave it on, through tunnels, under another name."""

import http.client
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urljoin, urlsplit

import pytest

import dicomprep.web
from dicomprep.errors import ConfigError
from dicomprep.web.guard import ServerAddress, parse_host
from dicomprep.web.mounting import clean_root_path
from tests.pages import Pages, serving
from tests.running import Place, cli, make_files
from tests.web.browsing import IN_CHROMIUM, Opened

PREFIX = "/user/ada%40x.org/proxy/5001"
HUB = "hub.example.org"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("mounting"))
    make_files(place.source, "a.dcm", "b.dcm", "s/c.dcm")
    (place.source / "text.dcm").write_text("this is no DICOM")
    place.run()
    return place


@contextmanager
def proxy(port: int, *, strips: bool, host: Callable[[str], str] = str) -> Iterator[int]:
    """A reverse proxy below `PREFIX`, which may take it off, and may send another Host. Gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(PREFIX + "/"):
                self.send_error(404)
                return
            path = self.path.removeprefix(PREFIX) if strips else self.path
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = dict(self.headers.items()) | {"Host": host(self.headers["Host"])}
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            upstream.request(self.command, path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "date", "server", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            upstream.close()

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Addresses(HTMLParser):
    """Where a page leads, and what it loads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value or "" for name, value in attrs if name in ("href", "src", "action")}


def walk(pages: Pages, start: str, **headers: str) -> set[str]:
    """Every path that can be reached by links from a page, as a browser follows them. All of them have to be there."""
    seen, due = set(), [start]
    while due:
        path = due.pop()
        seen.add(path)
        status, content = pages.ask("GET", path, **headers)
        assert status == 200, (path, content)
        kind = pages.headers["content-type"]
        found = Addresses(content.decode()).found if kind.startswith("text/html") else set()
        if "javascript" in kind:
            found = set(re.findall(r'from "([^"]+)"', content.decode()))
        for link in found:
            parts = urlsplit(urljoin(f"http://x{path}", link))
            assert parts.netloc == "x", (path, link)
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            if target not in seen and target not in due:
                due.append(target)
    return seen


def test_scripts_ask_and_lead_within_the_pages() -> None:
    for script in Path(dicomprep.web.__path__[0], "static").glob("*.js"):
        for call in re.findall(r"(?:[^#\w]fetch|location\.assign|new Worker|import)\((.*)", script.read_text()):
            assert call.startswith(("within(", "path")) or script.name == "page.js", (script.name, call)


@pytest.mark.parametrize("strips", [True, False], ids=["prefix taken off", "prefix left on"])
def test_every_page_is_there_behind_a_proxy(place: Place, strips: bool) -> None:
    options = ("--root-path", PREFIX + "/", "--allow-host", HUB)
    with serving(place, *options) as behind, proxy(behind.port, strips=strips) as port:
        token = behind.headers["token"]
        hub = Pages(place, port)
        assert hub.ask("GET", f"{PREFIX}/", Host=HUB)[0] == 401
        assert hub.ask("GET", f"{PREFIX}/?token={token}", Host=HUB)[0] == 303
        cookie, *about = hub.headers["set-cookie"].split("; ")
        assert f"Path={PREFIX}" in about
        asked = {"Host": HUB, "Cookie": cookie}
        assert hub.ask("GET", f"{PREFIX}/", **asked)[0] == 303
        assert urljoin(f"{PREFIX}/", hub.headers["location"]) == f"{PREFIX}/who"
        own = {**asked, "Origin": f"https://{HUB}"}
        assert hub.ask("POST", f"{PREFIX}/annotator", {"name": "ada"}, **own)[0] == 200
        assert f"Path={PREFIX}" in hub.headers["set-cookie"]
        asked["Cookie"] += "; " + hub.headers["set-cookie"].partition(";")[0]
        seen = walk(hub, f"{PREFIX}/", **asked)
        assert all(path.startswith(PREFIX) for path in seen)
        (frame, *_) = place.rows("SELECT id FROM images")
        (failed,) = place.rows("SELECT id FROM files WHERE status = 'failed'")
        for path in ("/static/page.js", "/static/label.js", "/gallery", f"/failures/{failed}", "/overview"):
            assert PREFIX + path in seen, path
        body = {"annotator": "ada", "frame": frame, "label": "normal"}
        assert hub.ask("POST", f"{PREFIX}/label", body, **own)[0] == 200
        for origin in ("https://evil.example", f"https://{HUB}:8443", f"http://{HUB}.evil.example", "null"):
            assert hub.ask("POST", f"{PREFIX}/label", body, **asked, Origin=origin)[0] == 403, origin
        assert hub.ask("GET", f"{PREFIX}/", Host="evil.example", Cookie=cookie)[0] == 421


def test_a_proxy_that_writes_its_own_host(place: Place) -> None:
    """As nginx does unless it is told otherwise: the browser has to say that the page is one of these."""
    with serving(place, "--allow-host", HUB) as behind:
        bearer = {"Authorization": f"Bearer {behind.headers['token']}"}
        with proxy(behind.port, strips=True, host=lambda _: f"127.0.0.1:{behind.port}") as port:
            hub, body = Pages(place, port), {"annotator": "ada"}
            asked = {"Host": HUB, "Origin": f"https://{HUB}", **bearer}
            assert hub.ask("POST", f"{PREFIX}/undo", body, **asked, Sec_Fetch_Site="same-origin")[0] == 200
            assert hub.ask("POST", f"{PREFIX}/undo", body, **asked)[0] == 403
            evil = {**asked, "Origin": "https://evil.example"}
            assert hub.ask("POST", f"{PREFIX}/undo", body, **evil, Sec_Fetch_Site="same-origin")[0] == 403


def test_the_prefix_without_a_slash_leads_to_the_pages(place: Place) -> None:
    with serving(place, "--root-path", "/a/b") as pages:
        assert pages.ask("GET", "/a/b")[0] == 303
        assert urljoin("/a/b", pages.headers["location"]) == "/a/b/"
        assert pages.ask("GET", "/a/bc")[0] == 404
        for path in ("/", "/a/b/"):  # at the port itself, and behind the proxy
            assert pages.ask("GET", path)[0] == 200


@pytest.mark.parametrize("text", ["a/b", "/a?b", "/a#b", "//x.org", "/a/../b", "/a b", "http://x/a", "/a\n", "/%2e%2e"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--root-path"):
        clean_root_path(text)


@pytest.mark.parametrize("text", ["", "http://x.org", "x.org/a", "*", "*.x.org", "a b", "x.org:port", "u@x.org", "[x]"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--allow-host"):
        parse_host(text)


@pytest.mark.parametrize(
    ("given", "host", "is_own"),
    [
        (HUB, HUB, True),
        (HUB, "HUB.Example.org.", True),
        (HUB, f"{HUB}:443", True),
        (HUB, f"{HUB}:8443", False),
        (HUB, f"{HUB}.evil.example", False),
        (HUB, "192.0.2.1", False),
        (HUB, "192.0.2.1:5001", False),
        (f"{HUB}:8443", f"{HUB}:8443", True),
        (f"{HUB}:8443", HUB, False),
        ("bücher.example", "xn--bcher-kva.example", True),
        ("[2001:db8::1]:8443", "[2001:db8::1]:8443", True),
    ],
)
def test_a_name_is_allowed_with_its_port(given: str, host: str, is_own: bool) -> None:
    address = ServerAddress(allowed=frozenset([parse_host(given)]))
    assert (address.is_own_host(host), address.is_local) == (is_own, False)


def test_mistakes_are_said_before_anything_is_served(place: Place) -> None:
    for options in (("--root-path", "a"), ("--allow-host", "http://x")):
        done = cli(place.base, "label", "--db", place.db, *options)
        assert (done.returncode, options[0] in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_one_port_after_the_other_shows_no_picture_of_the_other(tmp_path: Path) -> None:
    """A browser keeps pictures by their address; another data set has the same numbers, and other pictures."""
    etag, cookies = "", set()
    for name, seed in (("knees", 1), ("hands", 50)):
        place = Place(tmp_path / name)
        make_files(place.source, "a.dcm", seed=seed)
        place.run()
        with serving(place, port=0) as pages:
            (item,) = pages.post("/next", limit=1)["items"]
            address = f"/image/{item['id']}?v="
            digest = pages.post("/next", held=[item["id"]], limit=1)["digests"][str(item["id"])]
            assert pages.ask("GET", f"{address}{digest}", If_None_Match=etag)[0] == 200  # not: what you have is right
            assert pages.headers["cache-control"] == "private, no-cache"
            if etag:
                assert pages.ask("GET", f"{address}{etag.strip(chr(34))}")[0] == 404
            etag = f'"{digest}"'
            assert pages.ask("GET", f"/image/{item['id']}", If_None_Match=etag)[0] == 200
            assert pages.headers["cache-control"] == "no-store"
            html = pages.ask("GET", f"/frame/{item['id']}")[1].decode()
            assert set(re.findall(r'src="\.\./image/\d+\?v=(\w*)"', html)) == {digest}
            assert f" · {place.db.stem} · dicomprep</title>" in html
            pages.ask("POST", "/annotator", {"name": "anna"}, Origin=pages.origin)
            cookies.add(re.sub(r"_\d+_", "_PORT_", pages.headers["set-cookie"].partition("=")[0]))
    assert len(cookies) == 2  # both may lie behind tunnels of one host


@IN_CHROMIUM[0]
@IN_CHROMIUM[1]
@pytest.mark.parametrize("strips", [True, False], ids=["prefix taken off", "prefix left on"])
def test_labeling_behind_a_proxy(place: Place, opened: Opened, strips: bool) -> None:
    options = () if strips else ("--root-path", PREFIX)  # a prefix that is taken off need not be known
    with serving(place, *options) as behind, proxy(behind.port, strips=strips) as port:
        page = opened(f"http://localhost:{port}{PREFIX}/")
        page.wait_for_selector("#stage img[data-state=ready], #stage canvas")
        before = len(place.rows("SELECT id FROM labels"))
        with page.expect_response("**/label") as answered:
            page.keyboard.press("1")
        assert answered.value.status == 200
        page.wait_for_timeout(100)  # until the page has heard of it
        page.goto(f"http://localhost:{port}{PREFIX}/gallery")
        page.wait_for_selector(".tile img")
        assert len(place.rows("SELECT id FROM labels")) == before + 1
        page.click(".tile >> nth=0")
        page.wait_for_selector("#stage img[data-state=ready], #stage canvas")
        assert urlsplit(page.url).path == f"{PREFIX}/"
        page.goto(f"http://localhost:{port}{PREFIX}/original/{place.rows('SELECT id FROM images')[0]}")
        page.wait_for_function("() => document.querySelector('.readout')?.textContent")
        page.close()  # before what it talks to
