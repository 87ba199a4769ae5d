"""Requests that nobody's page sends, to every route there is: none is a fault of the server, all answers are strict."""

import json
import random
import re
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.routing import BaseRoute, Mount, Route

import dicomprep.web
from dicomprep.database.queries.filters import Filter
from dicomprep.web.connections import ConnectionLimits
from dicomprep.web.guard import HEADERS, ServerAddress
from tests.building import make_dicom
from tests.faults.figures import keep
from tests.hostile.serving_pages import served_pages
from tests.pages import free_port
from tests.running import Place, frames_of, make_files

TOKEN = "t" * 32
QUICK = ConnectionLimits(request_seconds=0.2, body_seconds=0.2, per_peer=1000, total=1000)
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "X-1")

_SOURCES = "".join(path.read_text() for path in Path(dicomprep.web.__path__[0]).glob("*.py"))
SENT = sorted(
    {
        "frame",
        "command",
        "dataset",
        *re.findall(r"\.(?:text|text_or_none|flag|number|images|texts)\(\"(\w+)\"", _SOURCES),
    }
)
"""What bodies are asked for, found in the sources: what is asked for tomorrow is tried tomorrow."""
ASKED = sorted(
    {
        *re.findall(r"query_params\.get\(\"(\w+)\"", _SOURCES),
        *re.findall(r"query_number\(request, \"(\w+)\"", _SOURCES),
        *(field.name for field in fields(Filter)),
    }
)

