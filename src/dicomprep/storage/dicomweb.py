"""A DICOMweb server (DICOM PS3.18): searched by QIDO-RS, read by WADO-RS; asked again while that may help.

Nothing that it answers is trusted: sizes, UIDs and numbers of answers have bounds, and it leads to no other address.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO, TypeVar

from dicomprep.errors import EnvironmentFault
from dicomprep.extras import load_extra
from dicomprep.storage.dicomweb_session import PURPOSE, open_session, token_header
from dicomprep.storage.waiting import waiting

__all__ = ["DicomwebServer", "ServerRefusal", "server_at"]

T = TypeVar("T")

CONNECT_SECONDS, READ_SECONDS = 10, 30
STALLED_SECONDS, MIN_PROGRESS_BYTES = 30.0, 2**18
"""A server that sends less than so much in so long has stalled."""

MAX_ANSWER_BYTES = 64 * 2**20
"""Of one page of a search."""

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.2, 10.0
MAX_ERRORS = 3
"""Of a server's own (500), or in the midst of what it sends: that may be one instance's matter."""

_PASSING = (408, 425, 429, 502, 503, 504)


class ServerRefusal(Exception):
    """The server does not give one thing, though it gives others; the reason may be shown."""


class _PassingError(Exception):
    """It may be different in a moment."""

    def __init__(self, reason: str, *, is_servers: bool = False, pause: float = 0) -> None:
        super().__init__(reason)
        self.is_servers, self.pause = is_servers, pause


@dataclass(slots=True)
class DicomwebServer:
    """Answers, after as many tries as there is patience for.

    EnvironmentFault where the server as a whole fails, or does not accept who asks; ServerRefusal where it is one thing
    that it does not give.
    """

    root: str
    _session: Any = field(default=None)

    def search(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """A page of answers."""
        return self._ask(lambda: self._get_page(path, query))

    def retrieve(self, path: str, into: BinaryIO, *, max_bytes: int, find: Callable[[BinaryIO, str], T | None]) -> T:
        """Write an instance as it is stored, with what is around it, into a file; what `find` makes of that.

        It is given the file and its media type, and None means that what came is not whole.
        """
        return self._ask(lambda: self._download(path, into, max_bytes, find))

    def _get_page(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        content = bytearray()
        with self._get(path, "application/dicom+json", query) as response:
            for piece in _pieces(response):
                content += piece
                if len(content) > MAX_ANSWER_BYTES:
                    raise EnvironmentFault(f"{self.root} answers a search with more than {MAX_ANSWER_BYTES:,} bytes.")
        try:
            answers = json.loads(content) if content.strip() else []
        except (ValueError, RecursionError):
            raise _PassingError("it answers a search with what is not JSON", is_servers=True) from None
        if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
            raise _PassingError("it answers a search with what is not a list of matches", is_servers=True)
        return answers

    def _download(self, path: str, into: BinaryIO, max_bytes: int, find: Callable[[BinaryIO, str], T | None]) -> T:
        into.seek(0)
        into.truncate()
        with self._get(path, 'multipart/related; type="application/dicom"; transfer-syntax=*') as response:
            size = 0
            for piece in _pieces(response):
                size += len(piece)
                if size > max_bytes:
                    raise ServerRefusal(f"it has more than {max_bytes:,} bytes")
                into.write(piece)
            found = find(into, str(response.headers.get("Content-Type", "")))
        if found is None:
            raise _PassingError("what came is not a whole instance", is_servers=True)
        return found

    def _get(self, path: str, accept: str, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401
        """A response that is one; the errors of this module where it is none."""
        requests = load_extra("requests", extra="pacs", purpose=PURPOSE)
        if self._session is None:
            self._session = open_session()
        headers = {"Accept": accept, "Accept-Encoding": "identity", **token_header()}
        url = self.root.removeprefix("dicomweb+") + path
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        try:
            options = {"headers": headers, "stream": True, "timeout": timeout, "allow_redirects": False}
            if isinstance(self._session.verify, str):  # else that of the environment comes first
                options["verify"] = self._session.verify
            response = self._session.get(url, params=query, **options)
        except requests.exceptions.SSLError:
            message = f"{self.root}: the connection is not trusted. DICOMWEB_CA names the authority of its certificate."
            raise EnvironmentFault(message) from None
        except (requests.exceptions.RequestException, OSError):
            raise _PassingError("it does not answer") from None
        try:
            self._judge(response)
        except BaseException:
            response.close()
            raise
        return response

    def _judge(self, response: Any) -> None:  # noqa: ANN401
        status = int(response.status_code)
        if status in (200, 206) or status == 204:
            return
        if status in (401, 407):
            remedy = "Give DICOMWEB_TOKEN, DICOMWEB_USER and DICOMWEB_PASSWORD, or DICOMWEB_CERT."
            raise EnvironmentFault(f"{self.root} does not accept the credentials ({status}). {remedy}")
        if 300 <= status < 400:
            raise EnvironmentFault(f"{self.root} leads to another address ({status}). Give that one.")
        if status in _PASSING or status >= 500 or status == 403:  # which some say of a token that has expired
            wait = str(response.headers.get("Retry-After", ""))
            pause = float(wait) if wait.isdecimal() and len(wait) < 4 else 0.0
            raise _PassingError(f"the server answered {status}", is_servers=status not in _PASSING, pause=pause)
        raise ServerRefusal(f"the server answered {status}")

    def _ask(self, get: Callable[[], T]) -> T:
        """The answer, after as many tries as there is patience for."""
        until, pause, errors = time.monotonic() + waiting().seconds, FIRST_PAUSE_SECONDS, 0
        while True:
            waiting().heartbeat()
            try:
                return get()
            except _PassingError as error:
                errors += error.is_servers
                spent = error.is_servers and errors >= MAX_ERRORS
                wait = min(max(pause * random.uniform(0.5, 1), error.pause), MAX_PAUSE_SECONDS)  # noqa: S311
                if spent or time.monotonic() + wait > until:
                    raise self._in_the_end(error) from None
                _sleep(wait)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def _in_the_end(self, error: _PassingError) -> Exception:
        """One thing's matter, where the server answers something else; else the server's."""
        try:
            self._get_page("/studies", {"limit": "1"})
        except (_PassingError, ServerRefusal):
            return EnvironmentFault(f"{self.root} cannot be read: {error}. The same command goes on from here.")
        except EnvironmentFault as fault:
            return fault
        return ServerRefusal(str(error))


@lru_cache(maxsize=16)
def server_at(root: str) -> DicomwebServer:
    """The server at an address; its connections are kept."""
    return DicomwebServer(root)


def _pieces(response: Any) -> Iterator[bytes]:  # noqa: ANN401
    """What comes, as it comes; _PassingError where it stops, is cut, or is slower than anything that works."""
    urllib3 = load_extra("urllib3", extra="pacs", purpose=PURPOSE)
    since, size = time.monotonic(), 0
    try:
        while piece := response.raw.read1(2**16):
            size += len(piece)
            if size >= MIN_PROGRESS_BYTES:
                since, size = time.monotonic(), 0
                waiting().heartbeat()
            elif time.monotonic() - since > STALLED_SECONDS:
                raise _PassingError("it sends too slowly", is_servers=True)
            yield piece
    except (urllib3.exceptions.HTTPError, OSError):
        raise _PassingError("the connection broke", is_servers=True) from None


def _sleep(seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.5))
        waiting().heartbeat()
