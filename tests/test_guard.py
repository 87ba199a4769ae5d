"""Whom the pages answer: every route under every host name and origin, with and without the token."""

import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from dicomprep.web.guard import Door
from tests.pages import Pages, serving
from tests.running import Place, make_files

READ = [
    "/",
    "/who",
    "/image/1",
    "/progress",
    "/original/1",
    "/original/1/pixels",
    "/original/1/tags",
    "/gallery",
    "/gallery/tiles",
    "/gallery/count",
    "/frame/1",
    "/failures",
    "/failures/1",
    "/overview",
    "/agreement",
    "/static/label.js",
    "/static/pages.css",
    "/nowhere",
]
WRITTEN = ["/next", "/leave", "/label", "/undo", "/skip", "/classes", "/annotator", "/failures/retry"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("guard"))
    make_files(place.source, "a.dcm", "b.dcm")
    place.run()
    return place


@pytest.fixture(scope="module")
def pages(place: Place) -> Iterator[Pages]:
    with serving(place) as pages:
        yield pages


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1:5001", True),
        ("localhost:5001", True),
        ("[::1]:5001", True),
        ("127.0.0.1:5002", False),
        ("127.0.0.1", False),
        ("localhost", False),
        ("", False),
        (None, False),
        (":5001", False),
        ("evil.example:5001", False),
        ("127.0.0.1.evil.example:5001", False),
        ("localhost.evil.example:5001", False),
        ("evil@127.0.0.1:5001", False),
        ("127.0.0.1:5001@evil.example", False),
        ("127.0.0.1:5001:5001", False),
        ("192.0.2.1:5001", False),
        ("0.0.0.0:5001", False),
        ("2130706433:5001", False),
        (f"{socket.gethostname()}:5001", False),
    ],
)
def test_only_the_own_names_are_own(host: str | None, is_own: bool) -> None:
    assert Door().is_own(host) is is_own


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("192.0.2.1:5001", True),
        ("[2001:db8::1]:5001", True),
        ("localhost:5001", True),
        (f"{socket.gethostname()}:5001", True),
        ("evil.example:5001", False),
        ("192.0.2.1.evil.example:5001", False),
        ("192.0.2.1:80", False),
        ("", False),
    ],
)
def test_open_pages_answer_to_addresses_which_no_name_can_be_bound_to(host: str, is_own: bool) -> None:
    assert Door("0.0.0.0", 5001, "t" * 24).is_own(host) is is_own


def test_every_route_refuses_another_host(pages: Pages) -> None:
    own = f"127.0.0.1:{pages.port}"
    for host in ("evil.example", f"evil.example:{pages.port}", "127.0.0.1", "localhost:1", "", f"[::1]{own}"):
        for path in READ:
            assert pages.ask("GET", path, Host=host)[0] == 421, (host, path)
        for path in WRITTEN:
            assert pages.ask("POST", path, {}, Host=host, Origin=f"http://{host}")[0] == 421, (host, path)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:{port}"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "cross-site"},
        {"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-site"},
        {"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "none"},
        {"Referer": "http://127.0.0.1:{port}/"},
    ],
)
def test_nothing_is_written_for_another_origin(pages: Pages, headers: dict[str, str]) -> None:
    before = pages.place.tables("labels", "classes", "passed", "reservations")
    headers = {name: value.format(port=pages.port) for name, value in headers.items()}
    for path in WRITTEN:
        body = {"annotator": "me", "frame": 1, "label": "normal", "name": "x"}
        assert pages.ask("POST", path, body, **headers)[0] == 403, path
    assert pages.place.tables("labels", "classes", "passed", "reservations") == before


def test_reading_never_writes_and_writing_is_never_read(pages: Pages) -> None:
    for path in WRITTEN:
        assert pages.ask("GET", path)[0] in (404, 405), path
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert pages.ask(method, "/label", Origin=pages.origin)[0] == 405


def test_every_answer_has_strict_headers(pages: Pages) -> None:
    for path in READ:
        pages.ask("GET", path)
        policy = pages.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert pages.headers["x-content-type-options"] == "nosniff"
        assert pages.headers["cross-origin-resource-policy"] == "same-origin"
        assert pages.headers["referrer-policy"] == "no-referrer"