GOOD: dict[str, Sequence[object]] = {
    "annotator": ("me", "anna", "Ünal", "李"),
    "frame": (1, 2, 3),
    "label": ("normal", "abnormal", None),
    "held": ([], [1], [1, 2]),
    "limit": (1, 8),
    "command": (None, None, "a1", "b2"),
    "name": ("third",),
    "code": ("nonsense",),
}
ODD_NUMBERS = (0, -1, 2**31, 2**63 - 1, 2**63, 2**64, 10**40, -(2**63), 1.5, 1e308, True, 24, 10**6)
ODD_TEXTS = (
    "", " ", "abc", "NaN", "1e999", "0x1", "१", "\0", "a\0b", "\ud800", "\uffff", "a" * 5000, "<script>",
    "' OR 1=1 --", "%00", "../../x.db", "\u202e", "a,b", "\r\nSet-Cookie: x=1", "🩻" * 60, "1" * 18, "9" * 19, "-1",
    "+1", "1_0", "\\\\host\\x",
)  # fmt: skip
ODD_VALUES = (
    *ODD_NUMBERS, *ODD_TEXTS, None, [], {}, [[]], [1, "2"], [2**70], [None], [True], [1] * 101, {"a": {"b": []}},
)  # fmt: skip
RAW_BODIES = (
    b"", b"null", b"[]", b"1", b'"x"', b"{", b"}", b"[" * 60_000, b'{"a":' * 10_000, b'{"annotator": NaN}',
    b'{"limit": Infinity}', b'{"limit": -Infinity}', b'{"annotator": "\xff\xfe"}', b"\xff\xfe{\0}\0", b"\0" * 100,
    b'{"annotator": "me", "annotator": "you"}', b'{"annotator": "me", "limit": ' + b"9" * 5000 + b"}",
    b'{"annotator": "' + b"x" * 70_000 + b'"}', b'\xef\xbb\xbf{"annotator": "me"}', b"annotator=me&frame=1",
    b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--x--", b'{"annotator": "me"} {}',
    b'{"annotator": "\\ud800"}',
)  # fmt: skip
ODD_TAILS = (
    "/", "//", "/..", "/../..", "/.", ";x", "%00", "%2f", "%2e%2e%2f", "%", "%zz", "%ff", "%ed%a0%80", "\\",
    "/" + "x" * 4000, "?", "%0a", "~",
)  # fmt: skip
ODD_HEADS = (
    "/", "//elsewhere", "/\\elsewhere", "/%2felsewhere", "/.", "/..", "http://localhost", "http://elsewhere", "*",
    "x",
)  # fmt: skip
ODD_HEADERS = (
    ("Host", "elsewhere"), ("Host", ""), ("Host", "[::1"), ("Host", "[1.2.3.4]:5001"), ("Host", "localhost:99999"),
    ("Origin", "null"), ("Origin", "http://[::1"), ("Origin", ""), ("Sec-Fetch-Site", "cross-site"),
    ("Content-Type", "text/html"), ("Content-Type", "\xff/\xfe"),
    ("Content-Type", "application/x-www-form-urlencoded"), ("Content-Type", "multipart/form-data; boundary=x"),
    ("Content-Length", "-1"), ("Content-Length", "9" * 30), ("Content-Length", "x"),
    ("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "gzip"), ("Range", "bytes=0-"), ("Range", "bytes=-1"),
    ("Range", "bytes=9-1,1-9"), ("Range", "bytes=" + "0-0," * 2000), ("Range", "x=\xff"), ("If-Range", "x"),
    ("If-None-Match", "*"), ("If-None-Match", '"' * 99), ("If-Modified-Since", "Thu, 99 Foo 99999 99:99:99 GMT"),
    ("If-Modified-Since", "\xff"), ("If-Modified-Since", "1"),
    ("Cookie", "\xff\xfe=\xff; a; =; dicomprep_annotator=%ff"), ("Cookie", "=" * 4000),
    ("Authorization", "Bearer \xff"), ("Authorization", "Basic x"), ("X-Forwarded-For", "elsewhere"),
    ("X-Forwarded-Proto", "javascript"), ("Upgrade", "websocket"), ("Connection", "upgrade"),
    ("Expect", "100-continue"), ("Accept-Encoding", "gzip;q=x"), ("X", "x" * 20_000), ("Te", "trailers"),
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("requests"))
    make_files(place.source, "a.dcm", "b.dcm")
    make_dicom(place.source / "cine.dcm", frames_of(3), patient_id="Cine")
    (place.source / "cut.dcm").write_bytes((place.source / "a.dcm").read_bytes()[:-2000])
    place.run()
    return place


class Fuzzer:
    """Makes requests of the routes of an application, each wrong in a few ways, or in none."""

    def __init__(self, routes: Sequence[BaseRoute], address: ServerAddress, *, seed: int) -> None:
        self._routes = list(_flat(routes))
        self._address = address
        self._chance = random.Random(seed)

    def requests(self, count: int) -> Iterator[tuple[str, bytes]]:
        """(path of the route, what is sent)."""
        for number in range(count):
            path, methods = self._routes[number % len(self._routes)]
            yield path, self._request(path, "POST" if "POST" in methods else "GET")

    def _is_odd(self, share: float) -> bool:
        return self._chance.random() < share

    def _request(self, path: str, method: str) -> bytes:
        chance, own = self._chance, f"{self._address.host}:{self._address.port}"
        if self._is_odd(0.05):
            method = chance.choice(METHODS)
        body = self._body() if method == "POST" or self._is_odd(0.05) else b""
        headers = [("Host", own), ("Origin", f"http://{own}"), ("Content-Type", "application/json")]
        headers += [("Content-Length", str(len(body)))] * bool(body)
        if self._address.token and not self._is_odd(0.1):
            headers.append(("Authorization", f"Bearer {self._address.token}"))
        for name, value in chance.choices(ODD_HEADERS, k=chance.choice((0, 0, 0, 0, 1, 2))):
            headers = [pair for pair in headers if pair[0] != name or self._is_odd(0.1)] + [(name, value)]
        lines = [f"{method} {self._target(path)} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1", "replace") + body

    def _target(self, path: str) -> str:
        chance = self._chance
        target = re.sub(r"\{[^}]*\}", lambda found: self._identity(found[0]), path)
        if self._is_odd(0.1):
            target += chance.choice(ODD_TAILS)
        if self._is_odd(0.1):
            target = chance.choice(ODD_HEADS) + target
        names = chance.choices([*ASKED, "token", "x"], k=chance.choice((0, 0, 1, 1, 2, 4)))
        asked = "&".join(f"{name}={self._asked()}" for name in names)
        return f"{target}?{asked}" if asked else target

    def _identity(self, parameter: str) -> str:
        if self._is_odd(0.7):
            return "label.js" if parameter == "{file}" else str(self._chance.randint(1, 5))
        return quote(str(self._chance.choice((*ODD_NUMBERS, *ODD_TEXTS))).encode("utf-8", "surrogatepass"), safe="")

    def _asked(self) -> str:
        value = self._chance.choice(
            (
                *ODD_NUMBERS,
                *ODD_TEXTS,
                "1",
                "1",
                "2",
                "normal",
                "CT",
                "train",
                "labelled",
                "%",
                "%zz",
                "%ff",
                "&&",
                "=",
                "a+b",
                ";",
            )
        )
        text = str(value)
        return (
            text
            if text.isascii() and text.isprintable() and " " not in text
            else quote(text.encode("utf-8", "surrogatepass"))
        )

    def _body(self) -> bytes:
        chance = self._chance
        if self._is_odd(0.15):
            return chance.choice(RAW_BODIES)
        values = {name: chance.choice(GOOD[name]) for name in GOOD if self._is_odd(0.9)}
        for name in chance.choices(SENT, k=chance.choice((0, 1, 1, 2))):
            values[name] = chance.choice(ODD_VALUES)
        content = json.dumps(values, ensure_ascii=self._is_odd(0.5)).encode("utf-8", "surrogatepass")
        return content[: chance.randrange(len(content))] if self._is_odd(0.03) else content


def _flat(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, set[str]]]:
    for route in routes:
        if isinstance(route, Route):
            yield route.path, route.methods or set()
        elif isinstance(route, Mount):
            yield f"{route.path}/{{file}}", {"GET"}
        else:
            raise TypeError(f"nothing is known of {route}")


