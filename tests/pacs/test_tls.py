"""DIMSE over TLS: who receives, who fetches, and those that may not."""

import socket
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from dicomprep.dicom.query_retrieve import Remote, find_studies
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.storage.dimse import Received, serving_storage
from dicomprep.storage.dimse_peers import Listening
from dicomprep.storage.dimse_tls import PASSWORD, TlsFiles
from tests.pacs.orthanc import Orthanc
from tests.pacs.peers import make_certificate, program
from tests.pacs.wire import wired
from tests.running import make_files

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[TlsFiles, TlsFiles, TlsFiles]:
    """Of this program, of a peer whom it trusts and who trusts it, and of a stranger."""
    folder = tmp_path_factory.mktemp("certificates")
    (own, own_key), (peer, peer_key), (other, other_key) = (make_certificate(folder / name) for name in "abc")
    return (
        TlsFiles(tls_cert=own, tls_key=own_key, tls_ca=peer),
        TlsFiles(tls_cert=peer, tls_key=peer_key, tls_ca=own),
        TlsFiles(tls_cert=other, tls_key=other_key, tls_ca=own),
    )


def store(port: int, file: Path, *options: object) -> int:
    command = [program("storescu"), "-aec", "DICOMPREP", *map(str, options), "127.0.0.1", str(port), str(file)]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode


def test_dcmtk_sends_by_tls_and_only_who_is_trusted_may(
    pairs: tuple[TlsFiles, TlsFiles, TlsFiles], tmp_path: Path
) -> None:
    own, peer, stranger = pairs
    make_files(tmp_path, "a.dcm")
    file, kept = tmp_path / "a.dcm", list[Received]()
    with serving_storage(Listening(port=0), kept.append, tls=own.for_listening()) as server:
        with socket.create_connection(("127.0.0.1", server.port)):  # who says nothing keeps nobody out
            assert store(server.port, file, "+tls", peer.tls_key, peer.tls_cert, "+cf", own.tls_cert) == 0
        assert len(kept) == 1
        assert store(server.port, file, "+tls", stranger.tls_key, stranger.tls_cert, "+cf", own.tls_cert) != 0
        assert store(server.port, file, "+tla", "+cf", own.tls_cert) != 0
        assert store(server.port, file) != 0
    assert len(kept) == 1
    anyone = replace(own, tls_ca=None)
    with serving_storage(Listening(port=0), kept.append, tls=anyone.for_listening()) as server:
        assert store(server.port, file, "+tla", "+cf", own.tls_cert) == 0
        assert store(server.port, file, "+tla", "+cf", stranger.tls_cert) != 0
    assert len(kept) == 2


def test_a_pacs_is_asked_by_tls(pairs: tuple[TlsFiles, TlsFiles, TlsFiles], orthanc: Orthanc) -> None:
    own, peer, stranger = pairs
    with wired(orthanc.dicom, peer.for_listening()) as wire:
        where = replace(orthanc, dicom=wire.port).remote
        assert find_studies(Remote.parse(where, "DICOMPREP", own.for_calling()), {})
        untrusting = replace(own, tls_ca=stranger.tls_cert)
        for wrong in (untrusting, stranger, replace(own, tls_cert=None, tls_key=None)):
            with pytest.raises(EnvironmentFault, match="certificates"):
                find_studies(Remote.parse(where, "DICOMPREP", wrong.for_calling()), {})


def test_the_password_of_a_key_is_that_of_the_environment_and_is_not_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path / "a", password="canary8731")
    files = TlsFiles(tls_cert=certificate, tls_key=key)
    for password in ("canary-wrong", None):
        monkeypatch.setenv(PASSWORD, password) if password else monkeypatch.delenv(PASSWORD)
        with pytest.raises(ConfigError, match=PASSWORD) as caught:
            files.for_calling()
        assert "canary" not in str(caught.value)
    monkeypatch.setenv(PASSWORD, "canary8731")
    assert isinstance(files.for_listening(), ssl.SSLContext)


def test_files_that_are_wrong_are_one_sentence(pairs: tuple[TlsFiles, TlsFiles, TlsFiles], tmp_path: Path) -> None:
    own, peer, _ = pairs
    (tmp_path / "x.pem").write_text("nothing")
    wrong = [
        (TlsFiles(tls_cert=tmp_path / "x.pem"), "--tls-cert"),
        (TlsFiles(tls_cert=tmp_path / "missing.pem"), "No such file"),
        (replace(own, tls_key=peer.tls_key), "its key"),
        (replace(own, tls_ca=tmp_path / "x.pem"), "--tls-ca"),
        (replace(own, tls_cert=None, tls_key=None), "Give --tls-cert"),
    ]
    for files, message in wrong:
        with pytest.raises(ConfigError, match=message):
            files.for_listening()
    with pytest.raises(ConfigError, match="--tls-cert"):
        TlsFiles(tls_key=own.tls_key)
