"""Hours in which a server may be asked."""

import datetime
import time
from itertools import pairwise

import pytest

from dicomprep.errors import ConfigError
from dicomprep.pipeline.hours import Hours


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [
        ("20:00-06:00", ["20:00", "23:59", "00:00", "05:59"], ["06:00", "12:00", "19:59"]),
        ("9:30-17:00", ["09:30"], ["17:00"]),
        ("20:00-24:00", ["20:00", "23:59"], ["00:00", "19:59"]),
        ("0:00-6:00", ["00:00"], ["06:00", "23:59"]),
    ],
)
def test_hours_may_go_beyond_midnight(text: str, allowed: list[str], refused: list[str]) -> None:
    hours = Hours.parse(text)
    assert hours is not None
    assert [hours.allow(datetime.time.fromisoformat(one)) for one in (*allowed, *refused)] == [True] * len(allowed) + [
        False
    ] * len(refused)


@pytest.mark.parametrize(
    "text", ["20-6", "24:00-06:00", "20:60-06:00", "always", "6:00-6:00", "0:00-24:00", "20:00-25:00"]
)
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--between"):
        Hours.parse(text)


@pytest.mark.parametrize(("noon", "hours"), [("2024-03-30", 9), ("2024-10-26", 11), ("2024-06-15", 10)])
def test_a_night_in_which_clocks_are_changed_is_as_long_as_it_is(
    monkeypatch: pytest.MonkeyPatch, noon: str, hours: int
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        night = Hours.parse("20:00-06:00")
        assert night is not None
        first = datetime.datetime.fromisoformat(f"{noon}T12:00+00:00").timestamp()
        minutes = [night.are_at(first + 60 * minute) for minute in range(24 * 60)]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert sum(minutes) == hours * 60
    assert sum(one != other for one, other in pairwise(minutes)) == 2
