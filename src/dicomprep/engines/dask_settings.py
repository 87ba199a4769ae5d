"""What Dask is told where it is started for a run: workers hold no data, nobody looks at them or gets in."""

import subprocess
from collections.abc import Iterator
from typing import Any

from dicomprep.errors import EnvironmentFault

__all__ = ["DASK_SETTINGS", "NO_DASHBOARD", "exported_settings", "make_security"]

DASK_SETTINGS: dict[str, Any] = {
    "distributed.worker.daemon": False,  # daemons may have no children
    "distributed.scheduler.allowed-failures": 0,  # what is lost is told at once, and done again by our own rules
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,  # a hundred samples a second of threads that wait
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.low-level-log-length": 10,  # of messages: each connection would keep the last thousand bundles
    "distributed.client.scheduler-info-interval": "60s",  # a description of all workers, which nobody reads
    "distributed.admin.tick.interval": "1s",  # to wake up fifty times a second costs a percent of a core
    "distributed.admin.tick.limit": "60s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.nvml": False,
}
"""Of a cluster that is started here: its workers hold no data, and nobody looks at them."""


NO_DASHBOARD = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
"""Of a scheduler: where it serves nothing, it opens a port all the same."""


def exported_settings() -> Iterator[str]:
    """The settings as lines of a shell; those of the scheduler do no harm."""
    for name, value in DASK_SETTINGS.items():
        variable = name.upper().replace(".", "__").replace("-", "_")
        yield f"export DASK_{variable}='{value}'"


_ROLES = ("client", "scheduler", "worker")


def make_security(distributed: Any) -> Any:  # noqa: ANN401
    """A certificate for this run, which its workers and nobody else have."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=dicomprep"
    try:
        made = subprocess.run(  # noqa: S603
            [*command.split(), "-keyout", "-", "-out", "-"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise EnvironmentFault("The Dask cluster cannot be encrypted: install the command openssl.") from error
    key, mark, certificate = made.stdout.partition("-----BEGIN CERTIFICATE-----")
    certificate = mark + certificate
    roles = {f"tls_{role}_{what}": text for role in _ROLES for what, text in (("cert", certificate), ("key", key))}
    return distributed.Security(require_encryption=True, tls_ca_file=certificate, **roles)
