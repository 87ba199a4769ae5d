"""Azure's Blob Storage as its makers emulate it (Azurite), on loopback."""

import base64
import hashlib
import hmac
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate

import pytest

from tests.running import wait_until
from tests.services.gateway import free_ports

__all__ = ["serving_blobs"]

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Every emulator has these."""

START_SECONDS = 60


@contextmanager
def serving_blobs(container: str) -> Iterator[dict[str, str]]:
    """Start it with an empty container; the environment in which it is found. Skip where it is not installed."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite is not installed (npm install -g azurite)")
    port = free_ports(1)[0]
    options = [
        "--silent",
        "--disableTelemetry",
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--blobPort",
        str(port),
    ]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            assert wait_until(lambda: _makes(f"http://127.0.0.1:{port}", container), START_SECONDS)
            yield {
                "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
                "AZURE_STORAGE_ACCOUNT_KEY": KEY,
                "AZURE_STORAGE_USE_EMULATOR": "true",
                "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{port}",
            }
        finally:
            process.kill()


def _makes(endpoint: str, container: str) -> bool:
    """Make a container; False while nobody answers."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    said = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    signed = "PUT" + "\n" * 12 + said + f"/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
    digest = hmac.digest(base64.b64decode(KEY), signed.encode(), hashlib.sha256)
    headers |= {"Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}", "Content-Length": "0"}
    url = f"{endpoint}/{ACCOUNT}/{container}?restype=container"
    with suppress(OSError, urllib.error.URLError):
        urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers), timeout=5).close()
        return True
    return False
