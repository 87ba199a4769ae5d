"""Connections of those who do not ask, ask for ever, or never take their answer; and a server that comes back."""

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import uvicorn

from dicomprep.web import thumbnails
from dicomprep.web.connections import ConnectionLimits
from dicomprep.web.guard import HEADERS, ServerAddress
from dicomprep.web.token import load_token
from tests.hostile.serving_pages import served_pages
from tests.pages import free_port, serving
from tests.running import Place, make_files, wait_until

HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
WHOLE = b"GET /progress HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
POST = b"POST /next HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nContent-Length: 900\r\n\r\n"
QUICK = ConnectionLimits(request_seconds=0.3, body_seconds=0.3, unread_seconds=0.3)
PATIENT = ConnectionLimits(request_seconds=60, body_seconds=60, per_peer=6, total=9)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("connections"))
    make_files(place.source, "a.dcm", "b.dcm")
    place.run()
    return place


@pytest.fixture(scope="module")
def quick(place: Place) -> Iterator[tuple[int, uvicorn.Server]]:
    with running(place, QUICK) as served:
        yield served


@contextmanager
def running(place: Place, bounds: ConnectionLimits) -> Iterator[tuple[int, uvicorn.Server]]:
    address = ServerAddress(port=free_port())
    with served_pages(place, bounds, address) as server:
        yield address.port, server


@contextmanager
def opened(port: int, said: bytes = b"", host: str = "127.0.0.1") -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(host, 0))) as connection:
        connection.sendall(said)
        yield connection


