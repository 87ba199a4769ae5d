"""Where processes spend their processor time, without slowing them down: a look at the stack every few milliseconds.

`watch` is called when Python starts (`watching/sitecustomize.py`), so nothing of the program has to know of it. What
passes between two looks is laid to the stage whose code is innermost at the second one: Python looks at signals when a
call into C returns, so that long calls are laid to their caller. Each process keeps its sums in a file of its own.
"""

import atexit
import json
import os
import signal
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

__all__ = ["FOLDER", "ORDER", "collect", "watch"]

FOLDER = "BENCH_SAMPLES"
"""The environment variable that names the folder of those files."""

LOOK_SECONDS, KEEP_SECONDS = 0.001, 0.3
PACKAGE = "dicomprep."
START, REST = "start-up", "rest"
STAGES = {
    "dicom": "header",
    "pipeline.stages.decode": "header",
    "pipeline.stages.frame_reader": "header",
    "pixels.png": "encode",
    "pixels.image_file": "encode",
    "pixels.jpeg": "encode",
    "pixels.webp": "encode",
    "pixels.npy": "encode",
    "pixels.geometry": "resample",
    "pixels.resampling": "resample",
    "pixels.intensity": "gray and color",
    "pixels.color": "gray and color",
    "pixels.value_range": "gray and color",
    "pixels": "decode",
    "pipeline.stages.normalize": "gray and color",
    "pipeline.stages.resize": "resample",
    "pipeline.stages.write": "write",
    "storage.local_images": "write",
    "storage.naming": "find and plan",
    "storage": "read",
    "engines": "hand out",
    "pipeline.stages.discover": "find and plan",
    "pipeline.planner": "find and plan",
    "pipeline.stages.record": "record",
    "database": "record",
}
"""Beginnings of the names of modules and functions, and what is done there; the first that fits counts."""

ORDER = list(dict.fromkeys(["read", "header", "decode", *STAGES.values(), REST, START]))


class _Watch:
    """The sums of this process, and when it was looked at and kept last."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.looked = time.process_time()
        self.kept = time.monotonic()
        signal.signal(signal.SIGPROF, self.look)
        signal.setitimer(signal.ITIMER_PROF, LOOK_SECONDS, LOOK_SECONDS)

    def look(self, _number: int, frame: FrameType | None) -> None:
        """Lay the time since the last look to a stage; write the sums down now and then: workers end without notice."""
        now = time.process_time()
        self.spent[_stage(frame)] += now - self.looked
        self.looked = now
        if time.monotonic() - self.kept > KEEP_SECONDS:
            self.keep()

    def keep(self) -> None:
        """Write the sums down."""
        self.kept = time.monotonic()
        (Path(os.environ[FOLDER]) / f"{os.getpid()}.json").write_text(json.dumps(self.spent))

    def end(self) -> None:
        """Look no more: Python forgets about the signal before it ends, which would end it."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.keep()


def watch() -> None:
    """Watch this process and those forked from it."""
    atexit.register(_Watch().end)
    os.register_at_fork(after_in_child=_Watch)


def collect(folder: Path) -> dict[str, float]:
    """The sums of all processes."""
    spent: defaultdict[str, float] = defaultdict(float)
    for file in folder.glob("*.json"):
        for stage, seconds in json.loads(file.read_text()).items():
            spent[stage] += seconds
    return dict(spent)


def _stage(frame: FrameType | None) -> str:
    """Of the innermost frame that is dicomprep's, or that is a module being imported."""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if frame.f_code.co_name == "<module>":
            return START
        if module.startswith(PACKAGE):
            place = f"{module.removeprefix(PACKAGE)}.{frame.f_code.co_name}."
            return next((stage for start, stage in STAGES.items() if place.startswith(f"{start}.")), REST)
        frame = frame.f_back
    return START
