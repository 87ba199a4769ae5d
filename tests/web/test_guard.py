"""Whom the pages answer: every route under every host name and origin, with and without the token."""

import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from starlette.routing import Mount, Route

from dicomprep.web.application import create_application
from dicomprep.web.guard import ServerAddress
from dicomprep.web.site import LabelSettings, PageContext
from tests.pages import Pages, serving
from tests.running import Place, make_files

STATIC = ["/static/label.js", "/static/pages.css", "/nowhere"]


def find_routes(place: Place) -> tuple[list[str], list[str]]:
    """What is read and what is written, of every route that the application has: those of tomorrow as well."""
    context = PageContext(place.workspace, LabelSettings(), ServerAddress())
    try:
        routes = create_application(context).app.routes
    finally:
        context.close()
    flat = {route.path: route.methods for route in routes if isinstance(route, Route)}
    assert all(isinstance(route, Route) or (isinstance(route, Mount) and route.path == "/static") for route in routes)
    paths = {re.sub(r"\{\w+:id\}", "1", path): methods for path, methods in flat.items()}
    assert not [path for path in paths if "{" in path]
    written = [path for path, methods in paths.items() if "POST" in methods]
    assert {"/label", "/undo", "/failures/retry"} <= set(written)
    return [*(path for path in paths if path not in written), *STATIC], written


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("guard"))
    make_files(place.source, "a.dcm", "b.dcm")
    place.run()
    return place


@pytest.fixture(scope="module")
def routes(place: Place) -> tuple[list[str], list[str]]:
    return find_routes(place)


@pytest.fixture(scope="module")
def read(routes: tuple[list[str], list[str]]) -> list[str]:
    return routes[0]


@pytest.fixture(scope="module")
def written(routes: tuple[list[str], list[str]]) -> list[str]:
    return routes[1]


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
        ("127.0.0.1:5002", True),
        ("127.0.0.1", True),
        ("localhost", True),
        ("localhost:8000", True),
        ("[::1]:8000", True),
        ("[::1]", True),
        ("LocalHost:8000", True),
        ("localhost.:8000", True),
        ("localhost:", False),
        ("localhost:8000x", False),
        ("localhost:8000, evil.example", False),
        ("localhost:8000/evil.example", False),
        ("localhost..:8000", False),
        ("localhost.localdomain:8000", False),
        ("::1:8000", False),
        ("[::1:8000", False),
        ("[fe80::1]:5001", False),
        ("[localhost]:5001", False),
        (" localhost:5001", False),
        ("evil.example:8000", False),
        ("192.0.2.1:8000", False),
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
    assert ServerAddress().is_own_host(host) is is_own


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("192.0.2.1:5001", True),
        ("[2001:db8::1]:5001", True),
        ("localhost:5001", True),
        ("localhost:8000", True),
        (f"{socket.gethostname()}:5001", True),
        (f"{socket.gethostname().upper()}.:5001", True),
        ("evil.example:5001", False),
        ("192.0.2.1.evil.example:5001", False),
        ("192.0.2.1:80", False),
        ("", False),
    ],
)
def test_open_pages_answer_to_addresses_which_no_name_can_be_bound_to(host: str, is_own: bool) -> None:
    assert ServerAddress("0.0.0.0", 5001, "t" * 24).is_own_host(host) is is_own


def test_every_route_refuses_another_host(pages: Pages, read: list[str], written: list[str]) -> None:
    own = f"127.0.0.1:{pages.port}"
    for host in ("evil.example", f"evil.example:{pages.port}", "192.0.2.1", f"0.0.0.0:{pages.port}", "", f"[::1]{own}"):
        for path in read:
            assert pages.ask("GET", path, Host=host)[0] == 421, (host, path)
        for path in written:
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
        {"Origin": "http://127.0.0.1:1", "Sec_Fetch_Site": "same-site"},
        {"Origin": "http://localhost:1", "Sec_Fetch_Site": "cross-site"},
        {"Origin": "http://evil.example", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "http://evil.example:{port}", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "file://localhost", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "null", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "http://localhost:8000"},
        {"Host": "localhost:8000", "Origin": "http://127.0.0.1:{port}"},
        {"Host": "localhost:8000", "Origin": "http://localhost:8001", "Sec_Fetch_Site": "same-site"},
    ],
)
def test_nothing_is_written_for_another_origin(pages: Pages, written: list[str], headers: dict[str, str]) -> None:
    before = pages.place.tables("labels", "classes", "passed", "reservations")
    headers = {name: value.format(port=pages.port) for name, value in headers.items()}
    for path in written:
        body = {"annotator": "me", "frame": 1, "label": "normal", "name": "x"}
        assert pages.ask("POST", path, body, **headers)[0] == 403, path
    assert pages.place.tables("labels", "classes", "passed", "reservations") == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:8000", "Origin": "http://localhost:8000"},
        {"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000", "Sec_Fetch_Site": "same-origin"},
        {"Host": "[::1]:8000", "Origin": "http://[::1]:8000"},
        {"Host": "LOCALHOST:8000", "Origin": "http://localhost:8000"},
        {"Host": "localhost", "Origin": "http://localhost"},
        {"Origin": "http://localhost:8000", "Sec_Fetch_Site": "same-origin"},  # a proxy that writes its own Host
        {"Origin": "https://localhost:8443", "Sec_Fetch_Site": "same-origin"},
    ],
)
def test_a_label_comes_through_a_tunnel_with_another_port(pages: Pages, headers: dict[str, str]) -> None:
    host = headers.get("Host", f"127.0.0.1:{pages.port}")
    assert pages.ask("GET", "/", Host=host)[0] == 200
    before = len(pages.place.rows("SELECT id FROM labels"))
    body = {"annotator": "far", "frame": 1, "label": "normal"}
    assert pages.ask("POST", "/label", body, **headers)[0] == 200
    assert len(pages.place.rows("SELECT id FROM labels")) == before + 1
    assert pages.ask("POST", "/undo", {"annotator": "far"}, **headers)[0] == 200


