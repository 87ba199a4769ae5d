"""The options that a data set was made with: a run goes on with them, and says what others would redo."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection

from dicomprep.config import Config, ImageOptions, Places
from dicomprep.database.queries.options import newest_options
from dicomprep.database.queries.roots import count_headers_due, count_made_otherwise
from dicomprep.database.queries.runs import last_options
from dicomprep.errors import ConfigError, count_of
from dicomprep.pipeline.places import find_places
from dicomprep.storage.roots import Part

__all__ = ["REMEMBERED", "SHAPING", "explain_changes", "preview_changes", "recorded_options"]

SHAPING = (*(option.name for option in fields(ImageOptions)), "tag")
"""Options that images and their records depend on, as the fingerprint has them."""

SPLIT_OPTIONS = ("split", "test_unidentified", "stratify", "test_where")
"""Options that the splits of new patients depend on; the unit, the seed and the folds cannot change."""

REMEMBERED = (*SHAPING, "split", "test_unidentified", "group_by")
"""Options of a data set that hold until others are given; further ones are in its table `meta`."""


def recorded_options(connection: Connection, dicom_dir: Places) -> dict[str, Any]:
    """What the data set was made with, by the newest run of these places, else of any; empty before the first run."""
    parts = find_places(connection, Config.of(dicom_dir)).parts if dicom_dir else ()
    recorded = _recorded(connection, parts)
    return {name: recorded[name] for name in REMEMBERED if name in recorded}


def preview_changes(connection: Connection, config: Config) -> str:
    """What a run with these options would render again, in one sentence; empty where that is nothing."""
    parts = find_places(connection, config).parts
    changes = _changes(_recorded(connection, parts), _flat(asdict(config)), SHAPING)
    inputs, images = _count(connection, config, parts)
    return f"{changes}: {_counts(inputs, images)} would be rendered again" if inputs and changes else ""


def explain_changes(connection: Connection, config: Config, parts: Sequence[Part]) -> Iterator[str]:
    """How many recorded files in these parts are processed again, and why; whether splits are drawn otherwise."""
    before, now = _recorded(connection, parts), _flat(asdict(config))
    inputs, images = _count(connection, config, parts)
    changes = _changes(before, now, SHAPING)
    if inputs and before and changes:
        yield f"{changes}: {_counts(inputs, images)} {'is' if images == 1 else 'are'} rendered again."
    elif inputs:
        why = ": this version of dicomprep renders or records some of them differently" if before else ""
        yield f"{count_of(inputs, 'recorded file')} to be processed again{why}."
    headers = sum(count_headers_due(connection, part, config.fingerprint()) for part in parts)
    if headers:
        known = count_of(headers, "recorded file")
        yield f"This version records more of headers: those of {known} are read again, images stay as they are."
    drawn = _changes(before, now, SPLIT_OPTIONS)
    if before and drawn:
        yield f"{drawn}: only new patients are split so; recorded ones keep their splits."


def _count(connection: Connection, config: Config, parts: Sequence[Part]) -> tuple[int, int]:
    counts = [count_made_otherwise(connection, part, config.fingerprint()) for part in parts]
    return sum(inputs for inputs, _ in counts), sum(images for _, images in counts)


def _counts(inputs: int, images: int) -> str:
    return f"{count_of(images, 'image')} of {count_of(inputs, 'file')}"


def _changes(before: Mapping[str, Any], now: Mapping[str, Any], names: Sequence[str]) -> str:
    """Options that differ, as a person reads them.

    >>> _changes({"size": "512", "tag": []}, {"size": "224", "tag": ["KVP", "EchoTime"]}, ["size", "tag"])
    'size 512 → 224, tag none → KVP+EchoTime'
    """
    pairs = ((name, before.get(name), now[name]) for name in names)
    changed = (f"{name.replace('_', '-')} {_shown(was)} → {_shown(new)}" for name, was, new in pairs if was != new)
    return ", ".join(changed)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in (None, []):
        return "none"
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _recorded(connection: Connection, parts: Sequence[Part]) -> dict[str, Any]:
    """The options of the newest run of these parts, else of any, checked; empty without one, or if damaged."""
    of_parts = (last_options(connection, part.root) for part in parts)
    text = next(filter(None, of_parts), None) or newest_options(connection)
    known = (*SHAPING, *SPLIT_OPTIONS, "group_by")
    try:
        recorded = _flat(json.loads(text or ""))
        return _flat(asdict(Config.of(".", **{name: recorded[name] for name in known if name in recorded})))
    except (ConfigError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name, with tuples as JSON has them."""
    parts = [options.get(part, {}) for part in ("image", "splits", "privacy")]
    flat = {name: value for part in parts for name, value in part.items()}
    return flat | {"tag": sorted(flat.get("tag", ()))}
