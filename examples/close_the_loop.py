"""From DICOM files to a model and back to the person who labels, on files that this script makes.

    python examples/close_the_loop.py --folder loop          # or, from a wheel:
    python -m dicomprep.examples.close_the_loop --folder loop

Radiographs of made-up patients are generated, half of them with a nodule. They are preprocessed; the labels of some
patients are known (a script plays the radiologist); a small network learns them on the CPU; its predictions for all
images go back to the database; the labeling page shows the least certain ones first, and the script labels twelve
there; and the data set is exported with what is known by then. Needs torch: pip install 'dicomprep[torch]'
"""

import argparse
import csv
import json
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
import torch
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid
from torch import nn
from torch.utils.data import DataLoader

import dicomprep

CLASSES = ["clear", "nodule"]
SIZE = 64
VIEWS = 3
"""Images of each patient."""
EPOCHS = 20
UNCERTAIN = 12
"""Images that are labeled on the page."""


def main() -> None:
    """Go once around."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("loop"), help="where everything goes")
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60, help="how long the network may learn")
    options = parser.parse_args()
    folder = options.folder
    db = folder / "dicomprep.db"
    truth = make_radiographs(folder / "dicoms", options.patients)

    result = dicomprep.preprocess(folder / "dicoms", output_dir=folder / "thumbnails", db=str(db), size=SIZE)
    print(f"1. {result.frames} images of {options.patients} patients: {result.frames_by_split}")

    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("filename", "label"), *known_labels(db, truth)])
    dicomprep_command("labels", "import", folder / "labels.csv", "--db", db, "--annotator", "script")

    network = learn(db, seconds=options.seconds)
    scores = predict(network, db)
    print(f"4. right in the test split: {share_right(scores, truth, split='test'):.0%}")

    with (folder / "predictions.csv").open("w", newline="") as file:
        rows = [(record.filename, *map(float, score)) for record, score in scores]
        csv.writer(file).writerows([("filename", *CLASSES), *rows])
    dicomprep_command("predictions", "import", folder / "predictions.csv", "--db", db, "--model", "small")
    dicomprep_command("predictions", "export", folder / "studies.csv", "--db", db, "--by", "study")
    shown = label_the_uncertain(db, truth)
    draw([dicomprep.frame(item["id"], db=db).array for item in shown], folder / "least_certain.png")
    dicomprep_command("export", "webdataset", folder / "export", "--db", db, "--where", "label IS NOT NULL")


def make_radiographs(folder: Path, patients: int) -> dict[str, str]:
    """Noisy lungs in soft tissue, with a small bright disc where there is a nodule; the label of each by its name."""
    truth = {}
    for patient in range(patients):
        random = np.random.default_rng(patient)
        label = CLASSES[patient % 2]
        study, series = (generate_uid(entropy_srcs=[kind, str(patient)]) for kind in ("study", "series"))
        for view in range(VIEWS):
            path = folder / f"study_{patient:03d}" / f"view_{view}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_radiograph(path, radiograph(random, nodule=label == "nodule"), f"P{patient:03d}", study, series)
            truth[f"study_{patient:03d}/view_{view}"] = label
    return truth


def radiograph(random: np.random.Generator, *, nodule: bool) -> np.ndarray:
    """128×128 of 12 bits."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    lungs = sum(sharp(1 - ((x - side) / 0.34) ** 2 - ((y + 0.05) / 0.78) ** 2) for side in (-0.42, 0.42))
    heart = sharp(1 - ((x - 0.14) / 0.3) ** 2 - ((y - 0.4) / 0.34) ** 2)
    ribs = np.sin(18 * y - 7 * (abs(x) - 0.4) ** 2)
    picture = 2600 - 1500 * lungs * (1 - 0.7 * heart) + 130 * ribs * lungs + random.normal(0, 80, x.shape)
    if nodule:
        side, height = random.choice([-0.45, 0.45]) + random.uniform(-0.12, 0.12), random.uniform(-0.5, 0.2)
        picture += random.uniform(120, 600) * sharp(1 - ((x - side) ** 2 + (y - height) ** 2) / 0.006)
    return picture.clip(0, 4095).astype(np.uint16)


def sharp(inside: np.ndarray) -> np.ndarray:
    """1 where `inside` is positive, 0 where it is negative, with a soft edge."""
    return 0.5 + 0.5 * np.tanh(5 * inside)


