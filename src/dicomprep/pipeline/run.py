"""What becomes of folders of files: the parent of a run, which opens none of them (workers do: `process_file`)."""

import os
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace

from dicomprep.config import Config
from dicomprep.database.connection import read_meta
from dicomprep.database.queries import counts
from dicomprep.database.queries.failures import count_failures
from dicomprep.database.queries.overview import sample_places
from dicomprep.database.queries.references import describe_references
from dicomprep.database.writes.pictures import count_waiting
from dicomprep.database.writes.recovery import pending_deletions
from dicomprep.database.writes.releases import hold_back
from dicomprep.database.writes.series import refresh_series
from dicomprep.database.writes.settling import settle
from dicomprep.database.writes.splits import CLOSED_TEST, bind_splits, bind_unit
from dicomprep.database.writes.store import Store
from dicomprep.engines.select import count_workers
from dicomprep.errors import count_of
from dicomprep.pipeline.absence import Search, count_below, note_absent, prune
from dicomprep.pipeline.archive_memory import ArchiveMemory
from dicomprep.pipeline.changed_options import explain_changes
from dicomprep.pipeline.concerns import concerns
from dicomprep.pipeline.dicomdirs import Dicomdirs, dicomdir_differences
from dicomprep.pipeline.frame_ranges import FrameRangeMerger
from dicomprep.pipeline.places import Places, find_places, require_places
from dicomprep.pipeline.planner import Planner
from dicomprep.pipeline.preload import PROCESS
from dicomprep.pipeline.result import ProgressListener, Result
from dicomprep.pipeline.scheduler import RunLoop
from dicomprep.pipeline.stages.record import RecordContext, Recorder
from dicomprep.pipeline.workers import Workers, cluster_of
from dicomprep.privacy.allow_list import SET_APART
from dicomprep.privacy.keys import explain_exposure, fingerprint_key
from dicomprep.splits import SplitRule
from dicomprep.storage.access import OWNER
from dicomprep.storage.archives.spool import Spool
from dicomprep.storage.base import ImageStore, Source
from dicomprep.storage.local_images import LocalImages
from dicomprep.storage.roots import Part
from dicomprep.storage.waiting import waiting_for
from dicomprep.version import VERSION
from dicomprep.workspace import Workspace

__all__ = ["Find", "run"]

Find = Callable[[Spool], Iterable[Source | None]]
"""Finds inputs; what can only be read in order goes through the spool."""


def run(
    workspace: Workspace,
    config: Config,
    *,
    listener: ProgressListener | None = None,
    sources: Find | None = None,
    work: str = PROCESS,
) -> Result:
    """Process all files below `config.dicom_dir`, or what `sources` finds, into a data set; never stop for a bad one.

    Raises ConfigError or EnvironmentFault; what was finished before is recorded all the same.
    """
    if sources is None:
        require_places(config.dicom_dir)
    config, listener = replace(config, workers=count_workers(config.workers)), listener or ProgressListener()
    _warn_of_tags(config, listener)
    with ExitStack() as stack:
        stack.enter_context(waiting_for(config.budget.timeout))
        access = stack.enter_context(workspace.lock(shared=config.shared))
        cluster = stack.enter_context(cluster_of(config))
        store = stack.enter_context(workspace.writing(alone=True, access=access))
        with store.transaction() as connection:
            places = find_places(connection, config)
        result = Result(
            folders=places.folders,
            given=places.given,
            workspace=workspace,
            strict=config.strict,
            place=tuple(places.sentences()) if sources is None else (),
        )
        stack.callback(listener.on_end, result)
        config, rule = _bind(workspace, config, store, access, result)
        _apply_privacy(workspace, config, store, listener)
        images = stack.enter_context(_images(workspace, store, listener))
        run_id = _begin(workspace, config, places, store, listener)
        context = RecordContext(store, run_id, config.fingerprint(), rule, images, durable=config.durable)
        workers = Workers(config, images, listener, work)
        engine = stack.enter_context(closing(workers.of(cluster) if cluster else workers.of_this_machine(rule.key)))
        listener.on_start(result, config.workers)
        spool = stack.enter_context(Spool.below(images.folder if isinstance(images, LocalImages) else None))
        planner, merger, parts = Planner(store, config, rule.key), FrameRangeMerger(config.workers), places.parts
        search = _WholeSearch(places, config, result, ArchiveMemory(planner, config.fingerprint(), result))
        found = search.sources(spool, workspace.own_paths()) if sources is None else sources(spool)
        RunLoop(result, listener, planner, engine, merger, Recorder(context), spool).run(found)
        if sources is None and not result.interrupted:
            search.settle(store, rule.key, run_id, images, listener)
        _settle_and_count(store, rule, result, run_id, parts)
    return result


