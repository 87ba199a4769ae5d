"""A Storage SCP (DICOM PS3.4 annex B): what other systems send by C-STORE is handed over, then acknowledged.

Nothing that a peer says is trusted: it is told by address and titles, what it sends is bounded, and no part of it is
taken apart here.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dicomprep.errors import ConfigError, DicomprepError, EnvironmentFault, InputError
from dicomprep.extras import load_extra
from dicomprep.storage.spool import Content

__all__ = [
    "Keep",
    "Listening",
    "Peer",
    "Received",
    "is_loopback",
    "load_pynetdicom",
    "receiving_handlers",
    "require_title",
    "serving_storage",
]

MAX_HELD_BYTES = 2**31
"""Of all that is being received at one time; it is in memory until it is whole."""

MAX_PDU_BYTES, READ_BYTES = 2**20, 2**18
"""Of what a peer may announce at once, and of what is asked of the socket at once."""

MAX_TITLE = 16
"""Characters of an AE title at most."""

SILENCE_SECONDS = 60.0
"""Without a byte from a peer; after that the association is ended."""

PATIENCE_SECONDS = 10.0
"""What associations are given to begin, and at the end of all to end by themselves."""

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
REJECTED, BY_USER, CALLING_TITLE, CALLED_TITLE = 1, 1, 3, 7
"""PS3.8 section 9.3.4: result, source, and two reasons."""


class Received(NamedTuple):
    """An instance as it came."""

    instance: str
    """Its SOP Instance UID, as the peer says."""
    transfer_syntax: str
    meta: bytes
    """Preamble and file meta information, which do not come along and are made here."""
    dataset: memoryview
    """As the peer encoded it."""

    @property
    def content(self) -> Content:
        """What a file of it holds."""
        return self.meta, self.dataset


Keep = Callable[[Received], None]
"""Takes an instance over; when it returns the instance is safe. Raises InputError, or EnvironmentFault."""


class Peer(NamedTuple):
    """Who may send: an AE title, an address, or both; an empty one may be any."""

    title: str
    addresses: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """A peer as it is given: `AET`, `AET@HOST` or `@HOST`; ConfigError where it is none."""
        title, _, host = text.partition("@")
        if not (title or host):
            raise ConfigError(f"--peer {text}: give AET, AET@HOST or @HOST.")
        return cls(require_title(title, "peer") if title else "", _addresses(host) if host else frozenset())

    def is_at(self, title: str, address: str) -> bool:
        """Whether it is the one that calls."""
        return self.title in ("", title) and (not self.addresses or address in self.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where a Storage SCP listens, and to whom."""

    port: int = 11112
    """Port to listen on."""
    aet: str = "DICOMPREP"
    """AE title of this program; associations that call another one are refused."""
    host: str = "127.0.0.1"
    """Address to listen on; one that other machines reach, such as 0.0.0.0, needs --peer."""
    peer: tuple[str, ...] = ()
    """Who may send: AET, AET@HOST or @HOST; may be given several times. On this machine alone, by default anybody."""
    max_associations: int = 10
    """Associations at one time; more are refused for now."""

    def __post_init__(self) -> None:
        require_title(self.aet, "aet")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"--port {self.port}: choose from 1 to 65535.")
        if not 1 <= self.max_associations <= 1000:
            raise ConfigError(f"--max-associations {self.max_associations}: choose from 1 to 1000.")
        if not self.peer and not is_loopback(self.host):
            message = f"--host {self.host}: other machines can reach it, so say who may send"
            raise ConfigError(f"{message}: --peer AET@HOST, once for each.")


@dataclass(slots=True)
class StorageServer:
    """What a Storage SCP that is running knows."""

    port: int = 0
    refused: list[str] = field(default_factory=list)
    """Who was not let in, and why; in order, the last few."""


@contextmanager
def serving_storage(listening: Listening, keep: Keep) -> Iterator[StorageServer]:
    """Listen, in threads of this process, until the end of the block; what was acknowledged has been kept.

    Raises ConfigError without pynetdicom, EnvironmentFault where the address cannot be listened on.
    """
    pynetdicom = load_pynetdicom("Receiving instances")
    entity = pynetdicom.AE(listening.aet)
    entity.add_supported_context(pynetdicom.sop_class.Verification)
    entity.maximum_associations, entity.maximum_pdu_size = listening.max_associations, MAX_PDU_BYTES // 4
    entity.network_timeout = entity.dimse_timeout = SILENCE_SECONDS
    entity.acse_timeout = PATIENCE_SECONDS
    server, door = StorageServer(), _Door(listening)
    handlers = [*receiving_handlers(pynetdicom, keep), (pynetdicom.evt.EVT_REQUESTED, door.check, [server])]
    try:
        listener = entity.start_server((listening.host, listening.port), block=False, evt_handlers=handlers)
    except OSError as error:
        message = f"{listening.host}:{listening.port} cannot be listened on: {error.strerror}"
        raise EnvironmentFault(f"{message}. Is another program listening there? Choose another --port.") from error
    server.port = listener.server_address[1]
    try:
        yield server
    finally:
        listener.socket.close()  # nobody is let in any more
        _wait_for_end(entity)
        entity.shutdown()


