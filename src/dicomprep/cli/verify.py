"""`dicomprep verify`."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from dicomprep.checks.repair import Repaired
from dicomprep.checks.repair import repair as repair_images
from dicomprep.checks.verify import Findings, Kind, Progress, clear
from dicomprep.checks.verify import verify as look
from dicomprep.checks.verify import verify_version as look_at_version
from dicomprep.cli.bar import make_bar
from dicomprep.cli.console import ConsoleListener, print_notes, printable
from dicomprep.cli.options import DEFAULTS, Db, Flag
from dicomprep.config import DEFAULT_DB, Config
from dicomprep.database.queries.versions import Loss
from dicomprep.errors import ConfigError, count_of
from dicomprep.pipeline.result import Result
from dicomprep.workspace import Workspace

__all__ = ["verify"]

MEANINGS = {
    Kind.DATABASE: "the database file itself is damaged",
    Kind.CONTRADICTORY: "the record of a file contradicts those of its images",
    Kind.MISSING: "recorded, but missing",
    Kind.CUT: "shorter than recorded",
    Kind.ALTERED: "not the content that was recorded",
    Kind.UNREADABLE: "cannot be read; check permissions and the disk",
    Kind.ORPHANED: "not in the database (orphaned)",
    Kind.LEFTOVER: "incomplete, left by a run that was killed",
}


def verify(
    *, db: Db = DEFAULT_DB, repair: Flag = False, workers: int = DEFAULTS.workers, version: str | None = None
) -> int:
    """Check that every recorded image is there and intact, that there are no others, and that the database is sound.

    Exits with 1 when something is wrong, or when not all of it could be repaired.

    Parameters
    ----------
    repair
        Regenerate missing and damaged images, and remove orphaned ones, which are not in the database.
    workers
        Number of parallel workers for the repair.
    version
        Check the images of this version alone, and name those that are not as `dicomprep freeze` recorded them.

    """
    workspace = Workspace.open(db)
    if version is not None:
        if repair:
            raise ConfigError("--repair regenerates images of the whole data set: give it without --version.")
        return _verify_version(workspace, version)
    findings = _verify(workspace)
    _print_findings(findings)
    if not findings.counts:
        return 0
    if not repair:
        print("\nTo repair: dicomprep verify --repair")
        return 1
    return _repair(workspace, findings, workers)


def _repair(workspace: Workspace, findings: Findings, workers: int) -> int:
    """What can be repaired; the exit code."""
    may_clear = findings.counts[Kind.ORPHANED] <= findings.images
    cleared = clear(workspace) if may_clear and not findings.counts[Kind.DATABASE] else 0
    repaired = (
        repair_images(workspace, findings.due, workers=workers, make_listener=_Regenerating)
        if findings.due
        else Repaired()
    )
    _print_repaired(findings, repaired, cleared)
    if repaired.changed_side:
        count = count_of(repaired.changed_side, "labeled image")
        print(f"{count} moved to another split: their patients are identified differently now.")
    if not may_clear:
        print("More orphaned images than recorded ones: are they another database's? They are left in place.")
    return repaired.exit_code or int(not may_clear or findings.counts[Kind.DATABASE] > 0)


def _verify(workspace: Workspace) -> Findings:
    with _progress() as progress:
        return look(workspace, progress=progress)


def _verify_version(workspace: Workspace, name: str) -> int:
    with _progress() as progress:
        findings = look_at_version(workspace, name, progress=progress)
    intact = findings.images - len(findings.damaged) - sum(image.reason is Loss.HELD for image in findings.lost)
    print(f"{intact:,} of {count_of(findings.version.images, 'image')} of version {name} are as they were frozen.")
    if findings.forgotten:
        print(f"  {findings.forgotten:,} removed by `dicomprep forget`")
    for image in findings.lost:
        print(f"  {image.reason:<10}  {image.key}  {printable(image.filename or '')}".rstrip())
    for place, kind in findings.damaged:
        print(f"  {kind:<10}  {printable(place)}  {MEANINGS[kind]}")
    if findings.damaged:
        print("\nTo repair: dicomprep verify --repair")
    return int(not findings.is_whole)


@contextmanager
def _progress() -> Iterator[Progress]:
    with make_bar(Console(stderr=True)) as bar:
        task = bar.add_task("Images", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print_findings(findings: Findings) -> None:
    counts = f"{count_of(findings.images, 'image')} of {count_of(findings.inputs, 'file')}"
    print(f"{counts} in {printable(findings.output)}")
    for kind, meaning in MEANINGS.items():
        count = findings.counts[kind]
        if not count:
            continue
        print(f"  {kind:<14} {count:>9,}  {meaning}")
        named = findings.examples[kind]
        for what in named:
            print(f"    {printable(what)}")
        if count > len(named):
            print(f"    … and {count - len(named):,} more")
    if findings.counts[Kind.MISSING] == findings.images > 0:
        print("All images are missing. If the folder was moved, move its database along with it.")
    if findings.foreign:
        print(f"  {findings.foreign:,} files there were not made by dicomprep; they are left alone.")
    if not findings.counts:
        print("All images OK.")
    print_notes("Please note", findings.notes)


def _print_repaired(findings: Findings, repaired: Repaired, cleared: int) -> None:
    counts = {
        "restored, byte for byte": repaired.restored,
        "orphaned images removed": cleared,
        "regenerated, but different from what was recorded": repaired.different,
        "could not be repaired": repaired.lost,
    }
    if any(counts.values()):
        print("\nRepaired")
    for meaning, count in counts.items():
        if count:
            print(f"  {count:>9,}  {meaning}")
    for reason in repaired.reasons:
        print(f"    {printable(reason)}")
    if findings.counts[Kind.DATABASE]:
        print("The database itself cannot be repaired here: restore a copy of it, or begin a new one with --db.")


class _Regenerating(ConsoleListener):
    """A run that regenerates the images of some files."""

    def __init__(self, _config: Config, inputs: int) -> None:
        super().__init__(inputs)
        self._inputs = inputs

    def on_start(self, result: Result, workers: int) -> None:
        """Say what is done."""
        self._result, folders = result, printable(", ".join(result.given))
        print(f"\nRegenerating the images of {self._inputs:,} files below {folders}...", flush=True)
        self._task = self._progress.add_task("Files", total=self._inputs, rate="")
        self._progress.start()
