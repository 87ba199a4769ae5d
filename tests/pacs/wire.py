"""A wire between two that talk by TCP: it counts connections, and cuts one where a test wants that."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PIECE_BYTES = 2**14

RELEASED = bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0))
"""A-RELEASE-RP: with it an association has ended, and its connection soon will."""


@dataclass
class Wire:
    """What it carried."""

    port: int
    cut: Callable[[int], bool] = lambda _total: False
    """cut(bytes that it has carried in all) → whether the connection ends here, without a word."""
    most: int = 0
    """Connections at one time, without those of associations that have ended."""
    opened: int = 0
    total: int = 0
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, near: socket.socket) -> None:
        with self._lock:
            self._open.add(near)
            self.opened += 1
            self.most = max(self.most, len(self._open))

    def end(self, near: socket.socket) -> None:
        with self._lock:
            self._open.discard(near)

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        """All that comes, until one of them ends, or it is cut."""
        with suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                with self._lock:
                    self.total += len(piece)
                    is_cut = self.cut(self.total)
                if is_cut:
                    break
                if piece.endswith(RELEASED):
                    self.end(target)
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def wired(to: int, tls: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """A wire to a port of this machine; with `tls`, who comes in has to speak that."""
    listener = socket.create_server(("127.0.0.1", 0))
    wire = Wire(listener.getsockname()[1])
    threads = []

    def serve(near: socket.socket) -> None:
        with suppress(OSError):
            near = tls.wrap_socket(near, server_side=True) if tls else near
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", to), timeout=30) as far:
            wire.begin(near)
            back = threading.Thread(target=wire.carry, args=(far, near), daemon=True)
            back.start()
            wire.carry(near, far)
            back.join()
            wire.end(near)

    def listen() -> None:
        with suppress(OSError):
            while True:
                threads.append(threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=listen, daemon=True)
    accepting.start()
    try:
        yield wire
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [accepting, *threads]:
            thread.join(5)
