"""`dicomprep series`."""

from collections import Counter
from collections.abc import Sequence

from dicomprep.cli.as_json import print_json
from dicomprep.cli.console import print_notes, print_table
from dicomprep.cli.options import Db, Flag
from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.series_list import Purpose, SeriesRow, best_series, find_series
from dicomprep.errors import ConfigError, count_of
from dicomprep.workspace import Workspace

__all__ = ["series"]

COUNTED = ("kind", "plane", "weighting")


def series(*, db: Db = DEFAULT_DB, where: str | None = None, best: str | None = None, json: Flag = False) -> int:
    """List series: key, modality, plane, kernel or weighting, images and whether they are a volume; then counts.

    Parameters
    ----------
    where
        Only series that meet this condition on the view `series`, such as "plane = 'axial' AND slices > 20".
    best
        One series of each study, the best for this, and why: such as "CT axial soft" or "MR sagittal T1 contrast".
    json
        Print each series as a JSON object, one a line.

    """
    if json and best is not None:
        raise ConfigError("--json lists series: give it without --best.")
    workspace = Workspace.open(db)
    is_current = workspace.refresh_series()
    with workspace.reading() as connection:
        rows = find_series(connection, where)
    if json:
        for row in rows:
            print_json(row._asdict())
    elif best is None:
        _print_all(rows)
    else:
        _print_best(rows, best)
    if not is_current and not json:
        print_notes(
            "Please note", ("A run is going on, or the database is read-only: some series have changed since.",)
        )
    return 0


def _print_all(rows: Sequence[SeriesRow]) -> None:
    for row in rows:
        print(_line(row))
    for name in COUNTED:
        counts = Counter(value for row in rows if (value := getattr(row, name)) is not None)
        print_table(f"Series by {name}", dict(sorted(counts.items())))


def _line(row: SeriesRow) -> str:
    """At most 80 columns; the key is that of `dicomprep.volume` and `Dataset(series=…)`."""
    use = row.kernel or row.weighting or ""
    sort = row.plane if row.kind in ("original", "derived") else row.kind
    images = count_of(row.slices, "image")
    volume = "volume" if row.volume == "yes" and row.slices > 1 else ""
    return f"{row.series_key}  {row.modality or '':<6} {sort:<12} {use:<8}{images:>11} {volume}".rstrip()


def _print_best(rows: Sequence[SeriesRow], best: str) -> None:
    modalities = sorted({row.modality for row in rows if row.modality})
    parts = sorted({part for row in rows if row.body_part for part in row.body_part.split("_")})
    purpose = Purpose.parse(best, modalities=modalities, body_parts=parts)
    if purpose == Purpose():
        raise ConfigError('--best: say what is wanted, such as "CT axial soft".')
    found = list(best_series(rows, purpose))
    for one in found:
        print(f"study {one.study_key}\n  {one.series.series_key if one.series else 'none'}\n  {one.why}")
    print(f"{sum(one.series is not None for one in found):,} of {len(found):,} studies have such a series.")
