"""Runs on clusters that are disturbed at random moments: nothing is lost, doubled, or other than without. Thorough."""

import os
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.disturbing import JOBS, Foreign, Trial, Whole, foreign_cluster, kill, make_slow_files, whole_run
from tests.cluster.slurm import Slurm
from tests.faults.figures import keep
from tests.faults.serving import ServedPlace, Server
from tests.running import Place, Started, call, started, wait_until
from tests.services.gateway import Gateway

ATTEMPTS, AT_ONCE = 10, 3
"""Times that each disturbance is tried; trials that run side by side, for most of each is waiting."""

AWAY_SECONDS = 20.0
"""How long a server is away."""

FILES, FILE_SECONDS = 120, 0.1
LONG_FILES, LONG_FILE_SECONDS = 800, 0.5
"""Of four slots: three seconds; more than a walltime of a minute."""

GONE_SECONDS = 90.0
"""In which jobs whose run is gone end by themselves."""

Disturbance = Callable[[Trial, Started], None]


@pytest.fixture(autouse=True)
def _thorough(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--thorough"):
        pytest.skip("takes minutes; --thorough")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slow_files(tmp_path_factory.mktemp("short") / "Daten Ä", count=FILES, seconds=FILE_SECONDS)


@pytest.fixture(scope="module")
def long_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slow_files(tmp_path_factory.mktemp("long") / "Daten Ä", count=LONG_FILES, seconds=LONG_FILE_SECONDS)


@dataclass
class Tally:
    """What came of the trials of one disturbance."""

    title: str
    differences: Counter[str] = field(default_factory=lambda: Counter(lost=0, doubled=0, mismatched=0))
    alone: int = 0
    """Runs that ended well by themselves, without a second one."""
    faults: list[str] = field(default_factory=list)

    def judge(self, trial: Trial, whole: Whole, code: int, output: str, *, may_fail: bool) -> None:
        """Count what a run left; where it may fail, after the next one."""
        if "Traceback" in output or (code != 0 and not may_fail):
            self.faults.append(f"{trial.place.base.name}: {code} {output[-1500:]}")
        if code == 0:
            self.alone += 1
        else:
            trial.finish()
        found = whole.compare(trial)
        self.differences.update(found)
        if found.total():
            self.faults.append(f"{trial.place.base.name}: {dict(found)} {output[-500:]}")

    def close(self) -> None:
        """Keep the figures; AssertionError where something is wrong."""
        keep(
            f"Cluster: {self.title}",
            times=ATTEMPTS,
            **self.differences,
            finished_without_another_run=self.alone,
        )
        assert not self.faults, "\n".join(self.faults)


def run_trials(one: Callable[[int], None], *, at_once: int = AT_ONCE) -> None:
    """All attempts, some side by side."""
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, range(ATTEMPTS)))


# Jobs of SLURM


def kill_a_worker(trial: Trial, _run: Started) -> None:
    kill(random.choice(trial.processes("worker"))[0])


def kill_a_nanny(trial: Trial, _run: Started) -> None:
    kill(random.choice(trial.processes("nanny"))[0])


def kill_the_command(_trial: Trial, run: Started) -> None:
    kill(run.process.pid)


