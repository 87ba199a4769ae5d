"""The Timer is the seed's, and a context manager."""

import re
import time

import pytest

from dicomprep import Timer


def test_it_prints_as_the_seed_does() -> None:
    timer = Timer("Processing").add(100)
    timer.start = time.perf_counter() - 2.3
    assert repr(timer) == str(timer) == "Processing: 100 items in 2.3s (43.5/sec)"


@pytest.mark.parametrize(("count", "text"), [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")])
def test_counts_have_thousands_separators(count: int, text: str) -> None:
    assert repr(Timer("Discover").add(count)).startswith(f"Discover: {text} items in ")


def test_add_counts_and_returns_the_timer() -> None:
    timer = Timer()
    assert timer.add() is timer
    assert timer.add(2) is timer
    assert (timer.name, timer.n) == ("", 3)
    assert timer.start <= time.perf_counter()


def test_no_time_no_rate() -> None:
    timer = Timer("x").add(5)
    timer.start = time.perf_counter() + 60
    assert repr(timer).endswith("(0.0/sec)")
    assert repr(Timer.of("x", 5, 0.0)) == "x: 5 items in 0.0s (0.0/sec)"


def test_it_runs_on_until_it_is_stopped() -> None:
    timer = Timer("x")
    first = timer.elapsed
    time.sleep(0.01)
    assert timer.elapsed - first >= 0.01


def test_as_a_context_manager_it_stops_at_the_end_of_the_block() -> None:
    with Timer("Processing") as timer:
        timer.add(100)
        time.sleep(0.02)
    elapsed = timer.elapsed
    time.sleep(0.02)
    assert 0.02 <= elapsed == timer.elapsed
    assert re.fullmatch(r"Processing: 100 items in \d+\.\ds \(\d+\.\d/sec\)", repr(timer))


def test_it_stops_when_the_block_raises_and_lets_the_error_through() -> None:
    timer = Timer("x")
    with pytest.raises(KeyError), timer:
        raise KeyError
    assert timer.elapsed == timer.elapsed


def test_work_that_was_measured_in_pieces() -> None:
    assert repr(Timer.of("DB Insert", 50, 0.5)) == "DB Insert: 50 items in 0.5s (100.0/sec)"
