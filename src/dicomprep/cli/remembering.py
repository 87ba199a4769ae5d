"""A data set remembers its options: they hold until others are given on the command line.

Files of options propose; what they would change of a data set takes `--rerender`.
"""

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cyclopts.argument import Argument
from cyclopts.token import Token

from dicomprep.config import Config
from dicomprep.pipeline.changed_options import REMEMBERED, SHAPING, preview_changes, recorded_options
from dicomprep.pipeline.places import require_places
from dicomprep.workspace import Workspace

__all__ = ["go_on"]

RERENDER = "--rerender"


def go_on(db: str, by_name: Mapping[str, Argument], *, given: Collection[str], places: Sequence[str]) -> None:
    """Give the options that were not `given` on the command line the values that the data set was made with."""
    chosen = _named(given)
    from_files = {name: by_name[_option(name)] for name in _named(by_name) - chosen if by_name[_option(name)].tokens}
    proposed = {} if RERENDER in given else {n: one.convert() for n, one in from_files.items() if n in SHAPING}
    recorded, redone = _recorded(db, places, proposed)
    _fill(by_name, recorded, apart_from={*chosen, *from_files} - proposed.keys())
    if redone:
        print(f"Not done, as only a file of options asks for it: {redone}. To do it: {RERENDER}", file=sys.stderr)


def _recorded(db: str, places: Sequence[str], proposed: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The options of the data set, and what those that are proposed would redo."""
    require_places(places)
    with Workspace.open(db).reading() as connection:
        recorded = recorded_options(connection, places)
        if not (recorded and proposed and places):
            return recorded, ""
        return recorded, preview_changes(connection, Config.of(places, **{**recorded, **proposed}))


def _fill(by_name: Mapping[str, Argument], recorded: Mapping[str, Any], *, apart_from: Collection[str]) -> None:
    for name, value in recorded.items():
        if name not in apart_from:
            values = value if isinstance(value, list) else [] if value is None else [value]
            argument = by_name[_option(name)]
            argument.tokens[:] = [Token(keyword=_option(name), value=str(one), source="data set") for one in values]


def _named(options: Collection[str]) -> frozenset[str]:
    """Of options as the command line has them, those that a data set remembers, as Python has them."""
    return frozenset(name for name in REMEMBERED if _option(name) in options)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
