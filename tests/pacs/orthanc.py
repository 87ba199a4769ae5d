"""Orthanc, with DICOMweb, on this machine alone: a PACS for the tests."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dicomprep.dicom.sniff import sniff
from tests.pacs.peers import free_port

USER, PASSWORD = "lab", "a canary of a password"

UNSENT = ("rtdose_rle.dcm", "rtdose_rle_1frame.dcm")
"""It keeps them and cannot send them by DIMSE, in whatever syntax."""


@dataclass(frozen=True)
class Orthanc:
    """A running server and its ports."""

    http: int
    dicom: int
    move_to: int
    """Where it sends what DICOMPREP asks for by C-MOVE."""

    @property
    def remote(self) -> str:
        return f"ORTHANC@127.0.0.1:{self.dicom}"

    @property
    def web(self) -> str:
        return f"dicomweb+http://127.0.0.1:{self.http}/dicom-web"

    def ask(self, path: str, *, content: bytes | None = None, method: str | None = None) -> bytes:
        """What its own interface answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data=content, method=method)
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def keep(self, *files: Path) -> None:
        """Give it files; what it does not want is left out."""
        for file in files:
            with suppress(urllib.error.HTTPError):
                self.ask("/instances", content=file.read_bytes())

    @contextmanager
    def having(self, file: Path) -> Iterator[str]:
        """Within the block it has one file more, whose name in its own interface this is."""
        name = json.loads(self.ask("/instances", content=file.read_bytes()))["ID"]
        try:
            yield name
        finally:
            self.ask(f"/instances/{name}", method="DELETE")

    def stored(self) -> dict[str, bytes]:
        """The files that it has, as it keeps them, by SOP Instance UID."""
        names = json.loads(self.ask("/instances"))
        uids = {name: json.loads(self.ask(f"/instances/{name}"))["MainDicomTags"]["SOPInstanceUID"] for name in names}
        return {uid: self.ask(f"/instances/{name}/file") for name, uid in uids.items()}


@contextmanager
def serving() -> Iterator[Orthanc]:
    """Start it, and stop it in the end; the test is skipped where it is not installed."""
    program, plugins = shutil.which("Orthanc"), list(Path("/usr").glob("*/*rthanc*/**/libOrthancDicomWeb.so*"))
    plugins += list(Path("/usr/lib").glob("**/libOrthancDicomWeb.so*"))
    if program is None or not plugins:
        pytest.skip("Orthanc is not installed (Debian: apt install orthanc orthanc-dicomweb)")
    folder = Path(tempfile.mkdtemp(prefix="dicomprep-orthanc-"))
    server = Orthanc(free_port(), free_port(), free_port())
    (folder / "orthanc.json").write_text(json.dumps(_options(server, folder, plugins[0])))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(server, process, folder)
        yield server
    finally:
        process.kill()
        process.wait(timeout=20)
        shutil.rmtree(folder)


def _wait_for(server: Orthanc, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError):
            server.ask("/system")
            return
        time.sleep(0.1)
    raise AssertionError((folder / "log").read_text(errors="replace")[-2000:])


def _options(server: Orthanc, folder: Path, plugin: Path) -> dict[str, Any]:
    yes = dict.fromkeys(
        ("AlwaysAllowEcho", "AlwaysAllowStore", "AlwaysAllowGet", "AlwaysAllowFind", "AlwaysAllowMove"), True
    )
    return {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": server.http,
        "DicomPort": server.dicom,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomCheckCalledAet": False,
        "UnknownSopClassAccepted": True,
        "DicomModalities": {"me": ["DICOMPREP", "127.0.0.1", server.move_to]},
        "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **{f"Dicom{name}": value for name, value in yes.items()},
    }


def chosen(folder: Path, *, per_kind: int = 2) -> list[Path]:
    """Some of pydicom's sample files of every transfer syntax; each SOP Instance UID once."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.dcm")):
        encoding = sniff(path.read_bytes()[: 2**16]) if path.stat().st_size < 2**20 else None
        if encoding is not None and encoding.offset >= 132 and path.name not in UNSENT:
            kinds.setdefault(encoding.transfer_syntax, []).append(path)
    return [path for paths in kinds.values() for path in paths[:: max(1, len(paths) // per_kind)]]
