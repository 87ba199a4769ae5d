"""Tasks in bundles: how large they are, and what becomes of one that is lost with its worker."""

import pytest

from dicomprep.engines import bundles
from dicomprep.engines.bundles import MAX_TASKS, Bundle, Bundler


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


@pytest.mark.parametrize(("seconds_each", "count"), [(0.0001, MAX_TASKS), (0.01, 100), (5.0, 1)])
def test_bundles_come_to_take_a_second(seconds_each: float, count: int) -> None:
    bundler, sizes = Bundler(), list[int]()
    for number in range(30_000):
        if bundler.is_full:
            bundle = bundler.take()
            sizes.append(len(bundle.tasks))
            bundler.learn(bundle, len(bundle.tasks) * seconds_each)
        bundler.add(number, 1000)
    assert sizes[0] == bundles.FIRST_TASKS
    assert sizes[-1] == pytest.approx(count, rel=0.1)
