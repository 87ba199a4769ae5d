"""Whom the pages answer: who names their host, comes from their origin and, where others can ask, has the token."""

import hmac
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Door", "Guard"]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    b" connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}


@dataclass(frozen=True, slots=True)
class Door:
    """Where the pages listen, and what opens them."""

    host: str = "127.0.0.1"
    port: int = 5001
    token: str | None = None
    """What every request must carry; None where only this machine can ask."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can ask."""
        return self.host in ("127.0.0.1", "localhost", "::1")

    @property
    def address(self) -> str:
        """Host and port as a URL has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{socket.gethostname() if self.host in ('0.0.0.0', '::') else host}:{self.port}"  # noqa: S104

    @property
    def cookie(self) -> str:
        """The token's cookie: cookies do not tell ports apart."""
        return f"dicomprep_token_{self.port}"

    def is_own(self, host: str | None) -> bool:
        """Whether a Host header names these pages.

        An address can be no rebound name, so where any address is listened on, every address is right.
        """
        name, _, port = (host or "").rpartition(":")
        if port != str(self.port):
            return False
        if name in LOOPBACK or name == self.host.strip("[]"):
            return True
        return not self.is_local and (name == socket.gethostname() or _is_address(name))


class Guard:
    """Refuses what is not meant for these pages, and gives every answer strict headers."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                cache = {} if b"cache-control" in names else {b"cache-control": b"no-store"}
                message["headers"] = [*message["headers"], *HEADERS.items(), *cache.items()]
            await send(message)

        refusal = self._refuse(Request(scope))
        await (self._app if refusal is None else refusal)(scope, receive, send_guarded)

    def _refuse(self, request: Request) -> Response | None:
        if not self._door.is_own(request.headers.get("host")):
            return PlainTextResponse("This page answers only under its own address.", 421)
        if request.method not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Only GET and POST are answered.", 405)
        return self._ask_for_token(request) or self._check_origin(request)

    def _ask_for_token(self, request: Request) -> Response | None:
        token = self._door.token
        if token is None:
            return None
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if any(hmac.compare_digest(given.encode(), token.encode()) for given in self._cookies(request, bearer)):
            return None
        asked = parse_qsl(request.url.query, keep_blank_values=True)
        given = dict(asked).get("token", "")
        if request.method == "GET" and hmac.compare_digest(given.encode(), token.encode()):
            rest = urlencode([pair for pair in asked if pair[0] != "token"])
            answer = RedirectResponse(request.url.path + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(self._door.cookie, token, httponly=True, samesite="strict")
            return answer
        return PlainTextResponse("Open the address that `dicomprep label` printed: it holds the token.", 401)

    def _cookies(self, request: Request, bearer: str) -> tuple[str, str]:
        return request.cookies.get(self._door.cookie, ""), bearer

    def _check_origin(self, request: Request) -> Response | None:
        if request.method != "POST":
            return None
        own = f"http://{request.headers['host']}"
        site = request.headers.get("sec-fetch-site", "same-origin")
        if request.headers.get("origin") != own or site != "same-origin":
            return PlainTextResponse("This is taken from these pages only.", 403)
        return None


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
