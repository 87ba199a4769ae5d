"""Which engine does the work: processes of this machine, this process, or a cluster."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dicomprep.engines.base import Engine, Limits
from dicomprep.engines.forkserver import may_start_processes
from dicomprep.engines.inline import InlineEngine
from dicomprep.engines.local import LocalEngine

if TYPE_CHECKING:
    from dicomprep.engines.clusters import Cluster

__all__ = ["INLINE_WARNING", "count_workers", "open_cluster_engine", "open_engine"]

INLINE_WARNING = (
    "This process is daemonic and cannot start workers: files are processed in it, one at a time, and a file that "
    "crashes or hangs its decoder crashes or hangs this process."
)


def open_engine(work: str, settings: object, *, workers: int, limits: Limits) -> Engine[Any, Any]:
    """Workers that can die alone; where no process may be started (`daemon=True`, as in pools), this process."""
    if may_start_processes():
        return LocalEngine(work, settings, workers=workers, limits=limits)
    return InlineEngine(work, settings)


def open_cluster_engine(
    cluster: "Cluster",
    work: str,
    settings: object,
    *,
    limits: Limits,
    probe: Callable[[], str | None],
    tell: Callable[[str], None],
) -> Engine[Any, Any]:
    """The workers of a cluster, each asked by `probe` whether it can do the work; `tell` is told who comes and goes."""
    from dicomprep.engines.dask import DaskEngine  # with it comes Dask

    return DaskEngine(cluster, work, settings, limits=limits, probe=probe, tell=tell)


def count_workers(wanted: int) -> int:
    """How many workers `open_engine` would start if that many are requested."""
    return wanted if may_start_processes() else 1
