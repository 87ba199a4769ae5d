"""Credentials are nowhere: not in the database, messages, exports, pages or the report; from no kind of server."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pacs.conftest import Reference, orthanc, reference
from tests.pacs.orthanc import PASSWORD, USER, Orthanc
from tests.pacs.peers import make_certificate, program, receiving
from tests.pages import serving
from tests.running import Place, cli, make_files, wait_until
from tests.services.faulty_proxy import proxying
from tests.services.gateway import ACCESS_KEY, SECRET_KEY, Gateway

__all__ = ["orthanc", "reference"]

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning")

CANARY = "canary8731"
PAGES = ("/", "/gallery", "/gallery/tiles", "/overview", "/agreement", "/failures", "/failures/state", "/progress")


class Said:
    """All that was said of a place, and all that was written."""

    def __init__(self, place: Place) -> None:
        self.place, self.texts = place, dict[str, bytes]()

    def ask(self, *arguments: object, code: int = 0) -> None:
        """A command, which ends as it should."""
        done = cli(self.place.base, *arguments)
        assert done.returncode == code, done.stderr
        self.texts[" ".join(map(str, arguments))] = (done.stdout + done.stderr).encode()

    def ask_everything(self) -> None:
        """What shows anything of a data set."""
        db = ("--db", self.place.db)
        self.ask("status", "--failures", *db)
        self.ask("report", "report.html", *db)
        self.ask("export", "csv", "export", *db, "--with-paths", "--with-uids")
        self.ask("labels", "export", "labels.csv", *db, "--with-paths")
        with serving(self.place) as pages:
            for page in PAGES:
                self.texts[page] = pages.ask("GET", page)[1]

    def places_of(self, *secrets: str) -> Iterator[str]:
        """Where one of the secrets stands."""
        written = {str(path): path.read_bytes() for path in self.place.base.rglob("*") if path.is_file()}
        for where, content in (self.texts | written).items():
            if any(secret.encode() in content for secret in secrets):
                yield where


def test_of_dicomweb_servers(
    orthanc: Orthanc, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Password, token, a certificate's password, and queries, which name patients; where they are right and wrong."""
    said = Said(reference.new_place(tmp_path / "a"))
    where = ("--db", said.place.db, "--output-dir", said.place.output, "--timeout", 2)
    certificate, key = make_certificate(tmp_path / "certificate", password=CANARY)
    login = {"USER": USER, "PASSWORD": PASSWORD, "CERT": certificate, "KEY": key, "KEY_PASSWORD": CANARY}
    for name, value in login.items():
        monkeypatch.setenv(f"DICOMWEB_{name}", str(value))
    with proxying(f"http://127.0.0.1:{orthanc.http}") as proxy:
        bad = sorted(reference.stored)[0]
        proxy.fault = lambda _method, path, _number: "500 x" if path.endswith(bad) else None
        address = f"dicomweb+{proxy.endpoint}/dicom-web"
        said.ask("preprocess", f"{address}?PatientName={CANARY}*&StudyDate=-20401231", *where)
        said.ask("preprocess", address, *where)
        said.ask("inspect", said.place.rows("SELECT path FROM inputs WHERE status = 'done'")[0])
        said.ask("preprocess", address.replace("://", f"://{CANARY}:{CANARY}@"), *where, code=2)
        said.ask("preprocess", f"{address}?access_token={CANARY}", *where, code=2)
        monkeypatch.setenv("DICOMWEB_KEY_PASSWORD", f"{CANARY}-wrong")
        said.ask("preprocess", address, *where, code=2)
        for name in ("KEY", "CERT", "KEY_PASSWORD", "USER"):
            monkeypatch.delenv(f"DICOMWEB_{name}")
        monkeypatch.setenv("DICOMWEB_TOKEN", CANARY)
        said.ask("preprocess", address, *where, code=3)
    said.ask_everything()
    assert list(said.places_of(CANARY, PASSWORD)) == []


def test_of_object_stores(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Said(Place(tmp_path / "a"))
    make_files(tmp_path / "files", "s/a.dcm", "s/b.dcm:2")
    (tmp_path / "files" / "broken.dcm").write_bytes(b"nothing")
    bucket = gateway.new_bucket()
    gateway.fill(bucket, tmp_path / "files", "in/")
    said.place.base.mkdir()
    where = ("--db", said.place.db, "--output-dir", said.place.output, "--timeout", 2)
    said.ask("preprocess", f"s3://{bucket}/in", *where)
    said.ask("preprocess", f"s3://{CANARY}:{CANARY}@{bucket}/in", *where, code=2)
    said.ask("preprocess", f"https://127.0.0.1:1/a.dcm?X-Amz-Signature={CANARY}", *where, code=2)
    said.ask_everything()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    said.ask("preprocess", f"s3://{bucket}/in", *where, code=3)
    assert list(said.places_of(CANARY, ACCESS_KEY, SECRET_KEY)) == []


def test_of_dimse_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Said(Place(tmp_path / "a"))
    said.place.base.mkdir()
    make_files(tmp_path / "files", "a.dcm")
    certificate, key = make_certificate(tmp_path / "certificate", password=CANARY)
    monkeypatch.setenv("DICOMPREP_TLS_PASSWORD", CANARY)
    with receiving(said.place, "--every", 0, "--tls-cert", certificate, "--tls-key", key) as (run, port):
        options = ("-aec", "DICOMPREP", "+tla", "+cf", str(certificate), "127.0.0.1", str(port))
        sent = subprocess.run([program("storescu"), *options, tmp_path / "files" / "a.dcm"], timeout=30, check=False)
        assert sent.returncode == 0
        assert wait_until(lambda: said.place.recorded() == 1, 30)
        run.process.terminate()
        said.texts["receive"] = "".join(run.process.communicate(timeout=30)).encode()
    monkeypatch.setenv("DICOMPREP_TLS_PASSWORD", f"{CANARY}-wrong")
    said.ask("receive", "--tls-cert", certificate, "--tls-key", key, code=2)
    said.ask(
        "fetch", "--from", "A@127.0.0.1:1", "--date", "20240101", "--tls-cert", certificate, "--tls-key", key, code=2
    )
    said.ask_everything()
    assert list(said.places_of(CANARY)) == []