def test_no_page_has_inline_script_or_style_or_anything_from_elsewhere(pages: Pages) -> None:
    for path in READ:
        status, content = pages.ask("GET", path)
        if status != 200 or not pages.headers["content-type"].startswith("text/html"):
            continue
        html = content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=\"/static/)|<style|\sstyle=|\son\w+=|javascript:", html, re.I), path
        assert not re.search(r"(?:src|href|action)=\"(?:\w+:|//)", html), path


@pytest.mark.parametrize(
    "path",
    [
        "/image/99",
        "/image/0",
        "/image/-1",
        "/image/x",
        "/image/1.png",
        "/image/../x.db",
        "/image/..%2f..%2fx.db",
        "/image/%2e%2e/x.db",
        "/image//etc/passwd",
        "/image/1/../../x.db",
        "/image/99999999999999999999999",
        "/static/../application.py",
        "/static/..%2fapplication.py",
        "/static/%2e%2e/serve.py",
        "/static//etc/passwd",
        "/original/99",
        "/original/99/pixels",
        "/original/99/tags",
        "/original/../1",
        "/original/1/pixels?frame=1",
        "/frame/99",
        "/failures/99",
        "/x.db",
        "/out/a.png",
    ],
)
def test_nothing_but_what_has_an_id_is_served(pages: Pages, path: str) -> None:
    assert pages.ask("GET", path)[0] == 404


def test_an_image_that_is_recorded_outside_the_output_is_not_served(pages: Pages) -> None:
    (frame, place), *_ = pages.place.rows("SELECT id, thumbnail_path FROM images")
    (pages.place.output / "link.png").symlink_to(pages.place.db)
    for evil in ("../x.db", str(pages.place.db), "link.png", "in/../../x.db"):
        with closing(sqlite3.connect(pages.place.db, timeout=30)) as connection, connection:
            connection.execute("UPDATE frames SET thumbnail_path = ? WHERE id = ?", (evil, frame))
        assert pages.ask("GET", f"/image/{frame}")[0] == 404, evil
    with closing(sqlite3.connect(pages.place.db, timeout=30)) as connection, connection:
        connection.execute("UPDATE frames SET thumbnail_path = ? WHERE id = ?", (place, frame))
    (pages.place.output / "link.png").unlink()


def test_another_address_needs_the_token_on_every_route(place: Place) -> None:
    with serving(place, "--host", "127.0.0.2", host="127.0.0.2") as pages:
        token, cookie = pages.headers["token"], f"dicomprep_token_{pages.port}"
        for path in READ:
            assert pages.ask("GET", path)[0] == 401, path
            for given in ({"Cookie": f"{cookie}=x"}, {"Authorization": "Bearer x"}, {"Cookie": cookie}):
                assert pages.ask("GET", path, **given)[0] == 401, (path, given)
        for path in WRITTEN:
            assert pages.ask("POST", path, {}, Origin=pages.origin)[0] == 401, path
        assert pages.ask("POST", f"/undo?token={token}", {"annotator": "me"}, Origin=pages.origin)[0] == 401
        assert pages.ask("GET", f"/who?token={token}&annotator=x")[0] == 303
        assert pages.headers["location"] == "/who?annotator=x"
        kept = pages.headers["set-cookie"]
        assert (token in kept, "HttpOnly" in kept, "samesite=strict" in kept.lower()) == (True, True, True)
        for given in ({"Cookie": f"{cookie}={token}"}, {"Authorization": f"Bearer {token}"}):
            assert pages.ask("GET", "/image/1", **given)[0] == 200
            assert pages.ask("GET", "/image/1", Host=f"evil.example:{pages.port}", **given)[0] == 421
            assert pages.ask("POST", "/undo", {"annotator": "me"}, Origin="http://evil.example", **given)[0] == 403
        assert pages.ask("GET", "/", Cookie=f"{cookie}={token}")[0] == 303  # who is it that labels?
        assert pages.headers["location"] == "/who"
