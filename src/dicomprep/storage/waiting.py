"""How long a server is waited for, and who is told meanwhile that something still goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["PATIENCE_SECONDS", "Waiting", "waiting", "waiting_for"]

PATIENCE_SECONDS = 120.0
"""Of a server that does not answer, or says that it cannot for now."""


class Waiting(NamedTuple):
    """What is done while a server does not answer."""

    seconds: float
    heartbeat: Callable[[], None]


_ALONE = Waiting(PATIENCE_SECONDS, lambda: None)
_waiting: ContextVar[Waiting] = ContextVar("waiting", default=_ALONE)


def waiting() -> Waiting:
    """As it is now."""
    return _waiting.get()


@contextmanager
def waiting_for(seconds: float, heartbeat: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Within the block servers are waited for so long; `heartbeat` is called at every try and every piece."""
    token = _waiting.set(Waiting(seconds, heartbeat))
    try:
        yield
    finally:
        _waiting.reset(token)
