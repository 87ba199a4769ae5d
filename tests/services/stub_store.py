"""A store that answers as S3 does for what is too large to be made: many keys, and objects of many gigabytes."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PAGE = 1000
_ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    '<ETag>"tag-{size}"</ETag><Size>{size}</Size></Contents>'
)


@dataclass
class Stub:
    """What is there, and what was asked for."""

    key: Callable[[int], str]
    """Of object n; in their order."""
    count: int
    size: int
    """Of each object."""
    read: Callable[[int, int], bytes]
    """Bytes of any object, from and to."""
    endpoint: str = ""
    pages: int = 0
    requests: int = 0
    sent: int = 0
    """Bytes of objects."""


@contextmanager
def serving_stub(stub: Stub) -> Iterator[Stub]:
    """Serve it on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            if "list-type" in query:
                self.answer(200, _page(stub, query).encode(), {"Content-Type": "application/xml"})
                return
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
            assert asked is not None
            start, end = int(asked[1]), min(int(asked[2]) + 1, stub.size)
            stub.requests, stub.sent = stub.requests + 1, stub.sent + end - start
            within = {"ETag": f'"tag-{stub.size}"', "Content-Range": f"bytes {start}-{end - 1}/{stub.size}"}
            self.answer(206, stub.read(start, end), within)

        def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            always = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "Content-Length": str(len(content))}
            for name, value in (headers | always).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _page(stub: Stub, query: dict[str, list[str]]) -> str:
    stub.pages += 1
    start = int(query.get("continuation-token", ["0"])[0])
    end = min(start + PAGE, stub.count)
    entries = "".join(_ENTRY.format(key=stub.key(number), size=stub.size) for number in range(start, end))
    more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < stub.count else ""
    return (
        f"<ListBucketResult><Name>b</Name><IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
        f"{more}{entries}</ListBucketResult>"
    )
