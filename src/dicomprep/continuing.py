"""A later run goes on as the data set was begun: what is not asked for anew is as in its last run."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from dicomprep.addresses import is_sqlite_path, resolve_database
from dicomprep.config import Config, ImageOptions, Splits
from dicomprep.database.opening import open_for_reading
from dicomprep.database.root_queries import count_made_otherwise
from dicomprep.database.run_queries import newest_options
from dicomprep.errors import ConfigError
from dicomprep.roots import Part

__all__ = ["continued_options", "describe_options", "explain_changes"]

SHAPING = (*(field.name for field in fields(ImageOptions)), "tag")
"""What images and what is recorded of them depend on, as the fingerprint has it."""

KEPT = (*SHAPING, *(field.name for field in fields(Splits)), "follow_links")
"""What a data set is made by; anything else is a matter of the run."""


def continued_options(db: str, *, given: Collection[str]) -> dict[str, Any]:
    """What the last run asked for beyond the defaults, by option, but for what is `given` now.

    Nothing where there is no data set yet, or where what is recorded is damaged. Raises EnvironmentFault where the
    database fails, and ConfigError where it is none of dicomprep's.
    """
    db = resolve_database(db)
    if is_sqlite_path(db) and not Path(db).is_file():
        return {}
    with open_for_reading(db) as connection:
        recorded = _recorded(connection)
    defaults = _flat(asdict(Config(dicom_dir=Path())))
    kept = {name: recorded[name] for name in KEPT if name in recorded and name not in given}
    return {name: value for name, value in kept.items() if value != defaults[name]}


def explain_changes(connection: Connection, config: Config, parts: Iterable[Part]) -> str | None:
    """Of how many recorded inputs in these parts images are made again, and why; None where none are."""
    count = sum(count_made_otherwise(connection, part, config.fingerprint()) for part in parts)
    if not count:
        return None
    before, now = _recorded(connection), _flat(asdict(config))
    changed = {name: now[name] for name in SHAPING if before.get(name) != now[name]}
    was = describe_options({name: before[name] for name in changed if name in before})
    verb = "input is" if count == 1 else "inputs are"
    if not changed:
        return f"{count:,} {verb} processed again: this version of dicomprep draws or records some of them differently."
    return f"{count:,} {verb} processed again, with {describe_options(changed)} (before: {was or 'unknown'})."


def describe_options(options: Mapping[str, Any]) -> str:
    """Options as a person gave them.

    >>> describe_options({"size": 64, "group_by": "study", "tag": ["KVP"], "follow_links": True})
    '--size 64 --group-by study --tag KVP --follow-links'
    """
    words: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else f"{option}=false")
        else:
            words += [f"{option} {one}" for one in (value if isinstance(value, list) else [value])]
    return " ".join(words) or "defaults"


def _recorded(connection: Connection) -> dict[str, Any]:
    """The options of the newest run, checked; nothing where they are damaged."""
    try:
        recorded = _flat(json.loads(newest_options(connection) or "{}"))
        kept = {name: recorded[name] for name in KEPT if name in recorded}
        return _flat(asdict(Config.of(".", **kept))) | kept
    except (ConfigError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name, with tuples as JSON has them."""
    parts = [options.get(part, {}) for part in ("image", "splits", "privacy")]
    flat = {name: value for part in (*parts, options) for name, value in part.items()}
    return flat | {"tag": sorted(flat.get("tag", ()))}
