"""Peers of a PACS: a receiver of ours as a process, those who send to it, and what both have."""

import re
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dicomprep.dicom.sniff import sniff
from tests.running import Place, Started, dicomprep_command, started


def program(name: str) -> str:
    """One of DCMTK's; the test is skipped where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip("DCMTK is not installed (Debian: apt install dcmtk)")
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def send(port: int, *places: Path, title: str = "DICOMPREP") -> subprocess.CompletedProcess[str]:
    """Send files, or all below folders, as they are, by DCMTK."""
    options = ["-aec", title, "--no-halt", "--decompress-never", "+sd", "+r", "127.0.0.1", str(port)]
    command = [program("dcmsend"), *options, *map(str, places)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def receiving(place: Place, *options: object, port: int = 0) -> Iterator[tuple[Started, int]]:
    """`dicomprep receive` in a place's folder, its files going to `source`; and its port."""
    where = ("--spool", place.source, "--db", place.db, "--output-dir", place.output, "--port", port)
    with started(dicomprep_command("receive", *where, *options), place.base) as receiver:
        assert receiver.process.stdout is not None
        line = receiver.process.stdout.readline()
        match = re.match(r"Listening as \S+ on 127\.0\.0\.1:(\d+);", line)
        assert match is not None, line + receiver.process.communicate(timeout=10)[1]
        yield receiver, int(match[1])


def data_set_of(path: Path) -> bytes:
    """What a file holds behind its preamble and file meta information, which do not travel by C-STORE."""
    content = path.read_bytes()
    encoding = sniff(content[: 2**16])
    assert encoding is not None
    return content[encoding.offset :]


def data_sets(folder: Path) -> Counter[bytes]:
    """Those of all files that are images by their name."""
    return Counter(data_set_of(path) for path in folder.rglob("*.dcm"))


def facts(place: Place, which: str = "TRUE") -> Counter[tuple[Any, ...]]:
    """Of inputs that meet a condition what became of them, patient, draw, bytes of images; not what they are named.

    What comes in several rounds comes in several deliveries: a split that one of them would leave empty is filled.
    """
    names = "sop_instance_uid, status, error_code, frame_count, f.frames, g.key, g.draw, duplicate_of IS NULL"
    rows = place.rows(f"SELECT f.id, {names} FROM files f LEFT JOIN groups g ON g.id = f.group_id WHERE {which}")
    images = place.images()
    frames: dict[int, list[tuple[int, bytes]]] = {}
    for file_id, number, name in place.rows("SELECT file_id, frame_number, thumbnail_path FROM frames ORDER BY 1, 2"):
        frames.setdefault(file_id, []).append((number, images[name]))
    return Counter((*row[1:], tuple(frames.get(row[0], ()))) for row in rows)


def make_certificate(folder: Path, *, password: str = "") -> tuple[Path, Path]:
    """A certificate that vouches for itself, of 127.0.0.1, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder.mkdir(exist_ok=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = ("-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1")
    secret = ("-passout", f"pass:{password}") if password else ("-nodes",)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", *secret, "-days", "2", *names]
    subprocess.run([*command, "-keyout", key, "-out", certificate], capture_output=True, timeout=30, check=True)
    return certificate, key
