"""The table of contents: what becomes of one file (`process`), and of a folder of them (`run`)."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from dicomprep.batch import Batch
from dicomprep.config import Config, ImageOptions, Splits
from dicomprep.database.connect import connect, displayed_database, is_sqlite_path
from dicomprep.database.store import Store
from dicomprep.dicom.sniff import DICOM_SUFFIXES, sniff
from dicomprep.engines.local import LocalEngine
from dicomprep.engines.worker import Limits, Work
from dicomprep.errors import ConfigError, EnvironmentFault, ErrorCode, InputError
from dicomprep.models import Frame, Outcome, Source, Status, Task, Thumbnail, Written
from dicomprep.naming import frame_filename, thumbnail_path
from dicomprep.planning import Planner
from dicomprep.result import Result, Watcher
from dicomprep.splits import identify_group
from dicomprep.stages.decode import Image, NoImage, decode
from dicomprep.stages.discover import discover
from dicomprep.stages.normalize import normalize
from dicomprep.stages.record import Ledger
from dicomprep.stages.resize import resize
from dicomprep.stages.write import write
from dicomprep.storage import SourceFile, clear_scratch, open_source
from dicomprep.version import VERSION

__all__ = ["Settings", "draw", "key_path", "process", "run"]

LOCK = ".dicomprep.lock"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker must know."""

    image: ImageOptions
    splits: Splits
    output_dir: Path
    key: bytes
    max_bytes: int


def process(task: Task, settings: Settings, heartbeat: Callable[[], None] = lambda: None) -> Outcome:
    """Make and write all images of one file; what cannot be done is said in the outcome."""
    if task.source.error is not None:
        return Outcome(task, Status.FAILED, ErrorCode.UNREADABLE, task.source.error)
    try:
        with warnings.catch_warnings(action="ignore"), open_source(_full_path(task.source)) as file:
            an_input = task.recorded or task.source.path.lower().endswith(DICOM_SUFFIXES)
            if not an_input and sniff(file.head()) is None:  # it is not read any further
                return Outcome(task, None)
            digest = file.digest()
            if task.digest_only:
                return Outcome(task, None, digest=digest)
            outcome = replace(_process_open(task, file, settings, heartbeat), digest=digest)
            if file.has_changed() or (file.size, file.mtime_ns) != (task.source.size, task.source.mtime_ns):
                reason = "it changed while it was being read"
                return replace(outcome, status=Status.UNSTABLE, error_code=ErrorCode.CHANGED, error_detail=reason)
            return outcome
    except InputError as error:
        return Outcome(task, Status.FAILED, error.code, error.detail)


def draw(image: Image, options: ImageOptions) -> Iterator[tuple[int, Thumbnail | InputError]]:
    """The thumbnails of the frames that `options` select; where one cannot be made, the reason."""
    for frame in image.frames(options.select_frames(image.frame_count), options):
        if not isinstance(frame, Frame):
            yield frame
            continue
        try:
            yield frame.index, resize(normalize(frame, options), options)
        except InputError as error:
            yield frame.index, error


def run(
    config: Config,
    *,
    watcher: Watcher | None = None,
    sources: Iterable[Source] | None = None,
    work: Work = process,
) -> Result:
    """Process all files below `config.dicom_dir`, or `sources`; record every input once; never stop for a bad one.

    Raises ConfigError or EnvironmentFault; what was finished before is recorded all the same.
    """
    root = os.path.abspath(config.dicom_dir)
    if sources is None and not os.path.isdir(root):
        raise ConfigError(f"There is no folder {config.dicom_dir}.")
    connect(config.db).dispose()
    watcher = watcher or Watcher()
    output_dir = config.output_dir.absolute()
    result = Result(root=root, output_dir=config.output_dir, db=displayed_database(config.db), strict=config.strict)
    with ExitStack() as stack:
        stack.callback(watcher.ended, result)
        stack.enter_context(_alone(config))
        store = Store(config.db)
        stack.callback(store.close)
        store.bind_output(output_dir)
        key = store.open_key(key_path(config))
        clear_scratch(output_dir)
        stack.callback(clear_scratch, output_dir)
        options = asdict(replace(config, dicom_dir=Path(root), output_dir=output_dir, db=displayed_database(config.db)))
        run_id = store.begin_run(version=VERSION, root=root, options=options)
        ledger = Ledger(store, run_id, config.image.fingerprint(), config.splits, key, output_dir)
        settings = Settings(config.image, config.splits, output_dir, key, config.budget.max_memory * 2**20)
        limits = Limits(config.budget.timeout, settings.max_bytes)
        engine = LocalEngine(work, settings, workers=config.workers, limits=limits, preload=[__name__])
        stack.enter_context(engine)
        watcher.began(result, config.workers)
        planner = Planner(store, config, key)
        found = discover(root, exclude=_own_paths(config), passed_over=result.passed_over)
        Batch(result, watcher, planner, ledger, engine).run(found if sources is None else sources)
        if sources is None and not result.interrupted:
            store.drop_unseen(root, run_id)
    return result


