"""A lock in an object store: an object that its holder renews, so that one whose holder was killed ends by itself.

Who wants it makes the object on the condition that there is none. Where there is one it is watched: one that is not
renewed for `LEASE_SECONDS` is nobody's. No clock is compared. A store that ignores conditions is refused: there
everybody who asks would have the lock.
"""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from dicomprep.errors import EnvironmentFault
from dicomprep.storage.object_faults import FaultKind
from dicomprep.storage.objects import Bucket, RefusedError
from dicomprep.storage.paths import OWN_PREFIX

__all__ = ["LEASE", "Lease", "LeaseTakenError"]

LEASE = f"{OWN_PREFIX}.lock"
"""The object."""

LEASE_SECONDS, RENEWED_SECONDS = 15.0, 4.0
"""A lease counts so long without being renewed; it is renewed so often."""

_PROBE = f"{OWN_PREFIX}.probe"


class LeaseTakenError(Exception):
    """Somebody else has it, and renews it."""


@dataclass(slots=True)
class Lease:
    """A lock on an address. `holder` tells data sets apart, without saying where they are."""

    address: str
    holder: str
    is_sole: bool = False
    """Another lock says already that no other process has this data set: what it left here is taken at once."""
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    lost: bool = False
    """Somebody else has taken it."""
    _bucket: Bucket = field(init=False)

    def __post_init__(self) -> None:
        self._bucket = Bucket(self.address)

    @contextmanager
    def held(self) -> Iterator["Lease"]:
        """Have it until the end of the block.

        Raises LeaseTakenError where another has it, EnvironmentFault where the store fails.
        """
        self._take()
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=[ended], name="dicomprep lease", daemon=True)
        renewing.start()
        try:
            yield self
        finally:
            ended.set()
            renewing.join()
            self._give_back()

    def is_free(self) -> bool:
        """Whether nobody seems to have it."""
        return not self._read()

    def _take(self) -> None:
        self._require_conditions()
        if not self._make():
            self._wait_for_its_end()
            self._bucket.delete([LEASE])
            if not self._make():
                raise LeaseTakenError

    def _make(self) -> bool:
        """Write it; False where there is one."""
        content = json.dumps({"holder": self.holder, "token": self.token, "beat": secrets.token_hex(4)})
        try:
            self._bucket.put(LEASE, content.encode(), create=True)
        except RefusedError as error:
            if error.fault.kind is FaultKind.EXISTS:
                return self._read().get("token") == self.token  # a put whose answer was lost, and that was tried again
            raise _fault(self.address, error) from error
        return True

    def _wait_for_its_end(self) -> None:
        """Return when what is there is nobody's."""
        first = self._read()
        if not first or (self.is_sole and first.get("holder") == self.holder):
            return
        until = time.monotonic() + LEASE_SECONDS
        while time.monotonic() < until:
            time.sleep(0.5)
            if self._read() != first:
                raise LeaseTakenError

    def _read(self) -> dict[str, str]:
        """What it says; nothing where there is none."""
        try:
            said = json.loads(self._bucket.get(LEASE).content)
        except RefusedError as error:
            if error.fault.kind is FaultKind.MISSING:
                return {}
            raise _fault(self.address, error) from error
        except (ValueError, RecursionError):
            return {"token": "unreadable"}
        return said if isinstance(said, dict) else {"token": "unreadable"}

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(RENEWED_SECONDS):
            with suppress(EnvironmentFault):  # whoever writes images says so, too
                if self._read().get("token") != self.token:
                    self.lost = True
                    return
                self._make_anew()

    def _make_anew(self) -> None:
        content = json.dumps({"holder": self.holder, "token": self.token, "beat": secrets.token_hex(4)})
        with suppress(RefusedError):
            self._bucket.put(LEASE, content.encode())

    def _give_back(self) -> None:
        with suppress(EnvironmentFault, RefusedError):
            if self._read().get("token") == self.token:
                self._bucket.delete([LEASE])

    def _require_conditions(self) -> None:
        """EnvironmentFault where the store makes what is there already, though it was told to refuse that."""
        probe, refused = f"{_PROBE}-{self.token}", False
        try:
            self._bucket.put(probe, b"1")
            self._bucket.put(probe, b"2", create=True)
        except RefusedError as error:
            if error.fault.kind is not FaultKind.EXISTS:
                raise _fault(self.address, error) from error
            refused = True
        with suppress(RefusedError):
            self._bucket.delete([probe])
        if not refused:
            message = f"{self.address} cannot be locked: its server ignores conditions of writes (If-None-Match)"
            raise EnvironmentFault(
                f"{message}, so that two runs could write there at once. Use a newer server, or write to a folder."
            )


def _fault(address: str, error: RefusedError) -> EnvironmentFault:
    return EnvironmentFault(f"{address} cannot be written to: {error.fault.reason}.")
