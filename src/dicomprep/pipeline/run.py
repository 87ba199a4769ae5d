"""What becomes of a folder of files: the parent of a run, which never opens one itself (workers do: `processing`)."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from dicomprep.addresses import is_sqlite_path
from dicomprep.config import Config
from dicomprep.database.connection import connect, displayed_database, former_key_file, key_file, read_meta
from dicomprep.database.queries import counts
from dicomprep.database.queries.failures import count_failures
from dicomprep.database.queries.overview import sample_places
from dicomprep.database.queries.roots import is_doubled, recorded_roots
from dicomprep.database.writes.groups import bind_unit
from dicomprep.database.writes.pictures import count_waiting
from dicomprep.database.writes.recovery import pending_deletions
from dicomprep.database.writes.releases import hold_back
from dicomprep.database.writes.store import Store
from dicomprep.engines.base import Engine, Limits
from dicomprep.engines.select import INLINE_WARNING, count_workers, open_engine
from dicomprep.errors import ConfigError, EnvironmentFault, disk_fault
from dicomprep.models import Outcome, Settings, Source, Task
from dicomprep.pipeline.absence import Search, count_below, note_absent, prune
from dicomprep.pipeline.changed_options import explain_changes
from dicomprep.pipeline.concerns import concerns
from dicomprep.pipeline.frame_ranges import FrameRangeMerger
from dicomprep.pipeline.planner import Planner
from dicomprep.pipeline.preload import PROCESS
from dicomprep.pipeline.result import ProgressListener, Result
from dicomprep.pipeline.scheduler import RunLoop
from dicomprep.pipeline.stages.discover import discover
from dicomprep.pipeline.stages.record import Ledger, Recorder
from dicomprep.privacy.keys import explain_exposure, fingerprint_key
from dicomprep.storage.access import make_file, make_folder
from dicomprep.storage.archives import is_archive
from dicomprep.storage.local_images import LocalImages
from dicomprep.storage.paths import actual_path
from dicomprep.storage.roots import Part, Tree, find_tree
from dicomprep.storage.sync import DRAFT
from dicomprep.version import VERSION
from dicomprep.workspace import access_of, claim_output, explain_access, require_own_output

__all__ = ["alone", "key_path", "own_paths", "run"]

LOCK = ".dicomprep.lock"


def run(
    config: Config,
    *,
    listener: ProgressListener | None = None,
    sources: Iterable[Source] | None = None,
    work: str = PROCESS,
) -> Result:
    """Process all files below `config.dicom_dir`, or `sources`; record every input once; never stop for a bad one.

    Raises ConfigError or EnvironmentFault; what was finished before is recorded all the same.
    """
    if sources is None and not config.dicom_dir.is_dir():
        raise ConfigError(_why_no_folder(config.dicom_dir))
    connect(config.db).dispose()
    config, listener = replace(config, workers=count_workers(config.workers)), listener or ProgressListener()
    _warn_of_tags(config, listener)
    output_dir = config.output_dir.absolute()
    with ExitStack() as stack:
        access = stack.enter_context(alone(config))
        store = Store(config.db, alone=True, access=access)
        stack.callback(store.close)
        tree = _find_tree(config, store)
        result = Result(
            root=tree.folder,
            output_dir=config.output_dir,
            db=displayed_database(config.db),
            strict=config.strict,
            place=tuple(tree.sentences()) if sources is None else (),
        )
        stack.callback(listener.on_end, result)
        key = _bind(config, store, access, result)
        _apply_privacy(config, store, listener)
        images = stack.enter_context(_images(store, output_dir, listener))
        run_id = _begin(replace(config, output_dir=output_dir), tree, store, listener)
        rules = config.fingerprint(), config.splits
        ledger = Ledger(store, run_id, *rules, key, images, durable=config.durable)
        engine = stack.enter_context(closing(_engine(config, images, key, work, listener)))
        listener.on_start(result, config.workers)
        loop = RunLoop(
            result, listener, Planner(store, config, key), engine, FrameRangeMerger(config.workers), Recorder(ledger)
        )
        loop.run(_search(tree, config, result) if sources is None else sources)
        if sources is None and not result.interrupted:
            store.drop_unseen(tree.parts, run_id)
            _settle_absent(Search(store, tree.parts, run_id, result.found), config, images, result, listener)
        _count_all(store, result, run_id, tree.parts)
    return result


def _find_tree(config: Config, store: Store) -> Tree:
    with store.transaction() as connection:
        return find_tree(str(config.dicom_dir), recorded_roots(connection), partial(is_doubled, connection))


def _search(tree: Tree, config: Config, result: Result) -> Iterator[Source]:
    return discover(
        actual_path(tree.home.root),
        within=actual_path(tree.home.prefix.rstrip("/")),
        inner=tree.inner,
        exclude=own_paths(config),
        passed_over=result.passed_over,
        follow_links=config.follow_links,
    )


def _settle_absent(
    search: Search, config: Config, images: LocalImages, result: Result, listener: ProgressListener
) -> None:
    """Note which recorded inputs are no longer there; with `prune`, remove their images and rows."""
    note_absent(search)
    recorded = 0 if search.found else count_below(search)
    if recorded:
        message = f"None of {recorded:,} inputs recorded below {result.root} was found: are they gone, or on a disk"
        listener.on_warning(f"{message} that is not mounted? Nothing is removed, not even with --prune.")
    elif config.prune:
        result.pruned = prune(search, images)


def _count_all(store: Store, result: Result, run_id: int, parts: Sequence[Part]) -> None:
    """What the database holds now, and what became of labels."""
    result.followed, result.returned, result.moved_groups = store.followed, store.returned, store.moved_groups
    with store.transaction() as connection:
        result.total_frames = counts.count_frames(connection)
        result.duplicates = counts.count_duplicates(connection)
        result.frames_by_split = counts.count_by(connection, "split")
        result.groups_by_split = counts.count_groups(connection)
        result.concerns = concerns(connection, of_run=True)
        result.waiting = count_waiting(connection, run_id=run_id)
        result.unchanged_codes = count_failures(connection, parts) - result.codes


def _why_no_folder(path: Path) -> str:
    if not path.is_file():
        return f"There is no folder {path}."
    if is_archive(path.name):
        return f"{path} is an archive, and archives are not opened. Unpack it, then give the folder."
    return f"{path} is a file. Give the folder that holds it; `dicomprep inspect` looks at a single file."


def _bind(config: Config, store: Store, access: int, result: Result) -> bytes:
    """Hold the database to this output folder and this unit of splits; its key."""
    store.bind_output(config.output_dir.absolute())
    with store.transaction() as connection:
        bind_unit(connection, config.splits.group_by)
        is_new = read_meta(connection, "key_check") is None
    output_dir = config.output_dir.absolute()
    if is_new:  # the key that lies there may be that of another database, whose images these are
        require_own_output(output_dir, config.db, data_set="")
    key = store.open_key(key_path(config), former_key_file(config.db, output_dir))
    claim_output(output_dir, config.db, data_set=fingerprint_key(key), access=access)
    result.access = explain_access(output_dir, config.db, access, shared=config.shared, is_new=is_new)
    return key


@contextmanager
def _images(store: Store, output_dir: Path, listener: ProgressListener) -> Iterator[LocalImages]:
    """The output folder; what is half written is cleared away before and after."""
    with closing(LocalImages(output_dir)) as images:
        _clear_away(store, images)
        _warn_of_missing(store, images, listener)
        try:
            yield images
        finally:
            images.clear_scratch()


def _clear_away(store: Store, images: LocalImages) -> None:
    """Remove what a run that broke off left: half-written images, and those that no row names."""
    images.clear_scratch()
    with store.transaction() as connection:
        unnamed = pending_deletions(connection)
    images.remove(unnamed)


def _warn_of_missing(store: Store, images: LocalImages, listener: ProgressListener) -> None:
    """Say where images that are recorded are not there; a sample is looked for, `verify` looks for all."""
    with store.transaction() as connection:
        places = sample_places(connection)
    missing = [place for place in places if not images.holds(place)]
    if missing:
        message = f"{len(missing):,} of {len(places):,} recorded images that were looked for are missing"
        listener.on_warning(f"{message}, such as {missing[0]}: dicomprep verify --repair makes them again.")


def _engine(
    config: Config, images: LocalImages, key: bytes, work: str, listener: ProgressListener
) -> Engine[Task, Outcome]:
    max_bytes, timeout = config.budget.max_memory * 2**20, config.budget.timeout
    settings = Settings(
        config.image, config.splits, images, key, max_bytes, config.workers, config.privacy.tag, timeout
    )
    engine = open_engine(work, settings, workers=config.workers, limits=Limits(timeout, max_bytes))
    if not engine.isolates_tasks:
        listener.on_warning(INLINE_WARNING)
    return engine


def _warn_of_tags(config: Config, listener: ProgressListener) -> None:
    """Say which of the tags asked for identify people; ConfigError where one is none that can be recorded."""
    if config.privacy.tag:
        from dicomprep.dicom.confidentiality import confidentiality_warnings  # with it comes pydicom

        for sentence in confidentiality_warnings(config.privacy.tag):
            listener.on_warning(sentence)


def _begin(config: Config, tree: Tree, store: Store, listener: ProgressListener) -> int:
    """Record that a run began and with which options; say what is made again because earlier ones had others."""
    with store.transaction() as connection:
        sentences = list(explain_changes(connection, config, tree.parts))
    for sentence in sentences:
        listener.on_warning(sentence)
    options = asdict(config) | {"db": displayed_database(config.db), "dicom_dir": tree.folder}
    return store.begin_run(version=VERSION, root=tree.folder, options=options)


def _apply_privacy(config: Config, store: Store, listener: ProgressListener) -> None:
    """Say whether others may read the key, and hold images back, or no longer, where that was asked for."""
    exposure = explain_exposure(key_path(config))
    if exposure is not None:
        listener.on_warning(exposure)
    if config.privacy.hold_burned_in is not None:
        hold_back(store, on=config.privacy.hold_burned_in)


def key_path(config: Config) -> Path:
    """Where the key lies: beside the database, or beside the output where the database is a server's."""
    return key_file(config.db, config.output_dir)


