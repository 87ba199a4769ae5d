"""What `to_fastai` hands over where labels are numbers; fastai itself is in `test_dataset.py`."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import dicomprep
from tests.running import Place, make_files, set_labels


def test_labels_that_are_numbers_are_predicted_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    place = Place(tmp_path)
    make_files(place.source, *(f"g{number}.dcm" for number in range(8)))
    place.run(split="50/50/0")
    names = [record.filename for split in ("train", "val") for _, _, record in dicomprep.Dataset(place.db, split=split)]
    set_labels(place, {name: f"{number},5" for number, name in enumerate(names)})
    set_labels(place, {names[0]: "blurred"})
    given: dict[str, Any] = {}

    class Loaders:
        @staticmethod
        def from_df(table: Any, **options: Any) -> SimpleNamespace:
            given.update(options, table=table)
            return SimpleNamespace()

    monkeypatch.setitem(sys.modules, "fastai.vision.data", SimpleNamespace(ImageDataLoaders=Loaders))
    monkeypatch.setitem(sys.modules, "fastai.vision.all", SimpleNamespace(RegressionBlock="regression"))
    dicomprep.to_fastai(place.db, labels="number", bs=2)
    assert given["y_block"] == "regression"
    assert sorted(given["table"]["label"]) == [number + 0.5 for number in range(1, 8)]
