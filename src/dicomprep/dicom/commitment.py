"""Storage commitment (DICOM PS3.4 annex J): who sent instances asks whether they are safe, and is told later.

The answer is a report of its own. It goes to the port of the asking system where that is known, over an association of
its own, else over the one by which it asked, if that is still there; a report that cannot be sent is not sent again,
and who misses it asks again.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from ssl import SSLContext
from typing import Any, NamedTuple, Self

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from dicomprep.storage.dimse import PATIENCE_SECONDS, Service, load_pynetdicom
from dicomprep.storage.dimse_peers import Door, Listening, Peer
from dicomprep.storage.spool import is_uid_name

__all__ = ["Committer"]

MAX_REFERENCES = 1_000_000
"""Of one question."""

CONCURRENT_REPORTS = 4

SUCCESS, PROCESSING_FAILURE, INVALID_ARGUMENT = 0x0000, 0x0110, 0x0115
NO_SUCH_INSTANCE, CLASS_CONFLICT = 0x0112, 0x0119
"""Why an instance is not safe here (PS3.3 section C.14.1.1)."""

ALL_SAFE, SOME_ARE_NOT = 1, 2
"""Types of a report."""


class Reference(NamedTuple):
    """An instance that is asked about."""

    sop_class: str
    instance: str


class Question(NamedTuple):
    """What was asked, and by whom."""

    transaction: str
    references: tuple[Reference, ...]
    peer: Peer
    association: Any


class Committer(AbstractContextManager["Committer"]):
    """Answers questions, within a `with` block."""

    def __init__(
        self,
        listening: Listening,
        find: Callable[[Sequence[str]], Mapping[str, Sequence[Path]]],
        *,
        tls: SSLContext | None = None,
        note: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        """`find` gives the files of instances that are on the disk to stay; `note` is told what became of a report."""
        self._listening, self._find, self._tls, self._note = listening, find, tls, note
        self._pynetdicom, self._door = load_pynetdicom("Storage commitment"), Door(listening)
        self._pool = ThreadPoolExecutor(CONCURRENT_REPORTS)
        self._model = self._pynetdicom.sop_class.StorageCommitmentPushModel
        self._instance = self._pynetdicom.sop_class.StorageCommitmentPushModelInstance

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    @property
    def service(self) -> Service:
        """As `serving_storage` takes it."""
        return Service(self._model, [(self._pynetdicom.evt.EVT_N_ACTION, self._take)])

    def _take(self, event: Any) -> tuple[int, None]:  # noqa: ANN401
        """Take a question on; the answer comes later."""
        try:
            information = event.action_information
            references = tuple(map(_reference, information.ReferencedSOPSequence))
            transaction = str(information.TransactionUID)
        except Exception:  # noqa: BLE001  (pydicom raises anything, and this is somebody else's)
            return INVALID_ARGUMENT, None
        uids = [transaction, *(uid for reference in references for uid in reference)]
        if not all(map(is_uid_name, uids)) or not 1 <= len(references) <= MAX_REFERENCES:
            return INVALID_ARGUMENT, None
        peer = self._door.peer_of(event.assoc)
        self._pool.submit(self._answer, Question(transaction, references, peer, event.assoc))
        return SUCCESS, None

    def _answer(self, question: Question) -> None:
        try:
            report = self._judge(question)
            sent = self._report(question, report)
        except Exception as error:  # noqa: BLE001  (of a thread: nobody else would hear of it)
            self._note(f"storage commitment not reported: {type(error).__name__}")
            return
        safe = len(report.get("ReferencedSOPSequence", ()))
        became = "" if sent else "; the report could not be sent"
        self._note(f"storage commitment: {safe:,} of {len(question.references):,} instances are safe{became}")

    def _judge(self, question: Question) -> Dataset:
        """The report: which instances are here to stay, and which are not."""
        files = self._find([reference.instance for reference in question.references])
        report, safe, failed = Dataset(), list[Dataset](), list[Dataset]()
        for reference in question.references:
            item, reason = Dataset(), _why_not(reference, files.get(reference.instance, ()))
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference
            if reason:
                item.FailureReason = reason
            (failed if reason else safe).append(item)
        report.TransactionUID = question.transaction
        if safe:
            report.RetrieveAETitle = self._listening.aet
            report.ReferencedSOPSequence = safe
        if failed:
            report.FailedSOPSequence = failed
        return report

    def _report(self, question: Question, report: Dataset) -> bool:
        """Send a report; whether it was taken."""
        if not question.peer.port:
            return self._send(question.association, report)
        pynetdicom, peer = self._pynetdicom, question.peer
        entity = pynetdicom.AE(self._listening.aet)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = PATIENCE_SECONDS
        role = pynetdicom.build_role(self._model, scp_role=True)
        contexts = [pynetdicom.build_context(self._model)]
        title = peer.title or question.association.requestor.ae_title
        tls = (self._tls, peer.host) if self._tls is not None else None
        association = entity.associate(peer.host, peer.port, contexts, title, ext_neg=[role], tls_args=tls)
        try:
            return self._send(association, report)
        finally:
            if association.is_established:
                association.release()
            association.kill()

    def _send(self, association: Any, report: Dataset) -> bool:  # noqa: ANN401
        if not association.is_established:
            return False
        kind = SOME_ARE_NOT if "FailedSOPSequence" in report else ALL_SAFE
        status, _ = association.send_n_event_report(report, kind, self._model, self._instance)
        return bool(status and status.Status == SUCCESS)


def _reference(item: Dataset) -> Reference:
    return Reference(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))


def _why_not(reference: Reference, files: Sequence[Path]) -> int:
    """Why an instance is not safe here; 0 where it is."""
    if not files:
        return NO_SUCH_INSTANCE
    try:
        classes = {str(read_file_meta_info(path).get("MediaStorageSOPClassUID", "")) for path in files}
    except (OSError, InvalidDicomError):
        return PROCESSING_FAILURE
    return 0 if reference.sop_class in classes else CLASS_CONFLICT
