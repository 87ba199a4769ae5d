"""Which engine does the work in this process."""

from typing import Any

from dicomprep.engines.base import Engine, Limits
from dicomprep.engines.forkserver import may_start_processes
from dicomprep.engines.inline import InlineEngine
from dicomprep.engines.local import LocalEngine

__all__ = ["INLINE_WARNING", "count_workers", "open_engine"]

INLINE_WARNING = (
    "This process is daemonic and cannot start workers: files are processed in it, one at a time, and a file that "
    "crashes or hangs its decoder crashes or hangs this process."
)


def open_engine(work: str, settings: object, *, workers: int, limits: Limits) -> Engine[Any, Any]:
    """Workers that can die alone; where no process may be started (`daemon=True`, as in pools), this process."""
    if may_start_processes():
        return LocalEngine(work, settings, workers=workers, limits=limits)
    return InlineEngine(work, settings)


def count_workers(wanted: int) -> int:
    """How many workers `open_engine` would have where so many are wanted."""
    return wanted if may_start_processes() else 1
