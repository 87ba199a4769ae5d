"""By which rule a data set is divided: bound at its first run, and the same in all that follow."""

from dataclasses import replace

from sqlalchemy import Connection

from dicomprep.database.connection import read_meta, write_meta
from dicomprep.database.queries.strata import test_condition
from dicomprep.database.schema import meta
from dicomprep.errors import ConfigError
from dicomprep.privacy.draws import default_seed
from dicomprep.splits import Splits, Stratum

__all__ = ["CLOSED_TEST", "bind_splits", "bind_unit", "close_test", "recorded_seed", "recorded_splits"]

KEYED, SEEDED = "1", "2"
"""Values of `split_rule`: draws by the key of the data set, as in earlier releases, or by its seed."""

CLOSED_TEST = "test_closed"
"""In `meta`, where the test split was imported."""


def bind_splits(connection: Connection, asked: Splits, key: bytes) -> Splits:
    """The options of a run with what is the data set's own, and stays; ConfigError where it asks for another.

    A data set without a seed gets one that is as random as its `key`, of which it tells nothing: two data sets that
    have one key are divided alike. Strata and the condition of an external test may change: for new patients.
    """
    if read_meta(connection, "split_rule") is None:
        write_meta(connection, "split_rule", SEEDED)
        write_meta(connection, "split_seed", asked.split_seed or default_seed(key))
    seed = recorded_seed(connection)
    if asked.split_seed is not None and asked.split_seed != seed:
        raise ConfigError(_other_seed(seed))
    _bind(connection, "folds", asked.folds)
    _bind(connection, "stratify", asked.stratify)
    _bind(connection, "test_where", asked.test_where)
    bound = recorded_splits(connection, asked)
    if asked.folds is not None and asked.folds != bound.folds:
        raise ConfigError(
            f"This data set has --folds {bound.folds}: another number would move patients from fold to fold. "
            f"Omit --folds, or give another --db and --output-dir."
        )
    return bound


def recorded_splits(connection: Connection, options: Splits) -> Splits:
    """Options with what the data set itself has recorded."""
    folds, stratify = read_meta(connection, "folds"), read_meta(connection, "stratify")
    return replace(
        options,
        split_seed=recorded_seed(connection),
        folds=None if folds is None else int(folds),
        stratify=None if stratify in (None, Stratum.NONE) else Stratum(stratify),
        test_where=read_meta(connection, "test_where") or None,
    )


def close_test(connection: Connection, *, closed: bool) -> None:
    """Whether the test split is an imported one, for which nobody else is drawn."""
    connection.execute(meta.delete().where(meta.c.key == CLOSED_TEST))
    if closed:
        write_meta(connection, CLOSED_TEST, "1")


def recorded_seed(connection: Connection) -> str | None:
    """The seed of the data set; None before its first run, and where its key decides the splits."""
    return read_meta(connection, "split_seed")


def _bind(connection: Connection, name: str, asked: object) -> None:
    """Record what is asked for; the number of folds stays as it was first."""
    if asked is not None and (name != "folds" or read_meta(connection, name) is None):
        write_meta(connection, name, str(asked))


def bind_unit(connection: Connection, asked: Splits) -> None:
    """Record the unit of splits; ConfigError if the data set has another one, or the condition of test is none."""
    group_by = asked.group_by
    if asked.test_where:
        test_condition(asked.test_where)
    known = read_meta(connection, "group_by")
    if known is not None and known != group_by:
        message = f"This data set is divided by {known}: --group-by {group_by} would put old and new files of one"
        raise ConfigError(f"{message} patient into two splits. Give --group-by {known}, or another --db.")
    if known is None:
        write_meta(connection, "group_by", group_by.value)


def _other_seed(seed: str | None) -> str:
    if seed is None:
        return (
            "This data set was begun by a release without seeds: its key decides the splits. Omit --split-seed, or "
            "give another --db and --output-dir."
        )
    return (
        f"This data set is divided with --split-seed {seed}: another seed would divide old and new patients by two "
        "rules. Omit --split-seed, or give another --db and --output-dir."
    )
