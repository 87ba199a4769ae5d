"""What a run asks for that the data set was not made with: said before its images are made again."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection

from dicomprep.config import Config, ImageOptions
from dicomprep.database.queries.options import newest_options
from dicomprep.database.queries.roots import count_made_otherwise
from dicomprep.errors import ConfigError
from dicomprep.storage.roots import Part

__all__ = ["explain_changes"]

SHAPING = (*(field.name for field in fields(ImageOptions)), "tag")
"""What images and what is recorded of them depend on, as the fingerprint has it."""

DIVIDING = ("split", "test_unidentified")
"""What the splits of new patients depend on; `group_by` cannot change."""


def explain_changes(connection: Connection, config: Config, parts: Iterable[Part]) -> Iterator[str]:
    """Of how many recorded inputs in these parts images are made again, and why; whether splits are drawn otherwise."""
    before, now = _recorded(connection), _flat(asdict(config))
    count = sum(count_made_otherwise(connection, part, config.fingerprint()) for part in parts)
    if count:
        yield f"{count:,} {'input is' if count == 1 else 'inputs are'} processed again{_why(before, now)}"
    new = {name: now[name] for name in DIVIDING if before.get(name, now[name]) != now[name]}
    if new:
        was = _described({name: before[name] for name in new})
        yield f"New patients are divided with {_described(new)}; those recorded were with {was}, and stay."


def _described(options: Mapping[str, Any]) -> str:
    """Options as a person gives them.

    >>> _described({"size": 64, "fit": "pad", "tag": ["KVP"], "test_unidentified": False})
    '--size 64 --fit pad --tag KVP --test-unidentified=false'
    """
    words: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value == []:
            words.append(f"no {option}")
        elif isinstance(value, bool):
            words.append(option if value else f"{option}=false")
        else:
            words += [f"{option} {one}" for one in (value if isinstance(value, list) else [value])]
    return " ".join(words)


def _why(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    changed = [name for name in SHAPING if before.get(name) != now[name]]
    if not changed:
        return ": this version of dicomprep draws or records some of them differently."
    new = _described({name: now[name] for name in changed})
    was = _described({name: before[name] for name in changed if name in before}) if before else ""
    if not was:
        return f", with {new}."
    return f", with {new}; before it was {was}. Give that, or leave it in dicomprep.toml, to keep them as they are."


def _recorded(connection: Connection) -> dict[str, Any]:
    """The options of the newest run, checked; nothing where there is none, or they are damaged."""
    known = (*SHAPING, *DIVIDING)
    try:
        recorded = _flat(json.loads(newest_options(connection) or ""))
        return _flat(asdict(Config.of(".", **{name: recorded[name] for name in known if name in recorded})))
    except (ConfigError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name, with tuples as JSON has them."""
    parts = [options.get(part, {}) for part in ("image", "splits", "privacy")]
    flat = {name: value for part in parts for name, value in part.items()}
    return flat | {"tag": sorted(flat.get("tag", ()))}
