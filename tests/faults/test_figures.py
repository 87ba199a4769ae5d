"""The page of figures is made of what was kept."""

from pathlib import Path

import pytest

from tests.faults import figures


def test_figures_replace_those_of_an_earlier_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "KEPT", tmp_path / "kept.json")
    figures.keep("mutants", inputs=10, worker_deaths=1)
    figures.keep("bombs", refused=3)
    figures.keep("mutants", inputs=20, worker_deaths=0)
    figures.keep("Cluster: nodes that burn", lost=0)
    assert figures._table().splitlines()[2:] == [
        "| bombs | refused: 3 |",
        "| mutants | inputs: 20; worker deaths: 0 |",
    ]
    assert figures._table(figures.CLUSTER).splitlines()[2:] == ["| nodes that burn | lost: 0 |"]
