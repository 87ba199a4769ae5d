"""One loader, one epoch: python -m benchmarks.loading LOADER OUT SHARDS WORKERS prints images a second."""

import io
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

import dicomprep
from dicomprep.pixels.png import decode_png

BATCH = 64


class Folder:
    """PNG files by Pillow, as a data set of torch."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(map(str, folder.rglob("*.png")))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> np.ndarray:
        with Image.open(self.files[index]) as image:
            return np.asarray(image)


class Images:
    """Only the arrays of a data set of ours: what the folder has, too."""

    def __init__(self, data: dicomprep.Dataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.data[index][0]


def by_pillow(content: bytes) -> np.ndarray:
    """As the folder's files are read."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def data_set(name: str, out: Path, shards: Path) -> Any:  # noqa: ANN401
    """What the loader goes over."""
    if name == "folder":
        return Folder(out)
    if name == "dataset":
        return Images(dicomprep.Dataset(out / "bench.db"))
    import webdataset

    decode = by_pillow if name == "shards" else decode_png
    files = sorted(map(str, shards.glob("*.tar")))
    return webdataset.WebDataset(files, shardshuffle=False).map_dict(png=decode).map(lambda sample: sample["png"])


def epochs(loader: Iterable[Any]) -> tuple[int, float]:
    """Images and seconds of the second epoch: workers have started and files are cached by then."""
    for _ in loader:
        pass
    begun, images = time.perf_counter(), 0
    for batch in loader:
        images += len(batch)
    return images, time.perf_counter() - begun


def main() -> None:
    """Measure what the command line names."""
    name, out, shards, workers = sys.argv[1:]
    torch.set_num_threads(1)
    kept = {"persistent_workers": True, "multiprocessing_context": "fork"} if int(workers) else {}
    data = data_set(name, Path(out), Path(shards))
    images, seconds = epochs(DataLoader(data, batch_size=BATCH, num_workers=int(workers), **kept))
    print(json.dumps(images / seconds))


if __name__ == "__main__":
    main()
