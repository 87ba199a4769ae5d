"""What comes from other systems by DIMSE goes into the spool, by its study; how much came is counted."""

import threading
import zlib
from collections import Counter
from dataclasses import dataclass, field

from dicomprep.dicom.sniff import read_series_uids
from dicomprep.errors import DicomprepError, EnvironmentFault
from dicomprep.pixels.codecs.transfer_syntaxes import DEFLATED_LITTLE_ENDIAN
from dicomprep.storage.dimse import Received
from dicomprep.storage.spool import Kept, Spool

__all__ = ["Intake"]

MAX_SEARCHED_BYTES = 2**20
"""Of a data set, in which its study is looked for."""


@dataclass(slots=True)
class Intake:
    """Takes instances over from any number of associations."""

    spool: Spool
    arrived: threading.Event = field(default_factory=threading.Event)
    """Something new is in the spool."""
    counts: Counter[str] = field(default_factory=Counter)
    """Instances by what became of them: `Kept`, or why they were refused."""
    notes_syntaxes: bool = False
    """Whether somebody asks how things came (and takes it from `syntaxes`)."""
    syntaxes: dict[str, str] = field(default_factory=dict)
    """Transfer syntaxes of what came, by SOP Instance UID."""
    fault: str = ""
    """Why nothing more can be kept: the disk, or its limit."""
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, received: Received) -> None:
        """See `storage.dimse.Keep`."""
        try:
            kept = self.spool.keep(_study_of(received), received.instance, received.content)
        except DicomprepError as error:
            self.fault = str(error) if isinstance(error, EnvironmentFault) else ""
            self._count(str(error), received)
            raise
        self.fault = ""
        self._count(kept, received)
        if kept is not Kept.KNOWN:
            self.arrived.set()

    def take_counts(self) -> Counter[str]:
        """What came since this was asked last."""
        with self._counting:
            counts, self.counts = self.counts, Counter()
        return counts

    def _count(self, what: str, received: Received) -> None:
        with self._counting:
            self.counts[what] += 1
            if self.notes_syntaxes:
                self.syntaxes[received.instance] = received.transfer_syntax


def _study_of(received: Received) -> str:
    """The Study Instance UID that stands in a data set; empty where none is found."""
    head = bytes(received.dataset[:MAX_SEARCHED_BYTES])
    if received.transfer_syntax == DEFLATED_LITTLE_ENDIAN:
        try:
            head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, MAX_SEARCHED_BYTES)
        except zlib.error:
            return ""
    return read_series_uids(head).study_instance_uid or ""
