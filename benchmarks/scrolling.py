"""Slices a second while a CT series is scrolled in Chromium: `python -m benchmarks.scrolling`."""

import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright
from tests.building import make_dicom

import dicomprep
from benchmarks.labeling import ARGUMENTS

PORT = 5392
SLICES = 240
SECONDS = 5

SCROLL = """async (seconds) => {
  const canvas = document.querySelector("canvas");
  const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const began = performance.now();
  let [painted, last] = [0, canvas.dataset.slice];
  while (performance.now() - began < 1000 * seconds) {
    press(Number(last) === canvas.dataset.slices - 1 ? "Home" : "ArrowDown");
    await new Promise(requestAnimationFrame);
    if (canvas.dataset.slice !== last) painted += 1;
    last = canvas.dataset.slice;
  }
  return 1000 * painted / (performance.now() - began);
}"""


def main() -> None:
    """Make a series of 512 × 512, serve it, and scroll through it: as it comes, and once it has come."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_series(folder / "in")
        db = folder / "x.db"
        dicomprep.preprocess(folder / "in", output_dir=folder / "out", db=db)
        command = [sys.executable, "-m", "dicomprep", "label", "--db", str(db), "--port", str(PORT)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                wait()
                measure()
            finally:
                server.terminate()


def wait() -> None:
    """Until the pages answer."""
    for _ in range(600):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
            return
        time.sleep(0.1)


def make_series(folder: Path) -> None:
    """Noise of 12 bits, which nothing shrinks, in slices 1 mm apart."""
    chance = np.random.default_rng(1)
    for number in range(SLICES):
        pixels = chance.integers(0, 4096, (512, 512), np.uint16)
        place: dict[str, Any] = {"ImagePositionPatient": [0, 0, number], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        more = {"PixelSpacing": [1, 1], "InstanceNumber": number + 1, "RescaleSlope": 1, "RescaleIntercept": -1024}
        make_dicom(folder / f"{number}.dcm", pixels, **place, **more)


def measure() -> None:
    """Slices a second, from the first step on and when all are there."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(f"http://127.0.0.1:{PORT}/original/1")
        page.wait_for_selector("canvas[data-slices]")
        for name in ("as they come", "once they are there"):
            _report(page, name)
        browser.close()


def _report(page: Page, name: str) -> None:
    print(f"slices a second, {name}: {page.evaluate(SCROLL, SECONDS):.0f}", flush=True)


if __name__ == "__main__":
    main()
