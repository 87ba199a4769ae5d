"""Storage commitment: who sent instances is told which of them are safe, and of no other ones."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pynetdicom
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from tests.pacs.orthanc import Orthanc
from tests.pacs.peers import receiving, send
from tests.running import Place, make_files, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

SECONDARY, CT = pynetdicom.sop_class.SecondaryCaptureImageStorage, pynetdicom.sop_class.CTImageStorage


@contextmanager
def asking(port: int, heard: list[Any]) -> Iterator[Any]:
    """An association of one who asks, and hears reports over it."""

    def hear(event: Any) -> tuple[int, None]:
        heard.append((event.request.EventTypeID, event.event_information))
        return 0, None

    entity = pynetdicom.AE("SENDER")
    entity.add_requested_context(StorageCommitmentPushModel)
    handlers = [(pynetdicom.evt.EVT_N_EVENT_REPORT, hear)]
    association = entity.associate("127.0.0.1", port, ae_title="DICOMPREP", evt_handlers=handlers)
    assert association.is_established
    yield association
    association.release()


def ask(association: Any, *references: tuple[str, str], transaction: str = "1.2.3") -> int:
    question = Dataset()
    question.TransactionUID, question.ReferencedSOPSequence = transaction, []
    for sop_class, instance in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        question.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(question, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
    return int(status.Status)


def told(report: Dataset, name: str) -> set[str]:
    return {str(item.ReferencedSOPInstanceUID) for item in report.get(name, ())}


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_what_is_on_the_disk_is_safe_and_nothing_else(tmp_path: Path) -> None:
    """By the association that asked; what was sent with other content, too, and what was removed not."""
    place, heard = Place(tmp_path), list[Any]()
    make_files(tmp_path / "sent", "a.dcm", "b.dcm", "c.dcm")
    uids = [str(dcmread(tmp_path / "sent" / name).SOPInstanceUID) for name in ("a.dcm", "b.dcm", "c.dcm")]
    with receiving(place, "--store-only") as (_, port):
        assert send(port, tmp_path / "sent").returncode == 0
        next(place.source.rglob(f"{uids[2]}.dcm")).unlink()
        with asking(port, heard) as association:
            assert ask(association, *((SECONDARY, uid) for uid in uids[:2])) == 0
            assert wait_until(lambda: len(heard) == 1, 15)
            others = ((SECONDARY, uids[0]), (CT, uids[1]), (SECONDARY, uids[2]))
            assert ask(association, *others, transaction="1.2.4") == 0
            assert wait_until(lambda: len(heard) == 2, 15)
            assert ask(association) != 0
            assert ask(association, (SECONDARY, "../../etc")) != 0
            assert ask(association, (SECONDARY, uids[0]), transaction="../x") != 0
    (kind, report), (second_kind, second) = heard
    assert (kind, report.TransactionUID) == (1, "1.2.3")
    assert told(report, "ReferencedSOPSequence") == set(uids[:2])
    assert (second_kind, second.TransactionUID) == (2, "1.2.4")
    assert told(second, "ReferencedSOPSequence") == {uids[0]}
    reasons = {str(item.ReferencedSOPInstanceUID): item.FailureReason for item in second.FailedSOPSequence}
    assert reasons == {uids[1]: 0x0119, uids[2]: 0x0112}


def test_a_pacs_that_asks_is_told_at_its_own_port(orthanc: Orthanc, tmp_path: Path) -> None:
    """Orthanc closes the association by which it asked, and waits."""
    place = Place(tmp_path)
    peer = f"ORTHANC@127.0.0.1:{orthanc.dicom}"
    name = json.loads(orthanc.ask("/instances"))[0]
    tags = json.loads(orthanc.ask(f"/instances/{name}/simplified-tags"))
    with receiving(place, "--store-only", "--peer", peer, port=orthanc.move_to) as (_, _port):
        orthanc.ask("/modalities/me/store", content=name.encode(), method="POST")
        here = [tags["SOPClassUID"], tags["SOPInstanceUID"]]
        question = json.dumps({"DicomInstances": [here, [here[0], "1.2.3"]]}).encode()
        answer = json.loads(orthanc.ask("/modalities/me/storage-commitment", content=question, method="POST"))

        def outcome() -> dict[str, Any]:
            return json.loads(orthanc.ask(answer["Path"]))  # type: ignore[no-any-return]

        assert wait_until(lambda: outcome()["Status"] != "Pending", 20), outcome()
    assert outcome()["Status"] == "Failure"
    assert [one["SOPInstanceUID"] for one in outcome()["Success"]] == [here[1]]
    assert [one["SOPInstanceUID"] for one in outcome()["Failures"]] == ["1.2.3"]


def test_who_asks_and_goes_away_keeps_nobody_waiting(tmp_path: Path) -> None:
    heard = list[Any]()
    with receiving(Place(tmp_path), "--store-only") as (_, port):
        for _ in range(3):
            with asking(port, heard) as association:
                ask(association, (SECONDARY, "1.2.3"))
                association.abort()
        with asking(port, heard) as association:
            assert ask(association, (SECONDARY, "1.2.3"), transaction="1.9") == 0
            assert wait_until(lambda: any(report.TransactionUID == "1.9" for _, report in heard), 30)
