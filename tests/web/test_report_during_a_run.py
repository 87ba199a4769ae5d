"""The report and the pages hold no lock on the database while they work: real runs record meanwhile."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicomprep.checks.viewer import Viewer
from dicomprep.database.queries.ratings import Rating
from dicomprep.database.writes import catalogue
from dicomprep.web import agreement
from dicomprep.web.catalogue_sync import CatalogueUpdater
from dicomprep.web.report import write_report
from tests.running import Place, cli, make_files, set_labels

Between = Callable[[], object]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    make_files(place.source, *(f"{name}.dcm" for name in "abcdefgh"))
    place.run()
    for annotator in ("anna", "bert"):
        set_labels(place, dict.fromkeys(place.rows("SELECT filename FROM images"), annotator), annotator=annotator)
    return place


def run_once(place: Place) -> Between:
    """A run in another process, the first time that it is asked for; it has to end well."""
    ended: list[int] = []

    def run() -> None:
        if not ended:
            make_files(place.source, "new.dcm", seed=70)
            done = cli(place.base, "preprocess", place.source, "--output-dir", place.output, "--db", place.db)
            ended.append(done.returncode)
            assert done.returncode == 0, done.stderr

    return run


def _while_enrolling(patch: pytest.MonkeyPatch, run: Between) -> None:
    patch.setattr(catalogue, "BATCH_IMAGES", 2)
    patch.setattr(CatalogueUpdater, "_pause", lambda _self: run() and False)


def _while_measuring(patch: pytest.MonkeyPatch, run: Between) -> None:
    ask = Viewer.ask
    patch.setattr(Viewer, "ask", lambda viewer, task: (run(), ask(viewer, task))[1])


def _while_comparing(patch: pytest.MonkeyPatch, run: Between) -> None:
    patch.setattr(agreement, "RATINGS_PER_QUERY", 2)
    kappa = agreement.ratings

    def ratings(connection: Any, **where: Any) -> list[Rating]:
        if where["after"]:
            run()
        return kappa(connection, **where)

    patch.setattr(agreement, "ratings", ratings)


@pytest.mark.parametrize("when", [_while_enrolling, _while_measuring, _while_comparing])
def test_a_run_starts_and_records_while_a_report_is_made(
    place: Place, monkeypatch: pytest.MonkeyPatch, when: Callable[[pytest.MonkeyPatch, Between], None]
) -> None:
    when(monkeypatch, run_once(place))
    write_report(place.workspace, place.base / "report.html")
    assert "annotator 1 and annotator 2</td><td>8</td>" in (place.base / "report.html").read_text("utf-8")
    assert len(place.images()) == 9