@dataclass(slots=True)
class _WholeSearch:
    """A search of all that a run was given."""

    places: Places
    config: Config
    result: Result
    memory: ArchiveMemory
    dicomdirs: Dicomdirs = field(default_factory=Dicomdirs)

    def sources(self, spool: Spool, exclude: Collection[str]) -> Iterator[Source | None]:
        """What is found; `exclude` are paths that are not looked at."""
        spool.memory = self.memory
        return self.dicomdirs.watch(self.places.search(self.config, exclude, self.result.passed_over, spool))

    def settle(self, store: Store, key: bytes, run_id: int, images: ImageStore, listener: ProgressListener) -> None:
        """When all that was found is recorded: what is missing, and what need not be read again."""
        search = Search(store, self.places.whole_parts, run_id, self.result.found, key, self.config.archives)
        _settle_absent(search, self.config, images, self.result, listener)
        self.memory.keep()
        self.dicomdirs.record(store)


def _settle_absent(
    search: Search, config: Config, images: ImageStore, result: Result, listener: ProgressListener
) -> None:
    """Mark recorded inputs that are missing; with `prune`, remove their images and rows."""
    search.store.drop_unseen(search.parts, search.run_id)
    note_absent(search)
    recorded = 0 if search.found else count_below(search)
    if recorded:
        folders = ", ".join(result.folders)
        message = f"None of {count_of(recorded, 'recorded file')} in {folders} was found. Is its disk mounted?"
        listener.on_warning(f"{message} Nothing is removed, not even with --prune.")
    elif config.prune:
        result.pruned = prune(search, images)


def _settle_and_count(store: Store, rule: SplitRule, result: Result, run_id: int, parts: Sequence[Part]) -> None:
    """Settle the splits of a delivery that is complete; what the database and its series are now, and labels became.

    A run that goes on with an interrupted one settles the patients of both.
    """
    result.followed, result.returned, result.moved_groups = store.followed, store.returned, store.moved_groups
    with store.transaction() as connection:
        if not result.interrupted:
            result.settled = settle(connection, rule)
        result.total_frames = counts.count_frames(connection)
        by_kind = counts.count_by(connection, "kind")
        result.set_apart = {kind: count for kind, count in by_kind.items() if kind in SET_APART}
        result.duplicates = counts.count_duplicates(connection)
        result.described = describe_references(connection, of_run=True)
        result.frames_by_split = counts.count_by(connection, "split")
        result.groups_by_split = counts.count_groups(connection)
        result.concerns = (*concerns(connection, of_run=True), *dicomdir_differences(connection))
        result.waiting = count_waiting(connection, run_id=run_id)
        result.unchanged_codes = count_failures(connection, parts) - result.codes
    refresh_series(store)


