"""`dicomprep receive`: what was acknowledged is there, whole, and images are made of it; nobody else is let in."""

import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pynetdicom
import pytest
from pydicom import dcmread
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from dicomprep.cli.defaults import default_options
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.storage import dimse
from dicomprep.storage.dimse import Received, serving_storage
from dicomprep.storage.dimse_peers import Listening
from tests.pacs.peers import data_set_of, data_sets, facts, program, receiving, send
from tests.running import Place, make_files, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@contextmanager
def associated(port: int, title: str = "SENDER") -> Iterator[Any]:
    """An association of a peer that offers what it has in one syntax."""
    entity = pynetdicom.AE(title)
    entity.add_requested_context(pynetdicom.sop_class.SecondaryCaptureImageStorage, "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", port, ae_title="DICOMPREP")
    with closing(association.dul.socket.socket):  # pynetdicom leaves it open where the other side has ended it
        yield association
        association.abort()


@contextmanager
def served(*, keep: Any = lambda _received: None, **options: Any) -> Iterator[dimse.StorageServer]:
    with serving_storage(Listening(**{"port": 0} | options), keep) as server:
        yield server


def echo(port: int, *options: str) -> int:
    command = [program("echoscu"), *options, "127.0.0.1", str(port)]
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode


def test_what_arrives_becomes_images_as_it_would_from_a_folder(tmp_path: Path) -> None:
    """The same data sets, images, states, patients and splits; one that comes twice is there once."""
    folder = Place(tmp_path / "a")
    make_files(folder.source, "s1/a.dcm", "s1/b.dcm", "s2/c.dcm:3", "s2/d.dcm")
    (folder.source / "s2" / "d.dcm").write_bytes(data_set_without_rows(folder.source / "s2" / "d.dcm"))
    folder.run(size=224)
    place = Place(tmp_path / "b")
    place.base.mkdir()
    shutil.copy(f"{folder.db}.key", f"{place.db}.key")
    with receiving(place, "--every", 0, "--workers", 2) as (receiver, port):
        assert echo(port, "-aec", "DICOMPREP") == 0
        assert send(port, folder.source).returncode == 0
        assert send(port, folder.source).returncode == 0
        assert wait_until(lambda: place.recorded("files") == 4, 30)
        receiver.signal(signal.SIGTERM)
        output, errors = receiver.process.communicate(timeout=20)
        assert receiver.process.returncode == 0, errors
    assert facts(place) == facts(folder)
    assert data_sets(place.source) == data_sets(folder.source)
    assert "4 received again" in output
    assert re.search(r" 4 received[;\n]", output)
    assert {path.stat().st_mode & 0o077 for path in place.source.rglob("*")} == {0}


def data_set_without_rows(path: Path) -> bytes:
    """A file that nothing can be drawn of."""
    content = path.read_bytes()
    return content.replace(b"\x28\0\x10\0US\2\0\x0c\0", b"\x28\0\x10\0US\2\0\0\0")


