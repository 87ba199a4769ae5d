"""A real S3 gateway for the tests: a one-machine Ceph in memory with radosgw, on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from tests.running import frozen, wait_until

ACCESS_KEY, SECRET_KEY = "CANARYACCESSKEY", "canary/secret+key"
PROGRAMS = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
START_SECONDS = 60


@dataclass(frozen=True)
class Gateway:
    """A running gateway; every bucket in it belongs to one test."""

    folder: Path
    port: int
    processes: list["subprocess.Popen[bytes]"]
    """All that run, the gateway itself last."""
    numbers: Iterator[int] = field(default_factory=count)

    def begin(self) -> None:
        """Start the gateway itself; back when it answers."""
        frontend = f"--rgw-frontends=beast endpoint=127.0.0.1:{self.port} tcp_nodelay=1"
        self.processes.append(_start(self.folder / "ceph.conf", "radosgw", "-f", "-n", "client.rgw", frontend))
        assert wait_until(lambda: _answers(self.endpoint), START_SECONDS)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Within the block nobody answers; what was stored stays."""
        _kill(self.processes.pop())
        try:
            yield
        finally:
            self.begin()

    def frozen(self) -> AbstractContextManager[None]:
        """Within the block it stands still."""
        return frozen([self.processes[-1].pid])

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """As people say where a server is and who they are."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
        }

    def store(self, bucket: str) -> S3Store:
        """A bucket by obstore itself, to look behind the program's back."""
        options: Any = {"allow_http": True}
        return S3Store(
            bucket,
            endpoint=self.endpoint,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            region="us-east-1",
            client_options=options,
        )

    def new_bucket(self) -> str:
        """The name of a new bucket."""
        bucket = f"test-{os.getpid()}-{next(self.numbers)}"
        url = obstore.sign(self.store(bucket), "PUT", "", timedelta(minutes=5))
        urllib.request.urlopen(urllib.request.Request(url, method="PUT")).close()
        return bucket

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.store(bucket).put(key, content)

    def fill(self, bucket: str, folder: Path, prefix: str = "") -> None:
        """The files of a folder as objects."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(bucket, prefix + path.relative_to(folder).as_posix(), path.read_bytes())

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """All objects below a prefix, by their keys there."""
        store = self.store(bucket)
        keys = [meta["path"] for page in store.list(prefix or None) for meta in page]
        return {key.removeprefix(f"{prefix}/"): store.get(key).bytes().to_bytes() for key in keys}


@contextmanager
def serving_objects() -> Iterator[Gateway]:
    """Start a gateway and stop it; skip where it cannot run."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip("no S3 gateway here (Debian: apt install radosgw ceph-mon ceph-mgr ceph-osd ceph-common)")
    folder = Path(tempfile.mkdtemp(prefix="dicomprep-ceph-"))
    monitor, gateway = free_ports(3), free_ports(1)[0]
    settings = folder / "ceph.conf"
    settings.write_text(_settings(folder, monitor))
    started: list[subprocess.Popen[bytes]] = []
    try:
        _start_cluster(folder, settings, monitor, started)
        server = Gateway(folder, gateway, started)
        server.begin()
        _run(
            settings, "radosgw-admin", "user", "create", "--uid=u", "--display-name=u",
            f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}",
        )  # fmt: skip
        yield server
    finally:
        for process in reversed(started):
            _kill(process)
        shutil.rmtree(folder, ignore_errors=True)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)  # all of it is in memory
    process.wait()


def free_ports(number: int) -> list[int]:
    """Ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _start_cluster(folder: Path, settings: Path, ports: list[int], started: list[subprocess.Popen[bytes]]) -> None:
    for name in ("mon", "mgr", "osd", "run"):
        (folder / name).mkdir()
    cluster, osd = _value(settings, "fsid"), str(uuid.uuid4())
    address = f"[v2:127.0.0.1:{ports[0]},v1:127.0.0.1:{ports[1]}]"
    _run(settings, "monmaptool", "--create", "--clobber", "--addv", "a", address, "--fsid", cluster, folder / "monmap")
    _run(settings, "ceph-mon", "--mkfs", "-i", "a", "--monmap", folder / "monmap")
    started.append(_start(settings, "ceph-mon", "-f", "-i", "a"))
    _run(settings, "ceph", "--connect-timeout", str(START_SECONDS), "osd", "new", osd)
    _run(settings, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
    started.append(_start(settings, "ceph-mgr", "-f", "-i", "x"))
    started.append(_start(settings, "ceph-osd", "-f", "-i", "0"))


def _start(settings: Path, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [program, "-c", str(settings), *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _run(settings: Path, program: str, *arguments: object) -> None:
    configured = [] if program == "monmaptool" else ["-c", str(settings)]
    command = [program, *configured, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_SECONDS)
    if done.returncode != 0:
        pytest.skip(f"Ceph cannot run here: {program}: {done.stderr.strip()[-300:]}")


def _answers(endpoint: str) -> bool:
    with suppress(OSError, urllib.error.URLError):
        urllib.request.urlopen(endpoint, timeout=1).close()
        return True
    time.sleep(0.1)
    return False


def _value(settings: Path, name: str) -> str:
    return next(line.partition("=")[2] for line in settings.read_text().splitlines() if line.startswith(f"{name}="))


def _settings(folder: Path, ports: list[int]) -> str:
    """As small as it goes, and nothing on a disk."""
    return f"""[global]
fsid={uuid.uuid4()}
mon_host=[v2:127.0.0.1:{ports[0]},v1:127.0.0.1:{ports[1]}]
ms_bind_ipv4=true
public_addr=127.0.0.1
cluster_addr=127.0.0.1
auth_cluster_required=none
auth_service_required=none
auth_client_required=none
osd_objectstore=memstore
memstore_device_bytes=2147483648
osd_pool_default_size=1
osd_pool_default_min_size=1
osd_pool_default_pg_num=1
osd_pool_default_pg_autoscale_mode=off
osd_crush_chooseleaf_type=0
mon_allow_pool_size_one=true
mon_max_pg_per_osd=1000
mon_data_avail_crit=1
paxos_propose_interval=0.02
paxos_min_wait=0.01
mgr_tick_period=1
mon_tick_interval=1
osd_heartbeat_interval=1
mgr_initial_modules=
mgr_modules=
mon_data_avail_warn=1
run_dir={folder}/run
admin_socket={folder}/run/$name.asok
pid_file={folder}/run/$name.pid
log_file={folder}/run/$name.log
mon_data={folder}/mon
mgr_data={folder}/mgr
osd_data={folder}/osd
osd_memory_target=1073741824
ms_mon_client_mode=crc
rgw_data={folder}/rgw
"""
