"""Ctrl-C at moments that are hard to hit: while rows are written, at the very end, while the database is locked."""

import signal
import sqlite3
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.disturbing import check_what_is_recorded, preprocess
from tests.running import Place, call, make_files, started, wait_until

PREPARED = """
    import os, signal, sys
    from pathlib import Path
    from dicomprep.cli import app, summary
    from dicomprep.database.writes.store import Store
    from dicomprep.pipeline import scheduler
    from dicomprep.pipeline.stages import record

    def interrupted(owner, name):
        '''Press Ctrl-C as soon as a function is called for the first time.'''
        inner = getattr(owner, name)
        def outer(*arguments, **options):
            setattr(owner, name, inner)
            os.kill(os.getpid(), signal.SIGINT)
            return inner(*arguments, **options)
        setattr(owner, name, outer)
"""
MOMENTS = {
    "while rows are written": "interrupted(record, 'record')",
    "when rows are about to be written": "interrupted(scheduler.RunLoop, '_record')",
    "while the run is summed up": "interrupted(scheduler.RunLoop, '_finish')",
    "when all is recorded": "interrupted(Store, 'drop_unseen')",
    "while the summary is printed": "interrupted(summary, 'print_summary')",
    "before anything has begun": "interrupted(Store, 'bind_output')",
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    make_files(place.source, *(f"s/{number:02d}.dcm" for number in range(20)))
    return place


@pytest.mark.parametrize("moment", MOMENTS)
def test_once_keeps_all_that_is_finished(place: Place, moment: str) -> None:
    arguments = preprocess(place.source)[3:]
    script = f"{textwrap.dedent(PREPARED)}\n{MOMENTS[moment]}\napp.main({list(map(str, arguments))!r})\n"
    done = call([sys.executable, "-c", script], place.base)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    recorded = set(place.rows("SELECT thumbnail_path FROM images"))
    assert recorded == set(place.images())
    assert len(recorded) == 20 or "rows" in moment or "before" in moment
    assert place.run(size=32).found == 20
    place.check()


PATIENT = """
    from dicomprep.database import connection
    from dicomprep.database.writes import store
    connection.BUSY_SECONDS = store.BUSY_SECONDS = 3600
"""
"""It would wait for longer than a test does."""


def slow(place: Place) -> list[str]:
    make_files(place.source, *(f"many/{number:03d}.dcm" for number in range(300)))
    return preprocess(place.source, size=4096)


@pytest.mark.parametrize("times", [1, 2])
def test_while_another_program_has_locked_the_database(place: Place, times: int) -> None:
    """It does not wait as long as it would have waited otherwise."""
    arguments = [str(argument) for argument in slow(place)[3:]]
    script = f"{textwrap.dedent(PATIENT)}\nfrom dicomprep.cli import app\napp.main({arguments!r})\n"
    command = [sys.executable, "-c", script]
    with started(command, place.base) as run:
        assert wait_until(lambda: place.recorded() > 3, 60)
        with closing(sqlite3.connect(place.db, isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(1.5)
            assert run.process.poll() is None
            for number in range(times):
                time.sleep(0.2 * number)
                run.signal(signal.SIGINT)
            _, err = run.process.communicate(timeout=60)
        assert run.none_left(5)
    assert run.process.returncode in ((3,) if times == 1 else (3, 130))
    assert "Traceback" not in err
    assert times == 2 or "is locked by another program" in err
    check_what_is_recorded(place)


def test_again_and_again(place: Place) -> None:
    """Someone who loses patience: five times in a row."""
    command = slow(place)
    with started(command, place.base) as run:
        assert wait_until(lambda: place.recorded() > 3, 60)
        for _ in range(5):
            run.process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        _, err = run.process.communicate(timeout=60)
        assert run.none_left(5)
    assert run.process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err
    check_what_is_recorded(place)
    assert place.rows("PRAGMA integrity_check") == ["ok"]