@pytest.mark.parametrize(
    ("request_line", "hosts", "status"),
    [
        ("GET {own}/progress HTTP/1.1", ["{host}"], 200),
        ("GET http://localhost:8000/progress HTTP/1.1", ["localhost:8000"], 200),
        ("GET {own} HTTP/1.1", ["{host}"], 200),
        ("GET http://evil.example/progress HTTP/1.1", ["{host}"], 421),
        ("GET {own}/progress HTTP/1.1", ["evil.example"], 421),
        ("GET http://evil.example@{host}/progress HTTP/1.1", ["{host}"], 421),
        ("GET /progress HTTP/1.0", [], 421),
        ("GET /progress HTTP/1.1", [], 400),
        ("GET /progress HTTP/1.1", ["{host}", "evil.example"], 400),
        ("GET /image/http://evil.example HTTP/1.1", ["{host}"], 404),
    ],
)
def test_a_host_counts_wherever_it_stands(pages: Pages, request_line: str, hosts: list[str], status: int) -> None:
    names = {"own": pages.origin, "host": f"127.0.0.1:{pages.port}"}
    lines = [request_line, *(f"Host: {host}" for host in hosts), "Connection: close", "", ""]
    with socket.create_connection(("127.0.0.1", pages.port), timeout=30) as connection:
        connection.sendall("\r\n".join(lines).format(**names).encode())
        answer = connection.makefile("rb").read()
    assert int(answer.split()[1]) == status
    assert status == 400 or b"content-security-policy" in answer


def test_reading_never_writes_and_writing_is_never_read(pages: Pages, written: list[str]) -> None:
    for path in written:
        assert pages.ask("GET", path)[0] in (404, 405), path
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert pages.ask(method, "/label", Origin=pages.origin)[0] == 405


def test_every_answer_has_strict_headers(pages: Pages, read: list[str]) -> None:
    for path in read:
        pages.ask("GET", path)
        policy = pages.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert pages.headers["x-content-type-options"] == "nosniff"
        assert pages.headers["cross-origin-resource-policy"] == "same-origin"
        assert pages.headers["referrer-policy"] == "no-referrer"


def test_no_page_has_inline_script_or_style_or_anything_from_elsewhere(pages: Pages, read: list[str]) -> None:
    for path in read:
        status, content = pages.ask("GET", path)
        if status != 200 or not pages.headers["content-type"].startswith("text/html"):
            continue
        html = content.decode()
        inline = r"<script(?![^>]*\bsrc=\"[./]+/static/)|<style|\sstyle=|\son\w+=|javascript:"
        assert not re.search(inline, html, re.I), path
        assert not re.search(r"(?:src|href|action)=\"(?:\w+:|/)", html), path


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
        "/original/99/stack",
        "/original/1/stack?v=00",
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


def test_another_address_needs_the_token_on_every_route(place: Place, read: list[str], written: list[str]) -> None:
    with serving(place, "--host", "127.0.0.2", host="127.0.0.2") as pages:
        token, cookie = pages.headers["token"], f"dicomprep_token_{pages.port}"
        for path in read:
            assert pages.ask("GET", path)[0] == 401, path
            for given in ({"Cookie": f"{cookie}=x"}, {"Authorization": "Bearer x"}, {"Cookie": cookie}):
                assert pages.ask("GET", path, **given)[0] == 401, (path, given)
        for path in written:
            assert pages.ask("POST", path, {}, Origin=pages.origin)[0] == 401, path
        assert pages.ask("POST", f"/undo?token={token}", {"annotator": "me"}, Origin=pages.origin)[0] == 401
        assert pages.ask("GET", f"/who?token={token}&annotator=x")[0] == 303
        assert pages.headers["location"] == "./who?annotator=x"
        kept = pages.headers["set-cookie"]
        assert (token in kept, "HttpOnly" in kept, "samesite=strict" in kept.lower()) == (True, True, True)
        for given in ({"Cookie": f"{cookie}={token}"}, {"Authorization": f"Bearer {token}"}):
            assert pages.ask("GET", "/image/1", **given)[0] == 200
            assert pages.ask("GET", "/image/1", Host=f"evil.example:{pages.port}", **given)[0] == 421
            assert pages.ask("POST", "/undo", {"annotator": "me"}, Origin="http://evil.example", **given)[0] == 403
        assert pages.ask("GET", "/", Cookie=f"{cookie}={token}")[0] == 303  # who is it that labels?
        assert pages.headers["location"] == "./who"
