"""What a person sees of work that is done in rounds: the bad files, and a line for each round."""

import threading
import time
from collections.abc import Callable, Sequence

from dicomprep.cli.console import ConsoleListener, printable
from dicomprep.config import Config
from dicomprep.errors import ConfigError, EnvironmentFault, count_of
from dicomprep.pipeline.result import Result
from dicomprep.pipeline.rounds import Supply, rounds
from dicomprep.pipeline.run import run
from dicomprep.workspace import Workspace

__all__ = ["run_rounds"]


class _RoundListener(ConsoleListener):
    """Tells of bad files alone."""

    def on_start(self, result: Result, workers: int) -> None:
        """Nothing: a line comes at the end."""
        self._result = result


def run_rounds(
    workspace: Workspace | None,
    config: Config,
    *,
    seconds: float,
    supply: Supply | None = None,
    idle: str = "",
    news: Callable[[], Sequence[str]] = lambda: (),
) -> None:
    """Preprocess (where there is a data set) every so many seconds, or as things arrive, until that is over.

    `news` says what else happened since the round before, `idle` what is said where nothing did. Raises ConfigError
    where the first round cannot begin; a folder that is not there in a later one may be back in the next.
    """
    supply, begun = supply or Supply(), threading.Event()

    def work() -> Result | None:
        if workspace is None:
            return None
        try:
            result = run(workspace, config, listener=_RoundListener())
        except ConfigError as error:
            if not begun.is_set():
                raise
            raise EnvironmentFault(str(error)) from error
        begun.set()
        if result.interrupted:
            supply.stopped.set()
        _forget_if_idle(workspace, result)
        return result

    for became in rounds(work, seconds=seconds, supply=supply):
        said = [*news(), *_describe(became)] or [idle] * bool(idle)
        if said:
            print(printable(f"{time.strftime('%H:%M:%S')} {'; '.join(said)}"), flush=True)


def _forget_if_idle(workspace: Workspace, result: Result) -> None:
    """Rounds without anything to do leave no record, for there are as many as there are seconds."""
    if result.processed == result.moved == result.pruned == 0 and not result.interrupted:
        with workspace.writing() as store:
            store.forget_idle_run()


def _describe(became: Result | EnvironmentFault | None) -> list[str]:
    """What became of a round; nothing where there was nothing to do."""
    if isinstance(became, EnvironmentFault):
        return [f"not preprocessed, and tried again: {became}"]
    if became is None or not (became.processed or became.pruned):
        return []
    states = ", ".join(f"{count:,} {status}" for status, count in became.statuses.items())
    return [f"{count_of(became.processed, 'file')} preprocessed ({states})", f"{became.total_frames:,} images in all"]
