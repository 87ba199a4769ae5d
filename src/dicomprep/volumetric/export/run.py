"""Making an export of volumes, or updating one: `export_volumes(kind, out, …)`."""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dicomprep.engines.base import Answer, Limits, TaskFailure
from dicomprep.engines.select import open_engine
from dicomprep.errors import ErrorCode
from dicomprep.exchange.opening import alone, find_salt, plain, require_folder
from dicomprep.exchange.options import ExportOptions, Format, VolumeOptions
from dicomprep.exchange.pseudonyms import Pseudonyms
from dicomprep.extras import load_extra
from dicomprep.storage.access import GROUP, OWNER
from dicomprep.volumetric.export.choose import SEVERAL, ChosenSeries, choose_series
from dicomprep.volumetric.export.label_maps import name_segments
from dicomprep.volumetric.export.lists import FOLDERS, write_lists
from dicomprep.volumetric.export.progress import Finished, FinishedSeries, is_whole
from dicomprep.volumetric.export.work import LABELS, RefusedPart, SeriesDone, SeriesTask, VolumeSettings, WrittenVolume
from dicomprep.workspace import Workspace

__all__ = ["ExportedVolumes", "export_volumes"]

WORK = "dicomprep.volumetric.export.work:export_series"

POLL_SECONDS = 1.0

_NUMBER = re.compile(r"\d+(\.\d+)?")

_LIBRARIES = {Format.NIFTI: "nibabel", Format.ZARR: "zarr"}


@dataclass(slots=True)
class ExportedVolumes:
    """The result of an export of volumes."""

    volumes: int = 0
    """Volumes in the folder now."""
    series: int = 0
    """Series that they are of."""
    added: int = 0
    changed: int = 0
    removed: int = 0
    kept: int = 0
    """Volumes, like those before."""
    without_series: int = 0
    """Selected images whose headers name no series."""
    refused: list[RefusedPart] = field(default_factory=list)
    """Series and parts that are no volume, in the order of their names."""

    def reasons(self) -> list[tuple[str, int]]:
        """Why parts are refused, and how many: one of the reasons that differ in numbers alone, the commonest first."""
        counts, examples = Counter[str](), dict[str, str]()
        for one in self.refused:
            kind = _NUMBER.sub("", one.reason)
            examples.setdefault(kind, one.reason)
            counts[kind] += 1
        return [(examples[kind], count) for kind, count in counts.most_common()]


def export_volumes(
    kind: Format,
    out: Path,
    workspace: Workspace,
    *,
    options: ExportOptions,
    volumes: VolumeOptions,
    shared: bool = False,
) -> ExportedVolumes:
    """Export series as volumes to a folder, which may hold an earlier export: only what is new or changed is written.

    Raises ConfigError where the options or the folder do not fit, EnvironmentFault where the disk or the database
    fails. What was finished before that stays, and is gone on with.
    """
    options.require_volumes()
    options.choice()
    load_extra(_LIBRARIES[kind], extra="volumes", purpose=f"export {kind}")
    require_folder(out)
    pseudonyms = Pseudonyms(workspace.key, salt=find_salt(out) if options.fresh_pseudonyms else "")
    chosen, without_series = choose_series(workspace, options, pseudonyms)
    header = _header(kind, options, volumes, pseudonyms, chosen)
    with workspace.reading() as connection:
        header["segments"] = list(name_segments(connection)) if kind is Format.NIFTI else []
    access = GROUP if shared else OWNER
    with alone(out, access):
        finished = Finished.open(out, header, access)
        settings = VolumeSettings(
            workspace,
            out,
            kind,
            volumes.values,
            volumes.resample,
            access,
            with_paths=options.with_paths,
            segments=tuple(finished.header["segments"]),
        )
        done = _Export(finished, settings, ExportedVolumes(without_series=without_series))
        done.carry_out(chosen, volumes)
        finished.remove_strays((*FOLDERS.values(), *LABELS.values()))
        finished.write()
        write_lists(finished, chosen, kind, options)
    return done.result