def interrupt(_trial: Trial, run: Started) -> None:
    run.signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("title", "disturb"),
    [
        ("kill -9 of a Dask worker", kill_a_worker),
        ("kill -9 of its nanny", kill_a_nanny),
        ("scancel of a job", None),
        ("kill -9 of the command", kill_the_command),
        ("Ctrl-C", interrupt),
    ],
)
def test_jobs_and_processes_that_are_ended(
    in_slurm: Slurm, tmp_path: Path, source: Path, title: str, disturb: Disturbance | None
) -> None:
    whole, tally = whole_run(Trial(Place(tmp_path / "whole"), source, {})), Tally(title)
    ends = disturb in (kill_the_command, interrupt)

    def cancel(trial: Trial, _run: Started) -> None:
        in_slurm.call("scancel", random.choice(trial.processes("nanny"))[1])

    def attempt(number: int) -> None:
        trial = Trial(Place(tmp_path / f"{title} {number}"), source, {"cluster": "slurm", "jobs": JOBS})
        with started(trial.command, trial.place.base, env=trial.environment) as run:
            assert wait_until(lambda: len(trial.processes("worker")) == 2, 120)
            time.sleep(random.uniform(0, 5))
            if run.process.poll() is None and trial.processes("worker"):
                (disturb or cancel)(trial, run)
            output, errors = run.process.communicate(timeout=180)
        assert wait_until(lambda: not trial.processes("nanny") and not trial.processes("worker"), GONE_SECONDS)
        tally.judge(trial, whole, run.process.returncode, output + errors, may_fail=ends)

    run_trials(attempt)
    tally.close()
    assert in_slurm.has_ended(GONE_SECONDS)


@pytest.mark.parametrize(
    ("title", "more"),
    [
        ("jobs that SLURM ends at their walltime of a minute", {"directives": ["--time=1"]}),
        ("jobs that leave before their walltime of a minute", {"walltime": "00:01:00"}),
    ],
)
def test_jobs_whose_walltime_ends(
    in_slurm: Slurm, tmp_path: Path, long_source: Path, title: str, more: dict[str, Any]
) -> None:
    whole, tally = whole_run(Trial(Place(tmp_path / "whole"), long_source, {})), Tally(title)

    def attempt(number: int) -> None:
        jobs = JOBS | more
        trial = Trial(Place(tmp_path / f"{title} {number}"), long_source, {"cluster": "slurm", "jobs": jobs})
        seen: set[str] = set()
        with started(trial.command, trial.place.base, env=trial.environment) as run:
            assert wait_until(lambda: run.process.poll() is not None or _note_jobs(trial, seen), 400)
            output, errors = run.process.communicate(timeout=10)
        assert len(seen) > 2, "no job was replaced"
        tally.judge(trial, whole, run.process.returncode, output + errors, may_fail=False)

    run_trials(attempt, at_once=5)
    tally.close()


def _note_jobs(trial: Trial, seen: set[str]) -> bool:
    time.sleep(1)
    seen.update(job for _, job in trial.processes("nanny"))
    return False


# Clusters of others


@contextmanager
def running_abroad(trial: Trial, cluster: Foreign) -> Iterator[Started]:
    """A run on a cluster that somebody else started, once it does something."""
    trial.options["scheduler"] = str(cluster.file)
    with started(trial.command, trial.place.base, env=trial.environment) as run:
        assert wait_until(trial.images, 60)
        yield run


def test_a_scheduler_that_is_killed(tmp_path: Path, source: Path) -> None:
    whole, tally = whole_run(Trial(Place(tmp_path / "whole"), source, {})), Tally("kill -9 of the scheduler")

    def attempt(number: int) -> None:
        trial = Trial(Place(tmp_path / f"scheduler {number}"), source, {})
        with foreign_cluster(trial.place.base / "cluster", (), ()) as cluster, running_abroad(trial, cluster) as run:
            time.sleep(random.uniform(0, 2))
            kill(cluster.scheduler.pid)
            output, errors = run.process.communicate(timeout=120)
            if run.process.returncode != 0 and "Dask at tcp://" not in output:
                tally.faults.append(f"{number}: {output + errors}")
        tally.judge(trial, whole, run.process.returncode, output + errors, may_fail=True)

    run_trials(attempt)
    tally.close()


def test_a_command_that_is_killed_while_its_cluster_goes_on(tmp_path: Path) -> None:
    """The next run has other options and begins at once: no image is given to it that was made for the one before."""
    source = make_slow_files(tmp_path / "Daten Ä", count=40, seconds=0.7)
    whole = whole_run(Trial(Place(tmp_path / "whole"), source, {"size": 24}))
    tally = Tally("kill -9 of the command, on a cluster that goes on; then a run with another --size")

    def attempt(number: int) -> None:
        trial = Trial(Place(tmp_path / f"abroad {number}"), source, {"size": 20})
        with foreign_cluster(trial.place.base / "cluster", (), ()) as cluster:
            with running_abroad(trial, cluster) as run:
                time.sleep(random.uniform(0, 2))
                kill(run.process.pid)
            trial.options["size"] = 24
            trial.finish()
            time.sleep(3)
        tally.judge(trial, whole, 0, "", may_fail=False)

    run_trials(attempt)
    tally.alone = 0
    tally.close()


