"""Whom the pages answer: who names their host, comes from their origin and, where others can ask, has the token."""

import hmac
import re
import socket
from asyncio import CancelledError
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicomprep.errors import ConfigError
from dicomprep.web.mounting import root_of, without_prefix

__all__ = ["RequestGuard", "ServerAddress", "parse_host"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[^\[\]:@/\s]+))(?::(?P<port>[0-9]{1,5}))?")
_STRAY_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

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
class ServerAddress:
    """Where the pages listen, and what opens them."""

    host: str = "127.0.0.1"
    port: int = 5001
    token: str | None = None
    """What every request must carry; None where only this machine can ask."""
    allowed: frozenset[tuple[str, str]] = frozenset()
    """(name, port) of proxies that show these pages; no port where it is the one of http or https."""
    root_path: str = ""
    """What addresses begin with behind the proxy: `/user/ada/proxy/5001`."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can ask."""
        return self._is_loopback and not self.allowed

    @property
    def _is_loopback(self) -> bool:
        return self.host in LOOPBACK

    @property
    def netloc(self) -> str:
        """Host and port as a URL has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{socket.gethostname() if self.host in ('0.0.0.0', '::') else host}:{self.port}"  # noqa: S104

    @property
    def cookie(self) -> str:
        """The token's cookie: cookies do not tell ports apart."""
        return f"dicomprep_token_{self.port}"

    def cookie_path(self, host: str) -> str:
        """Where a cookie counts: behind a proxy not at its other services, which may be other people's."""
        return self.root_path if self.root_path and self.is_allowed(host) else "/"

    def is_allowed(self, host: str) -> bool:
        """Whether a Host header names a proxy of `--allow-host`."""
        match = _HOST.fullmatch(host.lower())
        return match is not None and _name_and_port(match) in self.allowed

    def is_own_host(self, host: str | None) -> bool:
        """Whether a Host header names these pages.

        An address can be no rebound name, so where any address is listened on, every address is right. Nor can the
        names of the loopback interface: the near end of a tunnel has any port, or none (80), and is right as well.
        """
        match = _HOST.fullmatch((host or "").lower())
        if match is None:
            return False
        if match["six"] and not _is_address(match["six"], IPv6Address):
            return False
        name, _ = pair = _name_and_port(match)
        if name in LOOPBACK or pair in self.allowed:
            return True
        if match["port"] != str(self.port):
            return False
        return name == self.host.lower() or (
            not self._is_loopback and (name == socket.gethostname().lower() or _is_address(name))
        )