def write_radiograph(path: Path, pixels: np.ndarray, patient: str, study: str, series: str) -> None:
    """One DICOM file."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = DigitalXRayImageStorageForPresentation, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.PatientID, dataset.PatientName, dataset.Modality = patient, f"Made^Up {patient}", "DX"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = 1900, 2200
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path, enforce_file_format=True)


def known_labels(db: Path, truth: dict[str, str]) -> list[tuple[str, str]]:
    """What somebody has labeled so far: two patients of three, and nobody of the test split."""
    data = dicomprep.Dataset(db, split=("train", "val"))
    names = [data.record(number).filename for number in range(len(data))]
    return [(name, truth[name]) for name in names if int(name[6:9]) % 3]


def learn(db: Path, *, seconds: float) -> nn.Module:
    """A small network, and how well it does on patients it has not seen."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # for a network as small as this, more of them only wait for each other
    train = dicomprep.Dataset(db, split="train", labels=CLASSES)
    val = dicomprep.Dataset(db, split="val", labels=CLASSES)
    loader = DataLoader(train, batch_size=16, sampler=train.sampler("class"), collate_fn=dicomprep.collate)
    head = (nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, 2))  # one bright place decides
    network = nn.Sequential(nn.BatchNorm2d(1), *layer(1, 16, width=5), nn.MaxPool2d(2), *layer(16, 32, width=3), *head)
    optimizer = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=EPOCHS * len(loader))
    loss = nn.CrossEntropyLoss(weight=torch.from_numpy(train.class_weights()))
    end, epochs = time.monotonic() + seconds, 0
    while time.monotonic() < end and epochs < EPOCHS:
        network.train()
        for images, targets, _ in loader:
            optimizer.zero_grad()
            loss(network(images), targets).backward()
            optimizer.step()
            schedule.step()
        epochs += 1
    print(f"3. {epochs} epochs over {len(train)} labeled images", end="; ")
    right = scores_of(network, val).argmax(1) == val.targets if len(val) else np.zeros(0)
    print(f"right in the validation split: {right.sum()} of {len(right)}")
    return network


def layer(before: int, after: int, *, width: int) -> tuple[nn.Module, ...]:
    """Other channels, the same size."""
    return nn.Conv2d(before, after, width, padding=width // 2), nn.BatchNorm2d(after), nn.ReLU()


def scores_of(network: nn.Module, data: dicomprep.Dataset) -> np.ndarray:
    """(images, classes) from 0 to 1."""
    network.eval()
    loader = DataLoader(data, batch_size=64, collate_fn=dicomprep.collate)
    with torch.no_grad():
        return torch.cat([network(images).softmax(1) for images, _, _ in loader]).numpy()


def predict(network: nn.Module, db: Path) -> list[tuple[dicomprep.Record, np.ndarray]]:
    """What the network says of every image, labeled or not."""
    data = dicomprep.Dataset(db)
    return [(data.record(number), score) for number, score in enumerate(scores_of(network, data))]


def share_right(scores: list[tuple[dicomprep.Record, np.ndarray]], truth: dict[str, str], *, split: str) -> float:
    """Of the images of a split, how many the network names rightly."""
    right = [CLASSES[score.argmax()] == truth[record.filename] for record, score in scores if record.split == split]
    return float(np.mean(right)) if right else float("nan")


def label_the_uncertain(db: Path, truth: dict[str, str]) -> list[dict[str, Any]]:
    """Press the right keys on the labeling page, the least certain image first; what the page showed, in its order."""
    shown: list[dict[str, Any]] = []
    with labeling_page("--db", str(db), "--classes", ",".join(CLASSES), "--order", "uncertainty") as address:
        while len(shown) < UNCERTAIN and (found := ask(address, "/next", limit=1)["items"]):
            ask(address, "/label", frame=found[0]["id"], label=truth[found[0]["name"]])
            shown += found
    wrong = [item["name"] for item in shown if item["prediction"][0] != truth[item["name"]]]
    print(f"6. {len(shown)} images labeled on the page, the least certain first; the network had {len(wrong)} wrong")
    return shown


@contextmanager
def labeling_page(*options: str) -> Iterator[str]:
    """`dicomprep label` as one starts it, until the end of the block; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    print("$ dicomprep label", shlex.join(options), "--port", port, flush=True)
    server = subprocess.Popen([sys.executable, "-m", "dicomprep", "label", *options, "--port", str(port)])
    address = f"http://127.0.0.1:{port}"
    try:
        while server.poll() is None:
            try:
                urlopen(f"{address}/progress").close()  # noqa: S310  (of this machine)
                break
            except URLError:
                time.sleep(0.1)
        else:
            raise SystemExit("The labeling page could not be started.")
        yield address
    finally:
        server.terminate()
        server.wait()


def ask(address: str, path: str, **body: object) -> dict[str, Any]:
    """What the page's own script sends, and the answer."""
    content = json.dumps({"annotator": "script", **body}).encode()
    request = Request(address + path, content, {"Origin": address, "Content-Type": "application/json"})  # noqa: S310
    with urlopen(request) as answer:  # noqa: S310
        return json.load(answer)


def draw(images: list[np.ndarray], place: Path) -> None:
    """Images as one picture, six in a row, at twice their size, with a line between them."""
    tiles = [np.pad(image.repeat(2, 0).repeat(2, 1), 2) for image in images + [np.zeros((SIZE, SIZE), np.uint8)] * 5]
    rows = [np.hstack(tiles[start : start + 6]) for start in range(0, max(1, len(images)), 6)]
    Image.fromarray(np.vstack(rows)).save(place)


def dicomprep_command(*arguments: object) -> None:
    """A command as one types it."""
    print("$ dicomprep", shlex.join(map(str, arguments)), flush=True)
    subprocess.run([sys.executable, "-m", "dicomprep", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
