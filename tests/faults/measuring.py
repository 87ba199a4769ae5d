"""`process`, and what it cost: written beside the source folder, for the tests. Runs in worker processes."""

import json
import resource
from collections.abc import Callable
from pathlib import Path

from dicomprep.models import Outcome, Settings, Task
from dicomprep.pipeline.process_file import process
from tests.faulty import Heartbeat, faulty_process

__all__ = [
    "FAULTY",
    "WORK",
    "forget_peak",
    "measured_faults",
    "measured_process",
    "peak_megabytes",
    "resident_megabytes",
]

WORK, FAULTY = f"{__name__}:measured_process", f"{__name__}:measured_faults"
"""Where workers find what follows."""


def measured_process(task: Task, settings: Settings, heartbeat: Heartbeat) -> Outcome:
    """Process one file; its CPU seconds and this worker's peak memory go to `<source>.costs/<file>.json`."""
    return _measured(process, task, settings, heartbeat)


def measured_faults(task: Task, settings: Settings, heartbeat: Heartbeat) -> Outcome:
    """The same with a file called `memory.dcm` and so on misbehaving."""
    return _measured(faulty_process, task, settings, heartbeat)


def _measured(
    work: Callable[[Task, Settings, Heartbeat], Outcome], task: Task, settings: Settings, heartbeat: Heartbeat
) -> Outcome:
    before, began = resident_megabytes(), _cpu_seconds()
    forget_peak()
    try:
        return work(task, settings, heartbeat)
    finally:
        peak = peak_megabytes()
        costs = {"seconds": _cpu_seconds() - began, "megabytes": peak, "growth": peak - before}
        folder = Path(f"{task.source.root}.costs")
        folder.mkdir(exist_ok=True)
        with (folder / f"{task.source.path}.json").open("a") as file:
            file.write(json.dumps(costs) + "\n")


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def forget_peak() -> None:
    """From here on, `peak_megabytes` counts anew."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> float:
    """The most physical memory that this process has had since."""
    return _status("VmHWM")


def resident_megabytes() -> float:
    """The physical memory that this process has now."""
    return _status("VmRSS")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))
