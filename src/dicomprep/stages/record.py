"""Outcomes → rows: recorded together, in one transaction; then what they replace is removed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dicomprep.config import Splits
from dicomprep.database.store import Store
from dicomprep.durability import sync_images
from dicomprep.errors import ErrorCode
from dicomprep.models import Outcome
from dicomprep.splits import assign_split
from dicomprep.storage import remove_images

__all__ = ["Ledger", "record"]

FATAL = (ErrorCode.TIMEOUT, ErrorCode.OUT_OF_MEMORY, ErrorCode.WORKER_CRASHED, ErrorCode.INTERNAL)
"""What ends a worker in the middle of a file."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where a run records, and by which rules."""

    store: Store
    run_id: int
    fingerprint: str
    splits: Splits
    key: bytes
    output_dir: Path
    durable: bool = False
    """Images are on the disk, not only in the system's memory, before rows name them."""


def record(outcomes: Sequence[Outcome], ledger: Ledger) -> None:
    """Record a batch: all of it or, with EnvironmentFault, nothing. Splits are assigned here, at insertion."""
    if not outcomes:
        return
    whole = [replace(o, written=()) if o.written and not o.keeps_images else o for o in outcomes]

    def assign(kind: str, key: str) -> str:
        return assign_split(ledger.key, ledger.splits, group_kind=kind, group_key=key)

    unnamed = [written.thumbnail_path for o in outcomes if not o.keeps_images for written in o.written]
    unnamed += [path for o in whole if not o.written for path in _leftovers(o, ledger.output_dir)]
    if ledger.durable:
        sync_images(ledger.output_dir, (written.thumbnail_path for o in whole for written in o.written))
    stale = ledger.store.record(
        whole, run_id=ledger.run_id, fingerprint=ledger.fingerprint, assign=assign, unnamed=unnamed
    )
    remove_images(ledger.output_dir, stale)


def _leftovers(outcome: Outcome, output_dir: Path) -> list[str]:
    """Images that a worker made of a file before it died at a later frame."""
    if outcome.error_code not in FATAL:
        return []
    folder, _, stem = outcome.task.name.rpartition("/")
    try:
        names = [entry.name for entry in (output_dir / folder).iterdir() if entry.name.startswith(stem)]
    except OSError:
        return []
    prefix = f"{stem}_frame"
    numbered = [n for n in names if n.startswith(prefix) and n.removeprefix(prefix).removesuffix(".png").isdigit()]
    return [f"{folder}/{name}" for name in [*numbered, *(n for n in names if n == f"{stem}.png")]]