def ask(address: ServerAddress, request: bytes) -> bytes:
    """All that comes back."""
    answer = b""
    with socket.create_connection((address.host, address.port), timeout=60) as connection:
        try:
            connection.sendall(request)
            while piece := connection.recv(2**16):
                answer += piece
        except ConnectionError:
            pass  # it was told to go before it had said all
    return answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("address", [ServerAddress(), ServerAddress("127.0.0.2", token=TOKEN)], ids=["local", "remote"])
def test_no_request_is_a_fault_of_the_server(
    place: Place, address: ServerAddress, pytestconfig: pytest.Config, capfd: pytest.CaptureFixture[str]
) -> None:
    thorough = pytestconfig.getoption("--thorough")
    address = ServerAddress(address.host, free_port(), address.token)
    statuses: Counter[int] = Counter()
    with served_pages(place, QUICK, address) as server:
        fuzzer = Fuzzer(server.config.loaded_app.app.routes, address, seed=15)
        for path, request in fuzzer.requests(10_000 if thorough else 300):
            answer = ask(address, request)
            status = int(answer.split(None, 2)[1]) if answer else 0
            statuses[status] += 1
            assert status < 500, (path, request[:1000], answer[:1000])
            assert not answer or _is_strict(answer), (path, request[:1000], answer[:1000])
        whole = f"GET /progress HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        assert ask(address, f"{whole}Connection: close\r\n\r\n".encode()).startswith(b"HTTP/1.1 200")
    assert capfd.readouterr().err == ""
    assert statuses[200] > 20
    assert statuses[400] > 20
    if thorough:
        figures = {"requests": sum(statuses.values()), "500 or above": 0, "without strict headers": 0}
        keep(f"requests to every route by a fuzzer, {'with a token' if address.token else 'local'}", **figures)


def _is_strict(answer: bytes) -> bool:
    """Whether each of the headers is there once, and no browser keeps the answer without asking again."""
    head = answer.partition(b"\r\n\r\n")[0].lower()
    strict = [name + b": " + value.lower() for name, value in HEADERS.items()]
    kept = b"\r\netag:" in head and b"\r\ncache-control: private, no-cache" in head
    strict.append(b"cache-control: " + (b"private, no-cache" if kept else b"no-store"))
    return all(head.count(header) == 1 for header in strict) and head.count(b"cache-control") == 1