def _header(
    kind: Format,
    options: ExportOptions,
    volumes: VolumeOptions,
    pseudonyms: Pseudonyms,
    chosen: Sequence[ChosenSeries],
) -> dict[str, object]:
    asked = {name: value for name, value in asdict(options).items() if name not in ("license", "shard_size", "version")}
    asked["fresh_pseudonyms"] = pseudonyms.salt
    asked |= {"values": volumes.values, "resample": volumes.resample}
    classes = sorted({series.label for series in chosen if series.label is not None})
    return plain({"format": kind.value, "data_set": pseudonyms.check, "options": asked, "classes": classes})


@dataclass(slots=True)
class _Export:
    finished: Finished
    settings: VolumeSettings
    result: ExportedVolumes

    def carry_out(self, chosen: Sequence[ChosenSeries], options: VolumeOptions) -> None:
        wanted = {series.name for series in chosen}
        for name in sorted(self.finished.series.keys() - wanted):
            self.result.removed += self.finished.drop(name)
        self.finished.write()
        tasks = [(series, task) for series in chosen if (task := self._plan(series)) is not None]
        self._work(tasks, options)
        there = [series for series in self.finished.series.values() if series.volumes]
        self.result.series, self.result.volumes = len(there), sum(len(series.volumes) for series in there)

    def _plan(self, series: ChosenSeries) -> SeriesTask | None:
        """What is left to do for a series: what was refused is tried again."""
        if series.split == SEVERAL:
            self._note(series, SeriesDone((), (RefusedPart("", "its images are in several splits"),)))
            return None
        folder = FOLDERS[series.split]
        known = self.finished.series.get(series.name)
        whole: tuple[WrittenVolume, ...] = ()
        if known is not None and known.fingerprint == series.fingerprint:
            whole = tuple(
                volume
                for volume in known.volumes
                if volume.file.startswith(f"{folder}/") and is_whole(self.finished.folder, volume)
            )
            if len(whole) == len(known.volumes) > 0 and not known.refused:
                self.result.kept += len(whole)
                return None
        return SeriesTask(series.key, series.name, folder, frozenset(series.images), whole)

    def _work(self, tasks: Sequence[tuple[ChosenSeries, SeriesTask]], options: VolumeOptions) -> None:
        waiting = {id(task): series for series, task in tasks}
        limits = Limits(options.timeout, options.max_memory * 2**20)
        if not tasks:
            return
        left = iter(tasks)
        with closing(open_engine(WORK, self.settings, workers=min(options.workers, len(tasks)), limits=limits)) as work:
            while waiting:
                while work.wants_more and (following := next(left, None)) is not None:
                    work.submit(following[1])
                for answer in work.poll(POLL_SECONDS):
                    self._note(waiting.pop(id(answer.task)), _result(answer, options), answer.task.written)

    def _note(self, series: ChosenSeries, done: SeriesDone, there: Sequence[WrittenVolume] = ()) -> None:
        """Note what came of a series; `there` was left as it was."""
        before = self.finished.series.get(series.name)
        known, kept, written = (
            {volume.file for volume in those} for those in (before.volumes if before else (), there, done.written)
        )
        self.result.kept += len(kept)
        self.result.changed += len(written & known - kept)
        self.result.added += len(written - known)
        self.result.removed += len(known - written)
        refused = tuple((one.part, one.reason) for one in done.refused)
        finished = FinishedSeries(series.name, series.fingerprint, done.written, refused)
        if finished != before:
            self.finished.add(finished)
        self.result.refused.extend(done.refused)


def _result(answer: Answer[SeriesTask, SeriesDone], options: VolumeOptions) -> SeriesDone:
    """What came of a task; where it failed, what had been there before stays."""
    done = answer.result
    if isinstance(done, TaskFailure):
        return SeriesDone(answer.task.written, (RefusedPart("", _explain(done, options)),))
    return done


def _explain(failure: TaskFailure, options: VolumeOptions) -> str:
    reasons = {
        ErrorCode.OUT_OF_MEMORY: f"it needs more than --max-memory {options.max_memory} MB",
        ErrorCode.TIMEOUT: f"it takes longer than --timeout {options.timeout:g} s",
        ErrorCode.WORKER_CRASHED: "it crashed its worker",
        ErrorCode.INTERNAL: f"a bug in dicomprep: {failure.detail}",
    }
    return reasons.get(failure.code, failure.detail)
