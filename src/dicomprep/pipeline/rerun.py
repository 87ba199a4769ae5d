"""Which failed files are retried, and with which options: those of the last run below their root."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from dicomprep.config import Config
from dicomprep.database.queries import failures
from dicomprep.database.queries.runs import last_options
from dicomprep.database.writes.recovery import mark_stale
from dicomprep.errors import ConfigError
from dicomprep.pipeline.opening import recorded_sources
from dicomprep.pipeline.run import Find
from dicomprep.storage.paths import actual_path
from dicomprep.workspace import Workspace

__all__ = ["due_runs", "recorded_config", "sources_below"]


def due_runs(
    workspace: Workspace, *, codes: Sequence[str] | None, workers: int, changes: dict[str, Any]
) -> Iterator[tuple[Config, Find, int]]:
    """For every root with failed inputs (of `codes`, if given): a run's configuration, just those, and how many."""
    workspace.require_claimed()
    with workspace.writing() as store:
        with store.transaction() as connection:
            roots = failures.roots_of_failures(connection, codes)
            options = {root: last_options(connection, root) for root in roots}
        for root in roots:
            with store.transaction() as connection:
                paths = failures.paths_of_failures(connection, root, codes)
                mark_stale(connection, root, paths)
            config = recorded_config(workspace, options[root], root, {"workers": workers, **changes})
            yield config, sources_below(root, paths, config), len(paths)


def sources_below(root: str, paths: Sequence[str], config: Config) -> Find:
    """Recorded inputs (readable paths below a readable root) as they are now."""
    place, within = actual_path(root), list(map(actual_path, paths))
    return lambda spool: recorded_sources(place, within, follow_links=config.follow_links, spool=spool)


def recorded_config(workspace: Workspace, recorded: str | None, root: str, changes: dict[str, Any]) -> Config:
    """The configuration of a run from its recorded options, but with `changes`."""
    try:
        options = json.loads(recorded or "")
        flat = {**options["image"], **options["budget"], **options["splits"], **options.get("privacy", {})}
        flat |= dict.fromkeys(
            ("stratify", "test_where")
        )  # the data set has them: other runs may have changed them since
        flat |= {"strict": options["strict"]} | {name: options.get(name, False) for name in ("durable", "follow_links")}
        return Config.of(actual_path(root), **flat | changes)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"The options of the last run in {workspace} are damaged"
        raise ConfigError(f"{message}; `dicomprep preprocess` with the options you want records them again.") from error