def receiving_handlers(pynetdicom: Any, keep: Keep) -> list[Any]:  # noqa: ANN401
    """What an association needs by which instances come, also one that this program began."""
    meter, events = _Meter(), pynetdicom.evt
    return [
        (events.EVT_CONN_OPEN, meter.watch),
        (events.EVT_CONN_CLOSE, meter.forget),
        (events.EVT_DIMSE_RECV, meter.forget),
        (events.EVT_C_STORE, _receive_stored, [keep]),
    ]


def _receive_stored(event: Any, keep: Keep) -> int:  # noqa: ANN401
    """Answer a C-STORE request: the status says success when `keep` has the instance."""
    dsutils = load_extra("pynetdicom.dsutils", extra="pacs", purpose="Receiving instances")
    request = event.request
    syntax = str(event.context.transfer_syntax)
    meta = bytes(128) + b"DICM" + dsutils.encode_file_meta(event.file_meta)
    received = Received(str(request.AffectedSOPInstanceUID), syntax, meta, request.DataSet.getbuffer())
    try:
        keep(received)
    except InputError:
        return CANNOT_UNDERSTAND
    except DicomprepError:
        return OUT_OF_RESOURCES
    return SUCCESS


def load_pynetdicom(purpose: str) -> Any:  # noqa: ANN401
    """The library, told to take instances of any storage class, also private ones, in the syntax that is offered first.

    That is the one in which the peer has it, mostly: what is offered behind it would have to be made for it.
    """
    pynetdicom = load_extra("pynetdicom", extra="pacs", purpose=purpose)
    load_extra("pynetdicom.sop_class", extra="pacs", purpose=purpose)
    pynetdicom._config.UNRESTRICTED_STORAGE_SERVICE = True
    return pynetdicom


def require_title(text: str, option: str) -> str:
    """An AE title (VR AE); ConfigError where it is none."""
    title = text.strip()
    if not 1 <= len(title) <= MAX_TITLE or not title.isascii() or not title.isprintable() or "\\" in title:
        raise ConfigError(f"--{option} {text}: an AE title has 1 to {MAX_TITLE} ASCII characters and no backslash.")
    return title


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by an address that no other one reaches; ConfigError where it is none."""
    return _addresses(host) <= {"127.0.0.1", "::1"}


def _addresses(host: str) -> frozenset[str]:
    """All addresses of a host; ConfigError where it has none."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{host} is not known as a host. Give its address.") from error
    return frozenset(str(address[0]) for *_, address in found)


def _wait_for_end(entity: Any) -> None:  # noqa: ANN401
    until = time.monotonic() + PATIENCE_SECONDS
    while entity.active_associations and time.monotonic() < until:
        time.sleep(0.05)


class _Door:
    """Lets allowed peers in that call this program by its title."""

    def __init__(self, listening: Listening) -> None:
        self.title, self.peers = listening.aet.strip(), [Peer.parse(text) for text in listening.peer]

    def check(self, event: Any, server: StorageServer) -> None:  # noqa: ANN401
        """Refuse whoever may not come in."""
        association = event.assoc
        request, address = association.requestor.primitive, str(association.requestor.address)
        calling, called = str(request.calling_ae_title).strip(), str(request.called_ae_title).strip()
        address = address.removeprefix("::ffff:")
        if called != self.title:
            reason, what = CALLED_TITLE, f"called {called}, which this is not"
        elif self.peers and not any(peer.is_at(calling, address) for peer in self.peers):
            reason, what = CALLING_TITLE, "is not among --peer"
        else:
            return
        server.refused = [*server.refused[-9:], f"{calling}@{address} {what}"]
        association.acse.send_reject(REJECTED, BY_USER, reason)
        association.kill()  # waits until that is sent


class _Meter:
    """Bounds what is received at one time, in one announcement and in all, and reads the socket in larger pieces."""

    def __init__(self) -> None:
        self._lock, self._bytes = threading.Lock(), dict[Any, int]()

    def watch(self, event: Any) -> None:  # noqa: ANN401
        """From here on the bytes of a connection are counted."""
        association = event.assoc
        connection = association.dul.socket
        connection.recv = lambda length: self._receive(association, connection.socket, length)

    def forget(self, event: Any) -> None:  # noqa: ANN401
        """A message is whole, or the connection gone."""
        self._forget(event.assoc)

    def _forget(self, association: Any) -> None:  # noqa: ANN401
        with self._lock:
            self._bytes.pop(association, None)

    def _receive(self, association: Any, connection: socket.socket, length: int) -> bytearray:  # noqa: ANN401
        """So many bytes; none where the connection ends, or is to end for they are too many."""
        content = self._read(association, connection, length)
        if content is None:
            self._forget(association)
            if not association.is_established:  # whoever waits for a request to associate is told at once
                association.dul.to_user_queue.put(None)
        return content or bytearray()

    def _read(self, association: Any, connection: socket.socket, length: int) -> bytearray | None:  # noqa: ANN401
        with self._lock:
            if length > MAX_PDU_BYTES or sum(self._bytes.values()) + length > MAX_HELD_BYTES:
                return None
            self._bytes[association] = self._bytes.get(association, 0) + length
        content = bytearray(length)
        view, at = memoryview(content), 0
        while at < length:
            count = connection.recv_into(view[at:], min(length - at, READ_BYTES))
            if not count:
                return None
            at += count
        return content
