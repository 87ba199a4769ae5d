"""Running the pipeline and the command line on generated trees, and reading what they leave behind."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import dicomprep
from dicomprep.config import Config
from dicomprep.database.address import DatabaseAddress
from dicomprep.database.page_schema import metadata
from dicomprep.database.writes.labels import Said, add_label
from dicomprep.database.writes.store import Store
from dicomprep.pipeline import run
from dicomprep.pipeline.preload import PROCESS
from dicomprep.pixels.encoding import ENDINGS
from dicomprep.storage.naming import folded_name
from dicomprep.workspace import Workspace
from tests.building import make_dicom

PROJECT = Path(__file__).parent.parent
SIZE = 16
CLEARING = [
    *(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables) if table.name != "meta"),
    "DELETE FROM meta WHERE key <> 'schema_version'",
]
"""Statements that leave a database as a new one is."""


def frames_of(count: int, *, seed: int = 0) -> np.ndarray:
    """Small frames, none like another: (count, rows, columns)."""
    return np.random.default_rng(seed).integers(0, 256, (count, 12, 10), dtype=np.uint8)


def make_files(root: Path, *names: str, seed: int = 0) -> Path:
    """Small DICOM files, none like another; `name:3` has three frames. The root."""
    for number, name in enumerate(names):
        path, _, frames = name.partition(":")
        pixels = frames_of(int(frames or 1), seed=seed + number)
        make_dicom(root / path, pixels if frames else pixels[0], patient_id=f"P{number % 7}")
    return root


@dataclass(frozen=True)
class Place:
    """A folder with room for one data set: DICOM files in `source`, what is made of them beside it."""

    base: Path

    @property
    def source(self) -> Path:
        return self.base / "in"

    @property
    def output(self) -> Path:
        return self.base / "out"

    @property
    def db(self) -> Path:
        return self.base / "x.db"

    def config(self, **options: Any) -> Config:
        return Config.of(**{"dicom_dir": self.source, "workers": 2, "size": SIZE} | options)

    @property
    def address(self) -> DatabaseAddress:
        """Of its database, which need not be there yet."""
        return DatabaseAddress.parse(self.db)

    @property
    def workspace(self) -> Workspace:
        """The data set, as it is recorded."""
        return Workspace.open(self.db)

    def run(
        self,
        *,
        work: str = PROCESS,
        sources: Any = None,
        listener: Any = None,
        db: Any = None,
        output_dir: Any = None,
        **options: Any,
    ) -> dicomprep.Result:
        """One run of the pipeline in this process."""
        workspace = Workspace.create(db or self.db, output_dir or self.output)
        find = None if sources is None else lambda _spool: sources
        return run.run(workspace, self.config(**options), work=work, sources=find, listener=listener)

    def rows(self, statement: str, *values: object) -> list[Any]:
        """What a query gives: tuples, or plain values where it has one column."""
        with closing(sqlite3.connect(self.db)) as connection:
            rows = connection.execute(statement, values).fetchall()
        return [row[0] for row in rows] if rows and len(rows[0]) == 1 else rows

    def execute(self, statement: str, *values: object) -> None:
        """Change the database behind the program's back."""
        with closing(sqlite3.connect(self.db)) as connection, connection:
            connection.execute(statement, values)

    def clear(self) -> None:
        """Forget all that is recorded, as between the examples of one test; the tables stay."""
        with closing(sqlite3.connect(self.db)) as connection:
            connection.executescript("; ".join(["BEGIN", *CLEARING, "COMMIT"]))

    def tables(self, *names: str) -> dict[str, list[Any]]:
        """All rows of tables."""
        return {name: self.rows(f"SELECT * FROM {name} ORDER BY 1, 2") for name in names}

    def recorded(self, table: str = "frames") -> int:
        """Rows by now. What waits for a running program counts these: a list of files may lose some as it is made."""
        try:
            return int(self.rows(f"SELECT count(*) FROM {table}")[0]) if self.db.exists() else 0
        except sqlite3.OperationalError:  # the tables are still to be made
            return 0

    def images(self) -> dict[str, bytes]:
        """Every image below the output folder, by its path there, when nothing writes there any more."""
        images = (p for p in self.output.rglob("*") if p.suffix in ENDINGS)
        return {p.relative_to(self.output).as_posix(): p.read_bytes() for p in images}

    def statuses(self) -> dict[str, tuple[str, str | None]]:
        """(status, error_code) of each input, by its path below the source."""
        prefix = f"{self.source}/"
        rows = self.rows("SELECT path, status, error_code FROM inputs")
        return {path.removeprefix(prefix): (status, code) for path, status, code in rows}

    def check(self) -> None:
        """Every row has its image, every image its row, and none is for two."""
        recorded = self.rows("SELECT thumbnail_path FROM frames")
        assert len({folded_name(path) for path in recorded}) == len(recorded)
        assert set(recorded) == set(self.images())
        assert self.rows("SELECT count(*) FROM frames") == [len(recorded)]
        sizes = dict(self.rows("SELECT thumbnail_path, size FROM frames"))
        assert sizes == {path: len(content) for path, content in self.images().items()}
        assert sorted(self.rows("SELECT * FROM input_counts WHERE files <> 0")) == sorted(self.rows(_COUNTED))