def own_paths(config: Config) -> frozenset[str]:
    """What this program writes; it may lie among the files that are searched."""
    own = [os.path.abspath(config.output_dir), str(key_path(config)), f"{key_path(config)}{DRAFT}"]
    if is_sqlite_path(config.db):
        own += [os.path.abspath(config.db + ending) for ending in ("", ".lock", "-journal", "-wal", "-shm")]
    return frozenset(own)


@contextmanager
def alone(config: Config) -> Iterator[int]:
    """Make the output folder and keep every other run out of it and of the database; whom new files are for."""
    access = access_of(config.output_dir.absolute(), config.db, shared=config.shared)
    locks = [config.output_dir.absolute() / LOCK]
    if is_sqlite_path(config.db):
        locks.append(Path(f"{os.path.realpath(config.db)}.lock"))  # one lock, by whatever name it is called
    with ExitStack() as stack:
        for lock in locks:
            try:
                make_folder(lock.parent, access)
                make_file(lock, access)
                stack.enter_context(FileLock(lock, timeout=0))
            except Timeout as error:
                message = f"Another run is writing to {lock.parent}."
                raise EnvironmentFault(f"{message} Wait for it, or choose another --output-dir and --db.") from error
            except NotImplementedError as error:
                raise EnvironmentFault(f"{lock} cannot be locked: its file system has no locks.") from error
            except OSError as error:
                raise disk_fault(f"{lock.parent} cannot be written to", error) from error
        yield access
