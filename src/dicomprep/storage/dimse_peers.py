"""Who may send by DIMSE, where they find this program, and who is not let in."""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from dicomprep.errors import ConfigError

__all__ = ["Door", "Listening", "Peer", "is_loopback", "require_title"]

MAX_TITLE = 16
"""Characters of an AE title at most."""

REJECTED, BY_USER, CALLING_TITLE, CALLED_TITLE = 1, 1, 3, 7
"""PS3.8 section 9.3.4: result, source, and two reasons."""


class Peer(NamedTuple):
    """Who may send: an AE title, an address, or both; an empty one may be any."""

    title: str
    host: str = ""
    port: int = 0
    """Where it listens itself; 0 where that was not said."""
    addresses: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """A peer as it is given: `AET`, `AET@HOST`, `AET@HOST:PORT` or `@HOST`; ConfigError where it is none.

        >>> Peer.parse("PACS@127.0.0.1:104").port
        104
        """
        match = re.fullmatch(r"([^@]*)(?:@(\[[0-9a-fA-F:.]+\]|[^\s:@/\[\]]+)(?::(\d{1,5}))?)?", text)
        if match is None or not (match[1] or match[2]) or not 0 <= int(match[3] or 0) <= 65535:
            raise ConfigError(f"--peer {text}: give AET, AET@HOST, AET@HOST:PORT or @HOST.")
        host = (match[2] or "").strip("[]")
        title = require_title(match[1], "peer") if match[1] else ""
        return cls(title, host, int(match[3] or 0), _addresses(host) if host else frozenset())

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
    """Who may send: AET, AET@HOST or @HOST, repeatable; AET@HOST:PORT also says where it takes reports of storage
    commitment. On this machine alone, by default anybody may."""
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


class Door:
    """Lets allowed peers in that call this program by its title."""

    def __init__(self, listening: Listening) -> None:
        self.title, self.peers = listening.aet.strip(), [Peer.parse(text) for text in listening.peer]

    def peer_of(self, association: Any) -> Peer:  # noqa: ANN401
        """The peer that calls, as it was given; else one of which no more is known than what it says."""
        calling, _, address = _caller_of(association)
        found = (peer for peer in self.peers if peer.port and peer.is_at(calling, address))
        return next(found, Peer(calling, address))

    def check(self, event: Any, note: Callable[[str], None]) -> None:  # noqa: ANN401
        """Refuse whoever may not come in, and note who it was and why."""
        association = event.assoc
        calling, called, address = _caller_of(association)
        if called != self.title:
            reason, what = CALLED_TITLE, f"called {called}, which this is not"
        elif self.peers and not any(peer.is_at(calling, address) for peer in self.peers):
            reason, what = CALLING_TITLE, "is not among --peer"
        else:
            return
        note(f"{calling}@{address} {what}")
        association.acse.send_reject(REJECTED, BY_USER, reason)
        association.kill()  # waits until that is sent


def _caller_of(association: Any) -> tuple[str, str, str]:  # noqa: ANN401
    """Who calls, whom, and from where."""
    request = association.requestor.primitive
    address = str(association.requestor.address).removeprefix("::ffff:")
    return str(request.calling_ae_title).strip(), str(request.called_ae_title).strip(), address