def _bind(workspace: Workspace, config: Config, store: Store, access: int, result: Result) -> tuple[Config, SplitRule]:
    """Hold the database to this output folder, and the run to the data set's rule for splits, which has its key."""
    store.bind_output(workspace.output)
    with store.transaction() as connection:
        bind_unit(connection, config.splits)
        is_new = read_meta(connection, "key_check") is None
    if is_new:  # the key that lies there may be that of another database, whose images these are
        workspace.require_own_output(data_set="")
    key = store.open_key(workspace.key_path, workspace.former_key_path)
    workspace.claim(data_set=fingerprint_key(key), access=access)
    result.access = _explain_access(workspace, access, shared=config.shared, is_new=is_new)
    with store.transaction() as connection:
        splits = bind_splits(connection, config.splits, key)
        is_closed = read_meta(connection, CLOSED_TEST) is not None
    result.split_seed = splits.split_seed
    return replace(config, splits=splits), SplitRule(key, splits, is_closed)


def _explain_access(workspace: Workspace, access: int, *, shared: bool, is_new: bool) -> str:
    """A sentence where a new data set is for its owner alone, or an earlier one is and was to be for a group."""
    if access != OWNER or os.name == "nt":
        return ""
    if not shared:
        return "readable only by you; to share a new data set with your group: --shared" if is_new else ""
    places = [] if workspace.output.is_remote else [workspace.output.text]
    places += [str(workspace.address.real_path)] if workspace.address.is_file else []
    if not places:
        return ""
    remedy = f"chmod -R g+rX {shlex.join(places)}"
    return f"readable only by you, as it was created; to give your group access, also to new files: {remedy}"


@contextmanager
def _images(workspace: Workspace, store: Store, listener: ProgressListener) -> Iterator[ImageStore]:
    """The output folder; what is half written is cleared away before and after."""
    with closing(workspace.images) as images:
        _clear_away(store, images)
        _warn_of_missing(store, images, listener)
        try:
            yield images
        finally:
            images.clear_scratch()


def _clear_away(store: Store, images: ImageStore) -> None:
    """Remove what a run that broke off left: half-written images, and those that no row names."""
    images.clear_scratch()
    with store.transaction() as connection:
        unnamed = pending_deletions(connection)
    images.remove(unnamed)


def _warn_of_missing(store: Store, images: ImageStore, listener: ProgressListener) -> None:
    """Warn of recorded images that are missing; a sample is checked here, all of them by `verify`."""
    with store.transaction() as connection:
        places = sample_places(connection)
    missing = [place for place in places if not images.holds(place)]
    if missing:
        message = f"{len(missing):,} of {count_of(len(places), 'image')} checked (a sample) are missing"
        listener.on_warning(f"{message}, such as {missing[0]}: `dicomprep verify --repair` regenerates them.")


def _warn_of_tags(config: Config, listener: ProgressListener) -> None:
    """Warn of tags that identify people; ConfigError where one cannot be recorded."""
    if config.privacy.tag:
        from dicomprep.dicom.confidentiality import confidentiality_warnings  # with it comes pydicom

        for sentence in confidentiality_warnings(config.privacy.tag):
            listener.on_warning(sentence)


def _begin(workspace: Workspace, config: Config, found: Places, store: Store, listener: ProgressListener) -> int:
    """Record that a run began and with which options; warn of files processed again because options changed."""
    with store.transaction() as connection:
        sentences = list(explain_changes(connection, config, found.parts))
    for sentence in sentences:
        listener.on_warning(sentence)
    folders = found.folders[0] if len(found.folders) == 1 else found.folders
    places = {"db": str(workspace), "output_dir": str(workspace.output), "dicom_dir": folders}
    options = asdict(config) | places
    if config.where.is_local:
        del options["where"], options["jobs"]
    return store.begin_run(version=VERSION, root=found.recorded, options=options)


def _apply_privacy(workspace: Workspace, config: Config, store: Store, listener: ProgressListener) -> None:
    """Warn where others may read the key; hold back images with burned-in text, or no longer, where requested."""
    exposure = explain_exposure(workspace.key_path)
    if exposure is not None:
        listener.on_warning(exposure)
    if config.privacy.hold_burned_in is not None:
        hold_back(store, on=config.privacy.hold_burned_in)
