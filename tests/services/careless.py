"""An S3 server that does what it is told and heeds no condition of it, as some do: objects in memory, on loopback."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

__all__ = ["serving_carelessly"]

NONE_LISTED = (
    b'<?xml version="1.0"?><ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>'
)


@contextmanager
def serving_carelessly() -> Iterator[tuple[str, dict[str, bytes]]]:  # noqa: C901
    """The server's address, and what it holds by /bucket/key."""
    objects: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_PUT(self) -> None:
            objects[self.place] = self.rfile.read(int(self.headers["content-length"]))
            self.answer(200)

        def do_GET(self) -> None:
            content = NONE_LISTED if "list-type" in self.path else objects.get(self.place)
            self.answer(404 if content is None else 200, content or b"")

        do_HEAD = do_GET  # noqa: N815

        def do_POST(self) -> None:
            """Removal of many."""
            keys = re.findall(rb"<Key>(.*?)</Key>", self.rfile.read(int(self.headers["content-length"])))
            for key in keys:
                objects.pop(f"{self.place.rstrip('/')}/{key.decode()}", None)
            gone = b"".join(b"<Deleted><Key>%b</Key></Deleted>" % key for key in keys)
            self.answer(200, b"<DeleteResult>%b</DeleteResult>" % gone)

        @property
        def place(self) -> str:
            return urlsplit(self.path).path

        def answer(self, status: int, content: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", objects
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