def _full_path(source: Source) -> str:
    return os.path.join(source.root, source.path)


def key_path(config: Config) -> Path:
    """Where the key lies: beside the database, or beside the output where the database is a server's."""
    if is_sqlite_path(config.db):
        return Path(f"{config.db}.key").absolute()
    return config.output_dir.absolute().parent / "dicomprep.key"


def _own_paths(config: Config) -> frozenset[str]:
    """What this program writes; it may lie among the files that are searched."""
    own = [os.path.abspath(config.output_dir), str(key_path(config))]
    if is_sqlite_path(config.db):
        own += [os.path.abspath(config.db + ending) for ending in ("", ".lock", "-journal", "-wal", "-shm")]
    return frozenset(own)


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    """Make the output folder and keep every other run out of it and of the database."""
    locks = [config.output_dir.absolute() / LOCK]
    if is_sqlite_path(config.db):
        locks.append(Path(f"{config.db}.lock").absolute())
    with ExitStack() as stack:
        for lock in locks:
            try:
                lock.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(lock, timeout=0))
            except Timeout as error:
                message = f"Another run is writing to {lock.parent}."
                raise EnvironmentFault(f"{message} Wait for it, or choose another --output-dir and --db.") from error
            except OSError as error:
                raise EnvironmentFault(f"{lock.parent} cannot be written to: {error.strerror}") from error
        yield


def _process_open(task: Task, file: SourceFile, settings: Settings, heartbeat: Callable[[], None]) -> Outcome:
    try:
        image = decode(file, max_bytes=settings.max_bytes)
    except NoImage as error:
        return Outcome(task, Status.SKIPPED, error.code, error.detail, instance=error.instance)
    except InputError as error:
        return Outcome(task, Status.FAILED, error.code, error.detail)
    written: list[Written] = []
    failures = 0
    first: tuple[int, InputError] | None = None
    try:
        for index, drawn in draw(image, settings.image):
            heartbeat()
            if isinstance(drawn, InputError):
                failures += 1
                first = first or (index, drawn)
                continue
            filename = frame_filename(task.name, index, image.frame_count)
            place = thumbnail_path(filename)
            done = write(
                drawn,
                frame_number=index,
                filename=filename,
                thumbnail_path=place,
                output_dir=settings.output_dir,
            )
            written.append(done)
    except InputError as error:  # of the file as a whole: its frames cannot even be found
        return Outcome(task, Status.FAILED, error.code, error.detail, instance=image.instance)
    outcome = _identified(task, image, settings, written)
    return outcome if first is None else _with_failures(outcome, failures, *first)


def _identified(task: Task, image: Image, settings: Settings, written: list[Written]) -> Outcome:
    """The outcome of a file whose images are written, and whose they are."""
    instance = image.instance
    if written:
        kind, key = identify_group(
            settings.key,
            settings.splits,
            patient_id=image.patient_id,
            study_instance_uid=instance.study_instance_uid,
            folder=task.study_id,
        )
        instance = replace(instance, group_kind=kind, group_key=key)
    return Outcome(task, Status.DONE, written=tuple(written), frame_count=image.frame_count, instance=instance)


def _with_failures(outcome: Outcome, failures: int, index: int, error: InputError) -> Outcome:
    """Partial or failed, with the first reason."""
    detail = error.detail
    if outcome.frame_count > 1:
        detail += f" (frame {index}; {failures:,} of {failures + len(outcome.written):,} frames failed)"
    status = Status.PARTIAL if outcome.written else Status.FAILED
    return replace(outcome, status=status, error_code=error.code, error_detail=detail)
