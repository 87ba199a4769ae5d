"""A Storage SCP (DICOM PS3.4 annex B): what other systems send by C-STORE is handed over, then acknowledged.

Nothing that a peer says is trusted: it is told by address and titles, what it sends is bounded, and no part of it is
taken apart here.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dicomprep.errors import DicomprepError, EnvironmentFault, InputError
from dicomprep.extras import load_extra
from dicomprep.storage.dimse_peers import Door, Listening
from dicomprep.storage.spool import Content

__all__ = [
    "Keep",
    "Received",
    "Service",
    "StorageServer",
    "load_pynetdicom",
    "receiving_handlers",
    "serving_storage",
]

MAX_HELD_BYTES = 2**31
"""Of all that is being received at one time; it is in memory until it is whole."""

MAX_PDU_BYTES, READ_BYTES = 2**20, 2**18
"""Of what a peer may announce at once, and of what is asked of the socket at once."""

SILENCE_SECONDS = 60.0
"""Without a byte from a peer; after that the association is ended."""

PATIENCE_SECONDS = 10.0
"""What associations are given to begin, and at the end of all to end by themselves."""

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000


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


class Service(NamedTuple):
    """Something else that is offered beside storage."""

    sop_class: str
    """Its UID."""
    handlers: list[Any]
    """(event of pynetdicom, who is called)"""


@dataclass(slots=True)
class StorageServer:
    """What a Storage SCP that is running knows."""

    port: int = 0
    refused: list[str] = field(default_factory=list)
    """Who was not let in, and why; in order, the last few."""

    def note_refusal(self, who: str) -> None:
        """Keep the last ten."""
        self.refused = [*self.refused[-9:], who]


@contextmanager
def serving_storage(
    listening: Listening, keep: Keep, *, tls: ssl.SSLContext | None = None, services: Sequence[Service] = ()
) -> Iterator[StorageServer]:
    """Listen, in threads of this process, until the end of the block; what was acknowledged has been kept.

    Raises ConfigError without pynetdicom, EnvironmentFault where the address cannot be listened on.
    """
    pynetdicom = load_pynetdicom("Receiving instances")
    server, entity = StorageServer(), _make_entity(pynetdicom, listening)
    handlers = receiving_handlers(pynetdicom, keep)
    handlers.append((pynetdicom.evt.EVT_REQUESTED, Door(listening).check, [server.note_refusal]))
    for service in services:
        entity.add_supported_context(service.sop_class)
        handlers += service.handlers
    where = (listening.host, listening.port)
    try:
        listener = entity.start_server(where, block=False, evt_handlers=handlers, ssl_context=tls)
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


def _make_entity(pynetdicom: Any, listening: Listening) -> Any:  # noqa: ANN401
    entity = pynetdicom.AE(listening.aet)
    entity.add_supported_context(pynetdicom.sop_class.Verification)
    entity.maximum_associations, entity.maximum_pdu_size = listening.max_associations, MAX_PDU_BYTES // 4
    entity.network_timeout = entity.dimse_timeout = SILENCE_SECONDS
    entity.acse_timeout = PATIENCE_SECONDS
    return entity


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


def _wait_for_end(entity: Any) -> None:  # noqa: ANN401
    until = time.monotonic() + PATIENCE_SECONDS
    while entity.active_associations and time.monotonic() < until:
        time.sleep(0.05)


class _Meter:
    """Bounds what is received at one time, in one announcement and in all, and reads the socket in larger pieces."""

    def __init__(self) -> None:
        self._lock, self._bytes = threading.Lock(), dict[Any, int]()

    def watch(self, event: Any) -> None:  # noqa: ANN401
        """From here on the bytes of a connection are counted."""
        association = event.assoc
        connection = association.dul.socket
        connection.socket.settimeout(SILENCE_SECONDS)  # half of an announcement is not waited for any longer
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