MOUNTED = """
set -e
mount --make-rprivate /
mkdir -p "$1"; mount --bind "$2" "$1"       # where the files really are
mount -t tmpfs none "$2"; mount --bind "$1" "$2"
shift 2; exec "$@"
"""
"""A worker with mounts of its own, where the folder is a mount that can be taken away; below it is an empty folder."""


def test_a_node_that_loses_its_mount(tmp_path: Path, source: Path) -> None:
    """It is named, and what it failed at is done by the others: nothing is recorded as the files' fault."""
    if os.geteuid() != 0 or call(["unshare", "-m", "true"], tmp_path).returncode != 0:
        pytest.skip("mounts cannot be made here")
    whole, tally = whole_run(Trial(Place(tmp_path / "whole"), source, {})), Tally("the data are unmounted on one node")

    def attempt(number: int) -> None:
        trial = Trial(Place(tmp_path / f"mount {number}"), source, {})
        apart = ("unshare", "-m", "sh", "-c", MOUNTED, "mounted", str(trial.place.base / "real"), str(source))
        with (
            foreign_cluster(trial.place.base / "cluster", (), apart) as cluster,
            running_abroad(trial, cluster) as run,
        ):
            time.sleep(random.uniform(0, 1.5))
            within = ["nsenter", f"--mount=/proc/{cluster.workers[1].pid}/ns/mnt"]
            assert call([*within, "umount", "--lazy", str(source)], tmp_path).returncode == 0
            output, errors = run.process.communicate(timeout=120)
        if f"{socket.gethostname()} does not see the files in {source}" not in output:
            tally.faults.append(f"{number}: nobody was named: {output + errors}")
        tally.judge(trial, whole, run.process.returncode, output + errors, may_fail=False)

    run_trials(attempt)
    tally.close()


# Servers that are away


@pytest.fixture(params=["gateway", "PostgreSQL"])
def server(request: pytest.FixtureRequest) -> Gateway | Server:
    name = "gateway" if request.param == "gateway" else "postgres"
    found: Gateway | Server = request.getfixturevalue(name)
    return found


def test_servers_that_are_away(in_slurm: Slurm, tmp_path: Path, source: Path, server: Gateway | Server) -> None:
    """Ended and started again, or stopped where they stand: the run waits, or says which it was."""
    name = "the S3 gateway" if isinstance(server, Gateway) else "PostgreSQL"
    tally = Tally(f"{name} down, or frozen, for {AWAY_SECONDS:g} s")

    def new_trial(name: str) -> Trial:
        options = {"cluster": "slurm", "jobs": JOBS}
        if isinstance(server, Gateway):
            return Trial(Place(tmp_path / name), source, options, server)
        return Trial(ServedPlace(tmp_path / name, server, server.new_database()), source, options)

    whole = whole_run(new_trial("whole"))

    def attempt(number: int) -> None:
        trial = new_trial(f"{name} {number}")
        with started(trial.command, trial.place.base, env=trial.environment) as run:
            assert wait_until(lambda: len(trial.processes("worker")) == 2, 120)
            time.sleep(random.uniform(0, 4))
            with server.frozen() if number % 2 else server.down():
                time.sleep(AWAY_SECONDS)
            output, errors = run.process.communicate(timeout=180)
        if run.process.returncode != 0 and "PostgreSQL" in name and "The database postgresql" not in output:
            tally.faults.append(f"{number}: {output + errors}")
        tally.judge(trial, whole, run.process.returncode, output + errors, may_fail=isinstance(server, Server))

    run_trials(attempt, at_once=1)
    tally.close()
