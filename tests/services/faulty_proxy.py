"""A proxy before the S3 gateway that breaks some answers on purpose: cut, refused, slow, of a wrong length."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>canary-message</Message></Error>'

Answer = tuple[int, bytes, dict[str, str]]
"""Status, content and headers."""

Fault = Callable[[str, str, int], str | Callable[[Answer], Answer] | None]
"""fault(method, path, number of this request) → cut, slow, length, a status and code (`503 SlowDown`), what is made of
an answer, or None."""

NOT_PASSED_ON = ("content-length", "connection", "date", "transfer-encoding")


@dataclass
class Proxy:
    """What went through it."""

    endpoint: str
    fault: Fault = lambda _method, _path, _number: None
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    """Of what was asked for in parts: path and bytes."""
    sent: Counter[str] = field(default_factory=Counter)
    """Bytes of answers by method."""


@contextmanager
def proxying(endpoint: str) -> Iterator[Proxy]:  # noqa: C901
    """A proxy before a server; the signature of a request stays valid, for its Host goes along."""
    target = urlsplit(endpoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            proxy.requests.append(f"{self.command} {self.path}")
            if "range" in self.headers:
                proxy.ranges.append(f"{self.path} {self.headers['range']}")
            fault = proxy.fault(self.command, self.path, len(proxy.requests))
            if isinstance(fault, str) and fault[0].isdigit():
                self.answer(int(fault[:3]), ERROR.format(code=fault[4:]).encode(), {})
                return
            if fault == "slow":
                time.sleep(3)
            answer, content = self.ask(body)
            if fault == "cut":
                content, self.close_connection = content[: len(content) // 2], True
                self.answer(answer.status, content, dict(answer.headers), length=max(1, 2 * len(content)))
                self.connection.close()
                return
            headers = dict(answer.headers)
            if fault == "length" and content:  # whole by its own account, and yet not all of it
                content = content[:-1]
            changed = fault((answer.status, content, headers)) if callable(fault) else None
            self.answer(*(changed or (answer.status, content, headers)))

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_one  # noqa: N815

        def ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
            connection = http.client.HTTPConnection(target.hostname or "", target.port)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            return answer, content

        def answer(self, status: int, content: bytes, headers: dict[str, str], length: int | None = None) -> None:
            self.send_response(status)
            kept = {n: v for n, v in headers.items() if n.lower() not in NOT_PASSED_ON}
            said = headers.get("Content-Length", headers.get("content-length")) if self.command == "HEAD" else None
            kept["Content-Length"] = said or str(len(content) if length is None else length)
            for name, value in kept.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            proxy.sent[self.command] += len(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