def heard(connection: socket.socket) -> bytes:
    """All that comes until the other side ends it."""
    pieces = []
    try:
        while piece := connection.recv(2**16):
            pieces.append(piece)
    except ConnectionError:
        pass
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"", b""),
        (b"G", b"408"),
        (HALF, b"408"),
        (POST, b"408"),
        (POST + b"{", b"408"),
        (WHOLE, b"200"),  # and then nothing: it is not kept open for ever
        (WHOLE + HALF, b"200"),
        (b"GET /progress HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n", b"200"),
        (POST.replace(b"Content-Length: 900", b"Transfer-Encoding: chunked") + b"5\r\n{", b"408"),
    ],
)
def test_who_does_not_ask_to_the_end_is_not_waited_for(
    quick: tuple[int, uvicorn.Server], said: bytes, status: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    port, server = quick
    with opened(port, said) as connection:
        answer = heard(connection)
        assert answer.split()[1:2] == [status] * bool(status)
        assert wait_until(lambda: not server.server_state.connections, 30)
        assert all(value in answer for value in HEADERS.values()) or not status
    assert "Traceback" not in capfd.readouterr().err


def test_a_byte_now_and_then_winds_no_clock_up(quick: tuple[int, uvicorn.Server]) -> None:
    with opened(quick[0], HALF) as headers, opened(quick[0], POST) as body:
        for connection in (headers, body):
            with pytest.raises(OSError, match=r"."):
                for _ in range(2000):
                    connection.sendall(b"x")
                    time.sleep(0.005)


def test_an_answer_that_is_not_taken_is_given_up(place: Place) -> None:
    """Also a small one: its connection would be closed, but only once it was taken."""

    async def large(_scope: object, _receive: object, send: Callable[..., object]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": b"x" * 2**20, "more_body": True})

    with running(place, QUICK) as (port, server):
        server.config.loaded_app = large
        with opened(port, WHOLE):
            assert wait_until(lambda: len(server.server_state.connections) == 1, 30)
            assert wait_until(lambda: not server.server_state.connections, 30)


def test_an_answer_that_is_taken_slowly_arrives(place: Place) -> None:
    size = 2**22

    async def large(_scope: object, _receive: object, send: Callable[..., object]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": b"x" * size})

    with running(place, ConnectionLimits(request_seconds=0.3, unread_seconds=1.0)) as (port, server):
        server.config.loaded_app = large
        with opened(port, WHOLE) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
            taken = 0
            while piece := connection.recv(2**19):
                taken += len(piece)
                time.sleep(0.005)
        assert taken > size


def test_who_waits_longest_makes_room_for_who_comes(place: Place) -> None:
    with running(place, PATIENT) as (port, server), ExitStack() as stack:
        first, *_ = [stack.enter_context(opened(port, HALF)) for _ in range(6)]
        assert wait_until(lambda: len(server.server_state.connections) == 6, 30)
        with opened(port, WHOLE) as asking:
            assert asking.recv(2**16).startswith(b"HTTP/1.1 200")
        assert heard(first) == b""
        for number in range(2, 9):  # each from another machine of this one's network
            stack.enter_context(opened(port, HALF, f"127.0.0.{number}"))
        with opened(port, WHOLE, "127.0.0.9") as asking:
            assert asking.recv(2**16).startswith(b"HTTP/1.1 200")
            assert len(server.server_state.connections) == PATIENT.total


def test_more_than_there_are_descriptors_keep_nobody_out(place: Place) -> None:
    """1,030 of them kept everybody out of a process that may have 1,024."""
    with serving(place, "--host", "127.0.0.2", host="127.0.0.2") as pages, ExitStack() as stack:
        token = pages.headers["token"]
        for _ in range(1030):
            connection = stack.enter_context(closing(socket.socket()))
            connection.setblocking(False)
            connection.connect_ex((pages.host, pages.port))
        for _ in range(5):
            assert (
                asked_as_browsers_do(lambda: pages.ask("GET", "/progress", Authorization=f"Bearer {token}")[0]) == 200
            )


def asked_as_browsers_do(ask: Callable[[], int]) -> int:
    """A connection that is reset before an answer began is tried once more."""
    try:
        return ask()
    except ConnectionResetError:
        return ask()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 2**21, b"431"),
        (b"GET /" + b"x" * 2**21, b"431"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: x\r\n" * 2**17, b"431"),
        (b"\x16\x03\x01\x02\x00\x01", b"400"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: rot13\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX\x00: x\r\n\r\n", b"400"),
        (b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"400"),
        (POST.replace(b"Content-Length: 900", b"Transfer-Encoding: chunked") + b"zz\r\n", b"400"),
        (b"CONNECT / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"405"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", b"200"),
    ],
)
def test_what_is_no_request_is_answered_with_strict_headers(
    quick: tuple[int, uvicorn.Server], said: bytes, status: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with opened(quick[0]) as connection:
        try:
            connection.sendall(said)
        except ConnectionError:
            pass  # it has heard enough
        else:
            answer = heard(connection)
            assert answer.split()[1] == status or not answer
            assert all(name + b": " + value in answer for name, value in HEADERS.items()) or not answer
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("path", ["//elsewhere", "//elsewhere/..%2f", "/%2felsewhere", "/\\elsewhere", "/%5celsewhere"])
@pytest.mark.parametrize("rest", ["", "/", "/gallery", "/gallery/", "/%2e%2e"])
def test_nobody_is_led_elsewhere(
    quick: tuple[int, uvicorn.Server], path: str, rest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, server = quick
    for asked, token in ((path + rest, None), (path + rest, "t" * 32), (rest + "/", None)):
        monkeypatch.setattr(server.config.loaded_app, "_address", ServerAddress(port=port, token=token))
        query = f"?token={token}&v=1" if token else ""
        line = f"GET {asked}{query} HTTP/1.1\r\nHost: localhost:8000\r\nConnection: close\r\n\r\n"
        with opened(port, line.encode()) as connection:
            answer = heard(connection).decode().lower()
        places = [line.partition(":")[2].strip() for line in answer.splitlines() if line.startswith("location")]
        assert len(places) == bool(token)
        assert all(re.match(r"\.\.?/", place) for place in places)  # within the pages, wherever they are
        followed = [urlsplit(urljoin(f"http://localhost:8000{asked}", place)) for place in places]
        assert all(one.netloc == "localhost:8000" for one in followed)


# A server that comes back


def test_a_restarted_server_takes_the_labels_that_wait_in_a_browser(place: Place) -> None:
    port, tokens = free_port(), []
    for _ in range(2):
        with serving(place, "--host", "127.0.0.2", port=port, host="127.0.0.2") as pages:
            tokens.append(pages.headers["token"])
            given = {"Origin": pages.origin, "Cookie": f"dicomprep_token_{port}={tokens[0]}"}
            body = {"annotator": "me", "frame": 1, "label": "normal", "command": "waiting"}
            assert pages.ask("POST", "/label", body, **given)[0] == 200
    assert tokens[0] == tokens[1]
    kept = Path(f"{place.db}.token")
    assert (kept.stat().st_mode & 0o777, kept.read_text().split()[0]) == (0o600, tokens[0])
    assert len(place.rows("SELECT id FROM labels")) == 1


@pytest.mark.parametrize("kind", ["link", "pipe", "readable", "empty", "large", "binary", "short"])
def test_a_token_that_somebody_else_may_know_is_not_used(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "x.db.token", tmp_path / "other"
    known = "known-to-whoever-put-it-there-beforehand"
    other.write_text(known)
    other.chmod(0o600)
    if kind == "link":
        path.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(path, 0o600)
    else:
        contents = {"readable": known, "empty": "", "large": known * 100, "binary": "\0" * 40, "short": "x"}
        path.write_text(contents[kind])
        path.chmod(0o644 if kind == "readable" else 0o600)
    token, said = load_token(path)
    assert (token != known, str(path) in (said or "")) == (True, True)
    assert load_token(path) == (token, None)
    assert other.read_text() == known


def test_a_token_that_came_along_with_a_data_set_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    theirs, _ = load_token(tmp_path / "theirs" / "x.db.token")
    (tmp_path / "theirs").rename(tmp_path / "mine")
    token, said = load_token(tmp_path / "mine" / "x.db.token")
    assert (token != theirs, "created on another machine" in (said or "")) == (True, True)


def test_a_token_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    token, said = load_token(tmp_path / "nowhere" / "x.db.token")
    assert (len(token), "changes at the next start" in (said or "")) == (32, True)


def test_the_end_of_the_server_is_the_end_of_who_waits(place: Place) -> None:
    with running(place, PATIENT) as (port, server), opened(port, HALF) as half, opened(port, POST) as body:
        assert wait_until(lambda: len(server.server_state.connections) == 2, 30)
        server.should_exit = True
        assert (heard(half), heard(body)) == (b"", b"")


def test_an_answer_that_takes_too_long_holds_no_end_up(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    came, goes_on = threading.Event(), threading.Event()

    def read(*_: object, **__: object) -> bytes:
        came.set()
        goes_on.wait(60)
        return b""

    with pytest.MonkeyPatch.context() as patch, running(place, ConnectionLimits()) as (port, server):
        patch.setattr(thumbnails, "_read", read)
        with opened(port, WHOLE.replace(b"/progress", b"/image/1")) as connection:
            assert came.wait(30)
            server.should_exit = True
            answer = heard(connection)
        goes_on.set()
    assert answer.startswith(b"HTTP/1.1 503")
    assert all(name + b": " + value in answer for name, value in HEADERS.items())
    assert "Traceback" not in capfd.readouterr().err


def test_a_fault_of_ours_is_strict_too(quick: tuple[int, uvicorn.Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "_read", lambda *_: 1 / 0)
    with opened(quick[0], WHOLE.replace(b"/progress", b"/image/1")) as connection:
        answer = heard(connection)
    assert answer.startswith(b"HTTP/1.1 500")
    assert all(name + b": " + value in answer for name, value in HEADERS.items())
    assert b"ZeroDivision" not in answer