_COUNTED = """
SELECT COALESCE(group_id, 0), status, COALESCE(error_code, ''), COALESCE(modality, ''),
    CASE WHEN duplicate_of IS NULL THEN 0 ELSE 1 END, COALESCE(kind, ''), count(*), sum(frames)
FROM files GROUP BY 1, 2, 3, 4, 5, 6
"""
"""What `input_counts` must say."""


def set_labels(place: Place, labels: dict[str, str | None], *, annotator: str = "t") -> None:
    """Label images by their names; None takes the annotator's label back."""
    store = Store(place.address)
    ids = dict(place.rows("SELECT filename, id FROM images"))
    with store.transaction() as connection:
        for name, label in labels.items():
            add_label(connection, ids[name], Said(label), annotator=annotator)
    store.close()


def dicomprep_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "dicomprep", *map(str, arguments)]


def script_command(*arguments: object) -> list[str]:
    return [sys.executable, str(PROJECT / "scripts" / "01_preprocess.py"), *map(str, arguments)]


def call(command: Sequence[str], cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; output as text."""
    options = {"timeout": 60, "capture_output": True, "errors": "surrogateescape"} | options
    return subprocess.run(command, cwd=cwd, text=True, check=False, **options)


def cli(cwd: Path, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """`dicomprep ARGUMENTS` in a folder. No answer to a user is a traceback."""
    done = call(dicomprep_command(*arguments), cwd, **options)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


class Started:
    """A process that leads a session of its own, so that all it starts can be found, even orphans."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def signal(self, number: int) -> None:
        """To the whole process group, as a terminal does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def members(self) -> list[int]:
        """All of the session's processes that still run, the leader included."""
        pids = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit())
        return [pid for pid in pids if _session(pid) == self.process.pid]

    def none_left(self, seconds: float) -> bool:
        """Whether all of them are gone in time."""
        return wait_until(lambda: not self.members(), seconds)


@contextmanager
def started(command: Sequence[str], cwd: Path, **options: Any) -> Iterator[Started]:
    """A process that is gone, with all it started, at the end of the block."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=cwd, text=True, start_new_session=True, **pipes | options) as process:
        run = Started(process)
        try:
            yield run
        finally:
            for pid in run.members():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@contextmanager
def frozen(pids: Sequence[int]) -> Iterator[None]:
    """Within the block these processes do not go on; nobody who talks to them is told."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def is_alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    return _session(pid) is not None


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def _session(pid: int) -> int | None:
    """The session of a living process."""
    try:
        state, _, _, session, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(session)
