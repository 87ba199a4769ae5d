"""What `verify` says, and the exit code that it means."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dicomprep.checks.repair import Repaired, repair
from dicomprep.checks.verify import Findings, Kind, clear, verify
from dicomprep.cli.console import ConsoleListener, print_notes, printable
from dicomprep.config import Config
from dicomprep.pipeline.result import Result

__all__ = ["verify_and_report"]

MEANINGS = {
    Kind.DATABASE: "its own structure is damaged",
    Kind.CONTRADICTORY: "the row of an input contradicts those of its images",
    Kind.MISSING: "recorded, but not there",
    Kind.CUT: "shorter than recorded",
    Kind.ALTERED: "not the content that was recorded",
    Kind.UNREADABLE: "cannot be read; check permissions and the disk",
    Kind.ORPHANED: "an image that no row names",
    Kind.LEFTOVER: "half-written by a run that was killed",
}


def verify_and_report(db: str, *, mend: bool, workers: int) -> int:
    """Verify, with `mend` repair, print what was found and done, and return the exit code of DESIGN §2."""
    findings = _verify(db)
    _print_findings(findings)
    if not findings.counts:
        return 0
    if not mend:
        print("\nRepair what can be: dicomprep verify --repair")
        return 1
    may_clear = findings.counts[Kind.ORPHANED] <= findings.images
    cleared = clear(db) if may_clear and not findings.counts[Kind.DATABASE] else 0
    repaired = repair(db, findings.due, workers=workers, make_listener=_Remaking) if findings.due else Repaired()
    _print_repaired(findings, repaired, cleared)
    if repaired.changed_side:
        count = f"{repaired.changed_side:,} labelled images"
        print(f"{count} have changed their split: their patients are others than before.")
    if not may_clear:
        print("More images without a row than with one: are they another database's? They are left where they are.")
    return repaired.exit_code or int(not may_clear or findings.counts[Kind.DATABASE] > 0)


def _verify(db: str) -> Findings:
    console = Console(stderr=True)
    columns = (TextColumn(" {task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
    bar = Progress(
        *columns,
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        expand=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("Images", total=None)
        return verify(db, progress=lambda done, total: bar.update(task, completed=done, total=total))


def _print_findings(findings: Findings) -> None:
    print(f"{findings.images:,} images of {findings.inputs:,} inputs in {printable(str(findings.output_dir))}")
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
        print("Not one image is there. If the folder was moved, move its database along with it.")
    if findings.foreign:
        print(f"  {findings.foreign:,} files there are not of dicomprep's making; they are left alone.")
    if not findings.counts:
        print("All whole.")
    print_notes("To be known", findings.notes)


def _print_repaired(findings: Findings, repaired: Repaired, cleared: int) -> None:
    counts = {
        "as recorded again, byte for byte": repaired.restored,
        "removed, for no row names them": cleared,
        "whole again, but not as recorded": repaired.different,
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


class _Remaking(ConsoleListener):
    """A run that makes the images of some inputs again."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__(config.dicom_dir)
        self._inputs = inputs

    def on_start(self, result: Result, workers: int) -> None:
        """Say what is done."""
        print(
            f"\nMaking the images of {self._inputs:,} inputs below {printable(str(self._folder))} again...", flush=True
        )
        self._task = self._progress.add_task("Files", total=self._inputs, rate="")
        self._progress.start()