def test_a_receiver_that_is_killed_has_what_it_acknowledged(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_files(tmp_path / "sent", "a.dcm")
    instance = dcmread(tmp_path / "sent" / "a.dcm")
    acknowledged = []
    with receiving(place, "--store-only") as (receiver, port), associated(port) as association:
        for number in range(200):
            instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
            if number == 60:
                receiver.signal(signal.SIGKILL)
            status = association.send_c_store(instance)
            if not status or status.Status != 0:
                break
            acknowledged.append(number)
    assert 60 <= len(acknowledged) < 200
    kept = {path.name: path for path in place.source.rglob("*.dcm")}
    assert {f"1.2.3.{number}.dcm" for number in acknowledged} <= set(kept)
    length = len(data_set_of(next(iter(kept.values()))))
    assert all(abs(len(data_set_of(path)) - length) <= 4 for path in kept.values())


def test_an_association_that_is_cut_leaves_no_half_of_an_instance(tmp_path: Path) -> None:
    kept: list[str] = []
    with served(keep=lambda received: kept.append(received.instance)) as server:
        make_files(tmp_path, "a.dcm", "b.dcm")
        with associated(server.port) as association:
            assert association.send_c_store(tmp_path / "a.dcm").Status == 0
            for part in parts_of(dcmread(tmp_path / "b.dcm"), association)[:-1]:
                association.dul.send_pdu(part)
            assert wait_until(association.dul.to_provider_queue.empty, 5)
    assert kept == [str(dcmread(tmp_path / "a.dcm").SOPInstanceUID)]


def parts_of(instance: Any, association: Any) -> list[Any]:
    """A C-STORE request in its parts."""
    request = C_STORE()
    request.MessageID, request.Priority = 7, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = instance.SOPClassUID, instance.SOPInstanceUID
    request.DataSet = BytesIO(pynetdicom.dsutils.encode(instance, False, True))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    return list(message.encode_msg(association.accepted_contexts[0].context_id, 100))


@pytest.mark.parametrize(
    ("peer", "calling", "called", "code"),
    [
        ((), "ANYBODY", "DICOMPREP", 0),
        ((), "ANYBODY", "OTHER", 1),
        (("CT1", "CT2"), "CT2", "DICOMPREP", 0),
        (("CT1",), "CT3", "DICOMPREP", 1),
        (("CT1@127.0.0.1",), "CT1", "DICOMPREP", 0),
        (("CT1@192.0.2.1",), "CT1", "DICOMPREP", 1),
        (("@127.0.0.1",), "CT9", "DICOMPREP", 0),
    ],
)
def test_only_peers_that_are_allowed_and_know_the_title_come_in(
    peer: tuple[str, ...], calling: str, called: str, code: int
) -> None:
    with served(peer=peer) as server:
        assert echo(server.port, "-aet", calling, "-aec", called) == code
    assert len(server.refused) == code
    assert all(who.startswith(f"{calling}@127.0.0.1") for who in server.refused)


def test_who_announces_too_much_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A PDU of 4 GB; and a data set that goes on and on."""
    monkeypatch.setattr(dimse, "MAX_HELD_BYTES", 3000)
    kept: list[Received] = []
    with served(keep=kept.append) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
            peer.sendall(struct.pack(">BBL", 1, 0, 2**32 - 1) + bytes(100))
            assert peer.recv(1000) in (b"", struct.pack(">BBLL", 7, 0, 4, 0))
        make_files(tmp_path, "a.dcm")
        instance = dcmread(tmp_path / "a.dcm")
        with associated(server.port) as association:
            assert association.send_c_store(instance).Status == 0
            instance.PatientComments = "x" * 5000
            assert "Status" not in association.send_c_store(instance)
    assert len(kept) == 1


def test_a_spool_that_is_full_says_so_to_whoever_sends(tmp_path: Path) -> None:
    def keep(_received: Received) -> None:
        raise EnvironmentFault("full")

    make_files(tmp_path, "a.dcm")
    with served(keep=keep) as server, associated(server.port) as association:
        assert association.send_c_store(tmp_path / "a.dcm").Status == 0xA700


def test_other_machines_are_let_in_only_where_it_is_said_which() -> None:
    with pytest.raises(ConfigError, match="--peer AET@HOST"):
        Listening(host="0.0.0.0")
    assert Listening(host="0.0.0.0", peer=("CT1",)).peer == ("CT1",)


@pytest.mark.parametrize(
    "options",
    [{"aet": "A TITLE THAT IS TOO LONG"}, {"aet": ""}, {"aet": "A\\B"}, {"port": 70_000}, {"peer": ("@",)}],
)
def test_what_cannot_be_is_refused_before_anything_listens(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--"), served(**options):
        pass


def test_a_port_that_is_taken_is_one_sentence() -> None:
    taken = pytest.raises(EnvironmentFault, match="Choose another --port")
    with served() as server, taken, served(port=server.port):
        pass


def test_who_only_connects_keeps_nobody_out() -> None:
    with served(max_associations=2) as server:
        for _ in range(6):
            socket.create_connection(("127.0.0.1", server.port)).close()
        assert wait_until(lambda: echo(server.port, "-aec", "DICOMPREP") == 0, 5)


def test_who_stops_in_the_midst_of_an_announcement_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dimse, "SILENCE_SECONDS", 0.5)
    make_files(tmp_path, "a.dcm")
    with served(max_associations=1) as server, associated(server.port) as association:
        part = parts_of(dcmread(tmp_path / "a.dcm"), association)[0]
        association.dul.send_pdu(part)
        assert wait_until(association.dul.to_provider_queue.empty, 5)
        association.dul.socket.socket.sendall(struct.pack(">BBL", 4, 0, 1000) + bytes(10))
        assert wait_until(lambda: echo(server.port, "-aec", "DICOMPREP") == 0, 8)


def test_without_pynetdicom_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    with pytest.raises(ConfigError, match=r"pip install 'dicomprep\[pacs\]'"), served():
        pass


def test_an_option_of_images_counts_from_the_users_file_one_of_networks_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dicomprep.toml").write_text('size = 64\nhost = "0.0.0.0"\nport = 1\n')
    monkeypatch.chdir(tmp_path)
    assert [(key, values) for _, key, values in default_options(("receive",), ())] == [("size", ["64"])]
