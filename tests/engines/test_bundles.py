"""Tasks in bundles: how large they are, and what becomes of one that is lost with its worker."""

import time
from typing import Any

import pytest

from dicomprep.engines import bundles
from dicomprep.engines.base import Answer
from dicomprep.engines.bundles import MAX_TASKS, Bundle, Bundler
from dicomprep.engines.driver import Driver
from dicomprep.engines.inline import InlineEngine


def bundle_of(count: int) -> Bundle:
    return Bundle([(f"t{number}", 0) for number in range(count)])


@pytest.mark.parametrize("count", [1, 2, 9, 300])
def test_only_the_guilty_task_is_convicted(count: int) -> None:
    """A bundle that is lost once is done again; the task that takes every worker along is found in a few steps."""
    guilty, cleared, deaths = f"t{count // 2}", set[str](), 0
    waiting = [bundle_of(count)]
    convicted: list[Bundle] = []
    while waiting:
        bundle = waiting.pop()
        names = {str(task) for task, _ in bundle.tasks}
        if guilty not in names:
            cleared |= names
            continue
        deaths += 1
        parts = list(bundle.after_loss(1))
        assert [task for part in parts for task in part.tasks] == bundle.tasks
        convicted += [part for part in parts if part.is_guilty]
        waiting += [part for part in parts if not part.is_guilty]
    assert [task for bundle in convicted for task, _ in bundle.tasks] == [guilty]
    assert len(cleared) == count - 1
    assert deaths <= 8


def test_one_loss_changes_nothing() -> None:
    (again,) = bundle_of(5).after_loss(1)
    assert (again.tasks, again.is_alone, again.losses) == (bundle_of(5).tasks, False, 1)


def test_what_a_worker_left_over_is_what_it_did_not_finish() -> None:
    assert bundle_of(4).without({0, 2}).tasks == [("t1", 0), ("t3", 0)]


@pytest.mark.parametrize(("seconds_each", "count"), [(0.0001, MAX_TASKS), (0.01, 200), (5.0, 1)])
def test_bundles_come_to_take_two_seconds(seconds_each: float, count: int) -> None:
    bundler, sizes = Bundler(), list[int]()
    for number in range(30_000):
        if bundler.is_full:
            bundle = bundler.take()
            sizes.append(len(bundle.tasks))
            bundler.learn(bundle, len(bundle.tasks) * seconds_each)
        bundler.add(number, 1000)
    assert sizes[0] == bundles.FIRST_TASKS
    assert sizes[-1] == pytest.approx(count, rel=0.1)


def test_of_a_bundle_whose_time_is_not_known_nothing_is_learned() -> None:
    bundler = Bundler()
    bundler.learn(bundle_of(16), 0.0)
    for number in range(bundles.FIRST_TASKS):
        assert not bundler.is_full
        bundler.add(number, 1000)
    assert bundler.is_full


class StartingEngine(InlineEngine):
    """It takes its time before its first answer."""

    def poll(self, seconds: float) -> list[Answer[Any, Any]]:
        if not self.answered:
            time.sleep(0.4)
        self.answered = True
        return super().poll(seconds)

    answered = False


def test_the_start_of_an_engine_is_no_cost_of_its_first_bundle() -> None:
    """By it the next bundles would be far too small, on a cluster of many slots thousands of them."""
    driver = Driver(lambda: StartingEngine("tests.faulty:faulty_work", None))
    seconds = [driver.do([(f"good-{number}", 1)] * 3).seconds for number in range(2)]
    slow = driver.do([("nap-0.3", 1)]).seconds
    driver.close()
    assert seconds[0] == 0
    assert seconds[1] > 0
    assert slow > 0.25
