"""Files that kill or hang their workers: each is named, and no other pays for it."""

from collections.abc import Callable
from pathlib import Path

from tests import faulty
from tests.running import Place, cli, make_files

CULPRITS = {
    "segfault": ("quarantined", "worker_crashed", "SIGSEGV"),
    "abort": ("quarantined", "worker_crashed", "SIGABRT"),
    "kill": ("quarantined", "worker_crashed", "SIGKILL"),
    "hangc": ("failed", "timeout", "no frame finished within"),
}
"""What becomes of a file whose decoder does this, and what is said of it."""

SHARES = {"segfault": 3, "abort": 3, "kill": 3, "hangc": 1}
"""Of a hundred files."""

HANG_SECONDS = 5
"""Long enough for a healthy file on a machine that others use."""


def test_the_healthy_are_done_and_the_culprits_named(thorough: bool, note: Callable[..., None], tmp_path: Path) -> None:
    hundreds = 10 if thorough else 1
    culprits = {f"{kind}-{n}.dcm": kind for kind, share in SHARES.items() for n in range(share * hundreds)}
    healthy = [f"good-{n}.dcm" for n in range(100 * hundreds - len(culprits))]
    place = Place(tmp_path)
    make_files(place.source, *(f"{n % 7}/{name}" for n, name in enumerate([*healthy, *culprits])))

    result = place.run(work=faulty.PROCESS, timeout=HANG_SECONDS)
    first = _inputs(place)
    named = {name: CULPRITS[kind][:2] for name, kind in culprits.items()}
    assert {name: (status, code) for name, (status, code, _, _) in first.items()} == named | dict.fromkeys(
        healthy, ("done", None)
    )
    unclear = [name for name, kind in culprits.items() if CULPRITS[kind][2] not in first[name][2]]
    assert unclear == []
    place.check()

    again = place.run(work=faulty.PROCESS, timeout=HANG_SECONDS)
    assert (again.processed, again.unchanged) == (0, len(first))
    assert _inputs(place) == first

    retried = cli(tmp_path, "retry", "--db", place.db, timeout=600)  # with decoders that are well again
    assert retried.returncode == 0, retried.stderr
    assert {status for status, _, _, _ in _inputs(place).values()} == {"done"}
    place.check()
    quarantined = sum(kind != "hangc" for kind in culprits.values())
    note(
        "culprits",
        files=f"{len(first):,}",
        healthy_and_done=f"{len(healthy):,}",
        culprits_named=f"{quarantined} quarantined, {len(culprits) - quarantined} timed out, of {len(culprits)}",
        innocents_blamed=0,
        tried_again_by_the_next_run=again.processed,
        seconds=f"{result.timers[1].elapsed:.0f}",
    )


def _inputs(place: Place) -> dict[str, tuple[str, str | None, str | None, int]]:
    """What is recorded of each file, by its name."""
    rows = place.rows("SELECT path, status, error_code, error_detail, attempts FROM inputs")
    return {Path(path).name: tuple(rest) for path, *rest in rows}