class RequestGuard:
    """Refuses what is not meant for these pages, and gives every answer strict headers."""

    def __init__(self, app: ASGIApp, address: ServerAddress) -> None:
        self.app, self._address = app, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        refusal = self._refuse(Request(scope))
        scope = self._within(scope)
        root = root_of(scope["path"]).encode()
        begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                names = {name.lower() for name, _ in message["headers"]}
                cache = {} if b"cache-control" in names else {b"cache-control": b"no-store"}
                kept = [_lead_within(root, *header) for header in message["headers"]]
                message["headers"] = [*kept, *HEADERS.items(), *cache.items()]
            await send(message)

        try:
            await (self.app if refusal is None else refusal)(scope, receive, send_guarded)
        except CancelledError:  # the server ends, and has waited for this answer long enough
            if not begun:
                await PlainTextResponse("The server is shutting down.", 503)(scope, receive, send_guarded)

    def _refuse(self, request: Request) -> Response | None:
        if not _is_well_formed(request.scope):
            return PlainTextResponse("Malformed URL.", 400)
        hosts = [*request.headers.getlist("host"), *_hosts_in_target(request)]
        if not hosts or not all(self._address.is_own_host(host) for host in hosts):
            return PlainTextResponse("Unknown host: open the address that `dicomprep label` printed.", 421)
        if request.method not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Only GET and POST are allowed.", 405)
        return self._check_token(request) or self._check_origin(request) or self._add_slash(request)

    def _check_token(self, request: Request) -> Response | None:
        token = self._address.token
        if token is None:
            return None
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if any(hmac.compare_digest(given.encode(), token.encode()) for given in self._cookies(request, bearer)):
            return None
        asked = _query_pairs(request.scope)
        given = dict(asked).get("token", "")
        if request.method == "GET" and hmac.compare_digest(given.encode(), token.encode()):
            rest = urlencode([pair for pair in asked if pair[0] != "token"])
            path = "/" + quote(self._within(request.scope)["path"].lstrip("/\\"))  # `//name` is another host
            answer = self._redirect(request, path + (f"?{rest}" if rest else ""))
            place = self._address.cookie_path(request.headers["host"])
            answer.set_cookie(self._address.cookie, token, path=place, httponly=True, samesite="strict")
            return answer
        return PlainTextResponse("Token missing or wrong: open the address that `dicomprep label` printed.", 401)

    def _add_slash(self, request: Request) -> Response | None:
        """To where relative addresses lead within the pages."""
        return None if self._within(request.scope)["path"] else self._redirect(request, "/")

    def _redirect(self, request: Request, path: str) -> Response:
        """To a path within the pages; from the prefix itself, which has no slash, by its last part."""
        last = "" if self._within(request.scope)["path"] else self._address.root_path.rpartition("/")[2]
        return RedirectResponse(last + path, 303)

    def _within(self, scope: Scope) -> Scope:
        """The request by its path within the pages."""
        return without_prefix(_without_host(scope), self._address.root_path)

    def _cookies(self, request: Request, bearer: str) -> tuple[str, str]:
        return request.cookies.get(self._address.cookie, ""), bearer

    def _check_origin(self, request: Request) -> Response | None:
        if request.method != "POST":
            return None
        if not self._is_same_origin(request.headers):
            return PlainTextResponse("Cross-origin request refused.", 403)
        return None

    def _is_same_origin(self, headers: Headers) -> bool:
        """Whether the page that sends this is one of these.

        Another server of this machine has an origin of the loopback interface, too, so that alone proves nothing: the
        origin is that of the Host header. Where a proxy wrote another Host, the browser has to say `same-origin`, which
        no page can make it say, and the origin must be one that no name can be rebound to.
        """
        origin, site = headers.get("origin", "").lower(), headers.get("sec-fetch-site")
        scheme, _, host = origin.partition("://")
        schemes = ("http", "https") if self._address.is_allowed(headers["host"]) else ("http",)
        if host == headers["host"].lower() and scheme in schemes:
            return site in (None, "same-origin")
        return site == "same-origin" and scheme in ("http", "https") and self._address.is_own_host(host)


def parse_host(text: str) -> tuple[str, str]:
    """The name and port of `--allow-host`, as browsers write them. ConfigError where it is none.

    >>> parse_host("Hub.example.org"), parse_host("hub.example.org:8443"), parse_host("bücher.example:443")
    (('hub.example.org', ''), ('hub.example.org', '8443'), ('xn--bcher-kva.example', ''))
    """
    wrong = ConfigError(f"--allow-host {text}: give NAME or NAME:PORT, such as hub.example.org:8443.")
    try:
        match = _HOST.fullmatch(text if ":" in text and text.startswith("[") else text.encode("idna").decode().lower())
    except UnicodeError as error:
        raise wrong from error
    if match is None or "*" in text or (match["six"] and not _is_address(match["six"], IPv6Address)):
        raise wrong
    return _name_and_port(match)


def _name_and_port(match: re.Match[str]) -> tuple[str, str]:
    """Of a Host header; no port where it is the one of http or https."""
    port = match["port"] or ""
    return match["six"] or match["name"].removesuffix("."), "" if port in ("80", "443") else port


def _lead_within(root: bytes, name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header as it is, but that a redirect leads within the pages wherever they are."""
    return name, root + value if name.lower() == b"location" and value.startswith(b"/") else value


def _hosts_in_target(request: Request) -> list[str]:
    """The host of a request as proxies get it, `GET http://host/path`: it counts as much as the Host header."""
    scheme, separator, rest = request.scope["path"].partition("://")
    return [rest.partition("/")[0]] if separator and "/" not in scheme else []


def _without_host(scope: Scope) -> Scope:
    """The request by its path alone."""
    scheme, separator, rest = scope["path"].partition("://")
    return {**scope, "path": "/" + rest.partition("/")[2]} if separator and "/" not in scheme else scope


def _is_well_formed(scope: Scope) -> bool:
    """Whether an address is text: escapes that are whole and UTF-8, no control characters, no name twice."""
    asked = [name for name, _ in _query_pairs(scope)]
    escaped = scope["raw_path"] + b"?" + scope["query_string"]
    try:
        text = unquote_to_bytes(escaped).decode()
    except UnicodeDecodeError:
        return False
    return len(set(asked)) == len(asked) and not _STRAY_PERCENT.search(escaped) and not _CONTROL.search(text)


def _query_pairs(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _is_address(name: str, kind: Callable[[str], object] = ip_address) -> bool:
    try:
        kind(name)
    except ValueError:
        return False
    return True
