"""Key to next painted image, and what else the pages take, with a million frames: `python -m benchmarks.labeling`."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.million import enrol_all, make_database

PORT = 5391
URL = f"http://127.0.0.1:{PORT}"
KEYS = 200
PAUSE_MS = 250
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

WATCH = """() => {
  window.taken = [];
  let pressed = 0;
  addEventListener("keydown", (event) => { pressed = event.timeStamp; }, { capture: true });
  new MutationObserver(() => {
    const picture = document.querySelector("#stage img");
    if (!picture || !pressed) return;
    const from = pressed;
    pressed = 0;
    picture.decode().then(() => requestAnimationFrame(() => requestAnimationFrame(
      () => window.taken.push(performance.now() - from))));
  }).observe(document.querySelector("#stage"), { childList: true });
}"""


def main() -> None:
    """Make the database, or take one that is there, and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        db = folder / "million.db"
        if not db.is_file():
            make_database(folder, options.frames)
            began = time.perf_counter()
            enrol_all(db)
            print(f"enrolled {options.frames:,} images in {time.perf_counter() - began:.1f} s")
        command = [sys.executable, "-m", "dicomprep", "label", "--db", str(db), "--port", str(PORT), "--classes", "a,b"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                _wait()
                measure_server()
                measure_browser()
            finally:
                server.terminate()


def measure_server() -> None:
    """What the server takes for what a key press needs, and for the gallery."""
    _report("next image (reserving one)", [_timed(lambda: _post("/next", limit=1, held=[])) for _ in range(60)])
    _report("next image (twelve at once)", [_timed(lambda: _post("/next", limit=12, held=[])) for _ in range(40)])
    _report("first tiles of the gallery", [_timed(lambda: _get("/gallery/tiles?limit=100")) for _ in range(20)])
    _report("count of the gallery", [_timed(lambda: _get("/gallery/count")) for _ in range(5)])
    places = [number * 31_337 % 900_000 for number in range(20)]
    _report("tiles anywhere in it", [_timed(lambda s=s: _get(f"/gallery/tiles?limit=100&start={s}")) for s in places])
    _report("count of one modality", [_timed(lambda: _get("/gallery/count?modality=MG")) for _ in range(5)])


def measure_browser() -> None:
    """From the key to the next image on the screen, and scrolling."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(URL)
        page.wait_for_selector("#stage img")
        page.wait_for_timeout(1500)
        page.evaluate(WATCH)
        for number in range(KEYS):
            page.keyboard.press("12"[number % 2])
            page.wait_for_timeout(PAUSE_MS)
        page.wait_for_timeout(500)
        _report("key to next painted image", page.evaluate("window.taken"))
        _scroll(page)
        browser.close()


def _scroll(page: Page) -> None:
    page.goto(f"{URL}/gallery")
    page.get_by_text("1,000,000 images").wait_for(timeout=60_000)
    frames = page.evaluate("""async () => {
      const place = document.getElementById("tiles");
      const taken = [];
      let last = performance.now();
      for (let step = 0; step < 240; step++) {
        place.scrollTop += 40;
        await new Promise(requestAnimationFrame);
        taken.push(performance.now() - last);
        last = performance.now();
      }
      return taken;
    }""")
    _report("a frame while the gallery scrolls", frames)


def _report(what: str, milliseconds: Sequence[float]) -> None:
    ordered = sorted(milliseconds)
    last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(
        f"{what}: median {statistics.median(ordered):.1f} ms, 99th percentile {last:.1f} ms, n = {len(ordered)}",
        flush=True,
    )


def _timed(deed: Callable[[], Any]) -> float:
    began = time.perf_counter()
    deed()
    return (time.perf_counter() - began) * 1000


def _get(path: str) -> Any:  # noqa: ANN401
    return json.load(urllib.request.urlopen(URL + path, timeout=60))  # noqa: S310


def _post(path: str, **body: Any) -> Any:  # noqa: ANN401
    content = json.dumps({"annotator": "me", **body}).encode()
    return json.load(urllib.request.urlopen(urllib.request.Request(URL + path, content, {"Origin": URL}), timeout=60))  # noqa: S310


def _wait() -> None:
    for _ in range(600):
        try:
            _get("/progress")
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the pages do not answer")


if __name__ == "__main__":
    main()
