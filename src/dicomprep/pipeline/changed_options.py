"""Options of a run that differ from those the data set was made with: reported before its images are regenerated."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection

from dicomprep.config import Config, ImageOptions
from dicomprep.database.queries.options import newest_options
from dicomprep.database.queries.roots import count_headers_due, count_made_otherwise
from dicomprep.errors import ConfigError, count_of
from dicomprep.storage.roots import Part

__all__ = ["explain_changes"]

IMAGE_OPTIONS = (*(field.name for field in fields(ImageOptions)), "tag")
"""Options that images and their records depend on, as the fingerprint has them."""

SPLIT_OPTIONS = ("split", "test_unidentified", "stratify", "test_where")
"""Options that the splits of new patients depend on; the unit, the seed and the folds cannot change."""


def explain_changes(connection: Connection, config: Config, parts: Sequence[Part]) -> Iterator[str]:
    """How many recorded files in these parts are processed again, and why; whether splits are drawn otherwise."""
    before, now = _recorded(connection), _flat(asdict(config))
    count = sum(count_made_otherwise(connection, part, config.fingerprint()) for part in parts)
    if count:
        yield f"{count_of(count, 'recorded file')} to be processed again{_why(before, now)}"
    headers = sum(count_headers_due(connection, part, config.fingerprint()) for part in parts)
    if headers:
        known = count_of(headers, "recorded file")
        yield f"This version records more of headers: those of {known} are read again, images stay as they are."
    new = {name: now[name] for name in SPLIT_OPTIONS if before.get(name, now[name]) != now[name]}
    if new:
        was = _describe({name: before[name] for name in new})
        yield f"New patients are split with {_describe(new)}; recorded ones keep their splits, drawn with {was}."


def _describe(options: Mapping[str, Any]) -> str:
    """Options as a person gives them.

    >>> _describe({"size": 64, "fit": "pad", "tag": ["KVP"], "test_unidentified": False})
    '--size 64 --fit pad --tag KVP --test-unidentified=false'
    """
    words: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value in ([], None):
            words.append(f"no {option}")
        elif isinstance(value, bool):
            words.append(option if value else f"{option}=false")
        else:
            words += [f"{option} {one}" for one in (value if isinstance(value, list) else [value])]
    return " ".join(words)


def _why(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    changed = [name for name in IMAGE_OPTIONS if before.get(name) != now[name]]
    if not changed:
        return ": this version of dicomprep renders or records some of them differently."
    new = _describe({name: now[name] for name in changed})
    was = _describe({name: before[name] for name in changed if name in before}) if before else ""
    if not was:
        return f", with {new}."
    return f", with {new} instead of {was}. To keep the images as they are, give {was}, or set it in dicomprep.toml."


def _recorded(connection: Connection) -> dict[str, Any]:
    """The options of the newest run, checked; nothing where there is none, or they are damaged."""
    known = (*IMAGE_OPTIONS, *SPLIT_OPTIONS)
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
