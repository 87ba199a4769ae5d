"""The pages as a real server, asked over real HTTP."""

import http.client
import json
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.running import PROJECT, Place, started


@dataclass
class Pages:
    """A server on this machine, and the place whose images it shows."""

    place: Place
    port: int
    host: str = "127.0.0.1"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """Status and content; the headers of the answer stay in `headers`."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        given = {"Host": f"{self.host}:{self.port}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, content, given)
        answer = connection.getresponse()
        content = answer.read()
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        connection.close()
        return answer.status, content

    def get(self, path: str) -> Any:
        """The JSON behind a path."""
        status, content = self.ask("GET", path)
        assert status == 200, content
        return json.loads(content)

    def post(self, path: str, annotator: str = "me", **body: Any) -> Any:
        """The answer as JSON; where it was refused, the status."""
        status, content = self.ask("POST", path, {"annotator": annotator, **body}, Origin=self.origin)
        return json.loads(content) if status == 200 else status

    def next(self, annotator: str = "me", **body: Any) -> list[int]:
        """The ids of the images that come next."""
        return [item["id"] for item in self.post("/next", annotator, **body)["items"]]

    def labels(self) -> dict[int, str | None]:
        return dict(self.place.rows("SELECT id, label FROM images ORDER BY id"))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for_port(port: int, host: str = "127.0.0.1") -> None:
    """Until a server listens there, or for so long that a connection will say why not."""
    for _ in range(300):
        try:
            socket.create_connection((host, port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)


@contextmanager
def serving(place: Place, *options: str, port: int = 0, host: str = "127.0.0.1") -> Iterator[Pages]:
    """The labeling script over a place's database, until the end of the block."""
    port = port or free_port()
    script = str(PROJECT / "scripts" / "02_label_server.py")
    command = [sys.executable, script, "--db", str(place.db), "--port", str(port), *options]
    with started(command, place.base) as server:
        line = server.process.stdout.readline()
        assert " at http" in line, server.process.stderr.read()
        pages = Pages(place, port, host)
        token = re.search(r"token=([\w-]+)", line)
        pages.headers = {"token": token[1]} if token else {}
        wait_for_port(port, host)
        yield pages
