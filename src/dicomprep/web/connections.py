"""The connections of the pages: none is kept by who does not ask, and nobody can have all of them."""

import resource
from asyncio import TimerHandle, Transport
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from dicomprep.web.guard import HEADERS, ServerAddress

__all__ = ["ConnectionLimits", "Connections", "make_server"]

MAX_HEADER_BYTES = 2**14
"""Bytes of the headers of a request; bounds memory."""

MAX_PENDING_CONNECTIONS = 128
"""Connections accepted at once, before any of them can be given up for another."""

RESERVED_DESCRIPTORS = 32
"""File descriptors left for the database, images and the process that opens files."""

MIN_CONNECTIONS = 4
"""Connections, where this process may open next to nothing."""

_WAITING = (h11.IDLE, h11.SEND_BODY)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How long the pages wait for somebody, and how many they let wait."""

    request_seconds: float = 5.0
    """From the moment that a connection can ask to the end of its headers."""
    body_seconds: float = 20.0
    """From the headers to the end of what is sent along."""
    unread_seconds: float = 30.0
    """In which at least some of an answer has to be taken."""
    per_peer: int = 128
    """Connections of one machine; behind a tunnel that can be several people, of six each."""
    total: int = 512


class Connections:
    """All that are open. One too many takes the place of the one that has kept its own waiting for longest."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_DESCRIPTORS
        self._max_total = min(limits.total, max(MIN_CONNECTIONS, descriptors // 2))
        self._per_peer: dict[str, list[Connection]] = {}

    def enter(self, connection: "Connection") -> None:
        """Count one in; another one, or this, may have to go."""
        peers = self._per_peer.setdefault(connection.peer, [])
        peers.append(connection)
        if len(peers) > self.limits.per_peer:
            self._close_one(peers)
        elif sum(map(len, self._per_peer.values())) > self._max_total:
            self._close_one(max(self._per_peer.values(), key=len))

    def leave(self, connection: "Connection") -> None:
        """Count one out; it may have gone already."""
        peers = self._per_peer.get(connection.peer, [])
        if connection in peers:
            peers.remove(connection)
        if not peers:
            self._per_peer.pop(connection.peer, None)

    def _close_one(self, peers: list["Connection"]) -> None:
        waiting = [connection for connection in peers if connection.is_waiting]
        leaving = min(waiting, key=lambda connection: connection.since, default=peers[-1])
        self.leave(leaving)  # it is closed a moment later, and is not to be chosen again until then
        leaving.abort()


class Connection(H11Protocol):
    """One connection, and the clocks that run while the other side has to do something."""

    def __init__(self, *arguments: Any, table: Connections, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **options)
        self._table, self._limits = table, table.limits
        self._stage: object = None
        self._request_timer: TimerHandle | None = None
        self._answer_timer: TimerHandle | None = None
        self.since = 0.0
        """When it began to be waited for, on the clock of the loop."""
        self.peer = ""

    @property
    def is_waiting(self) -> bool:
        """Whether a request of it has not arrived whole."""
        return self.conn.their_state in _WAITING

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Count it, and wait for its first request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # it is told of anything that is not taken at once
        self.peer = _peer(transport)
        self._watch()
        self._table.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._table.leave(self)
        for clock in (self._request_timer, self._answer_timer):
            if clock is not None:
                clock.cancel()
        super().connection_lost(exc)

    def abort(self) -> None:
        """End it at once."""
        self.transport.abort()

    def shutdown(self) -> None:
        """The server ends: what has arrived is answered, and nothing more is waited for."""
        if self.is_waiting:
            self.transport.close()
        else:
            super().shutdown()

    def handle_events(self) -> None:
        """Take what has come; the clock runs for what it is waited for now."""
        super().handle_events()
        self._watch()

    def pause_writing(self) -> None:
        """An answer is not taken as fast as it is given."""
        super().pause_writing()
        self._watch_answer(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """All of it was taken."""
        super().resume_writing()
        if self._answer_timer is not None:
            self._answer_timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, with the headers that every answer has."""
        too_large = len(self.conn.trailing_data[0]) > MAX_HEADER_BYTES
        self._refuse(431 if too_large else 400, "The request headers are too large." if too_large else msg)

    def _watch(self) -> None:
        stage = self.conn.their_state
        if stage is self._stage:
            return
        self._stage, self.since = stage, self.loop.time()
        if self._request_timer is not None:
            self._request_timer.cancel()
        limits = self._limits
        if stage in _WAITING:
            seconds = limits.request_seconds if stage is h11.IDLE else limits.body_seconds
            self._request_timer = self.loop.call_later(seconds, self._time_out)

    def _watch_answer(self, before: int) -> None:
        self._answer_timer = self.loop.call_later(self._limits.unread_seconds, self._check_answer_taken, before)

    def _check_answer_taken(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._watch_answer(left)
        else:
            self.abort()

    def _time_out(self) -> None:
        if self._stage is h11.IDLE and not self.conn.trailing_data[0]:
            self.transport.close()  # no request
        else:
            self._refuse(408, "Request timeout.")

    def _refuse(self, status: int, text: str) -> None:
        """Say why, where no answer has begun, and close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [*HEADERS.items(), (b"cache-control", b"no-store"), (b"content-type", b"text/plain")]
            headers += [(b"connection", b"close"), (b"content-length", b"%d" % len(text))]
            answer = h11.Response(status_code=status, headers=headers, reason=b"")
            for event in (answer, h11.Data(data=text.encode()), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
            if self.cycle is not None:
                self.cycle.disconnected = True  # what it would answer now would be a second answer
        self.transport.close()


def _peer(transport: Transport) -> str:
    """The machine at the other end; by IPv6 its network, for one machine has all addresses of it."""
    name = transport.get_extra_info("peername")
    if not name:
        return ""
    address = ip_address(name[0].partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    return str(address if isinstance(address, IPv4Address) else ip_network((address, 64), strict=False))


def make_server(app: ASGIApp, address: ServerAddress, limits: ConnectionLimits | None = None) -> uvicorn.Server:
    """A server of the pages that is yet to run."""
    connect = partial(Connection, table=Connections(limits or ConnectionLimits()))
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=address.host,
            port=address.port,
            http=connect,  # type: ignore[arg-type]  # it is called, nothing else
            ws="none",
            loop="asyncio",
            backlog=MAX_PENDING_CONNECTIONS,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            log_level="error",  # what others send is answered, and no matter for who serves
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )
