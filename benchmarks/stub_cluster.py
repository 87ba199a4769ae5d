"""A Dask cluster whose workers only say what real ones would: python -m benchmarks.stub_cluster scheduler|workers …

What scheduler and parent can sustain is measured with hundreds of workers on a machine of two cores: a bundle is a
nap of as long as its files would take.
"""

import asyncio
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import dask
from distributed import Scheduler, Worker

from benchmarks.synthetic import answer
from dicomprep.engines.dask_settings import DASK_SETTINGS, NO_DASHBOARD
from dicomprep.engines.dask_worker import Report, WorkerSlots

__all__ = ["FILE_SECONDS"]

FILE_SECONDS = 0.005
"""Of a slice of CT."""


def _nap(self: WorkerSlots, content: bytes, *, address: str, alone: bool) -> Report:
    tasks = [pickle.loads(task) for task, _ in pickle.loads(content)]  # noqa: S301
    seconds = len(tasks) * FILE_SECONDS
    time.sleep(seconds)
    results = tuple((place, pickle.dumps(outcome)) for place, outcome in enumerate(answer(tasks)))
    return Report(address, "stub", results, seconds)


async def _schedule(file: Path) -> None:
    async with Scheduler(host="127.0.0.1", port=0, scheduler_file=str(file), **NO_DASHBOARD) as scheduler:
        await scheduler.finished()


async def _work(file: Path, count: int) -> None:
    WorkerSlots.setup = WorkerSlots.teardown = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    WorkerSlots.run = _nap  # type: ignore[method-assign]
    options: dict[str, Any] = {"scheduler_file": str(file), "nthreads": 1, "dashboard": False, "memory_limit": 0}
    workers = [Worker(**options, host="127.0.0.1") for _ in range(count)]
    await asyncio.gather(*workers)
    await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    kind, place, *counts = sys.argv[1:]
    with dask.config.set(DASK_SETTINGS):
        asyncio.run(_schedule(Path(place)) if kind == "scheduler" else _work(Path(place), int(counts[0])))
