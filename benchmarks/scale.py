"""Very many files: whether memory and rate stay as they are, how fast rows are recorded and what is done is skipped."""

import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np

from benchmarks.bench import Bench, Claim, Results, claim_table
from benchmarks.launching import count_images, fresh, preprocess_command, run
from benchmarks.processes import memory_mb, started
from benchmarks.small_files import IN_FOLDER, make_small

__all__ = ["claims", "describe", "draw", "measure"]

FILES = 300_000
SAMPLE_SECONDS = 0.25
TARGET_GROWTH_MB, TARGET_MB, TARGET_SLOWER, TARGET_UNCHANGED = 20, 250, 0.1, 40_000
SHARES = (0.1, 0.2, 0.89, 0.99)
"""Between which shares of the files the rates at the start and at the end are taken; the last files wait for no one."""


def measure(bench: Bench) -> Results:
    """Run over all files, then again over the same."""
    files = max(1000, round(FILES * bench.scale))
    folder = make_small(files, cache=bench.cache)
    command = preprocess_command(folder, fresh(bench.out), workers=2)
    samples, output = _watch(
        command, bench.out, bench.cache / "output.txt", interval=SAMPLE_SECONDS * min(1, bench.scale)
    )
    if (made := count_images(bench.out)) != files:
        raise RuntimeError(f"{made:,} images of {files:,} files")
    unchanged = statistics.median(run(*command).seconds for _ in range(bench.runs))
    opened = _count_opened(command, folder, bench.cache / "strace.txt")
    results = {**_judge(samples, files), "recorded": _rows_per_second(output), "unchanged": files / unchanged}
    print(f"  {files:,} files: {results['rates'][1]:.0f} and then {results['unchanged']:.0f} files/s", flush=True)
    return {"files": files, **results, "opened": opened, "curve": _curve(samples)}


Sample = tuple[float, int, float]
"""Seconds, images that are there, megabytes of the main process."""


def _watch(command: list[str], out: Path, output: Path, *, interval: float) -> tuple[list[Sample], str]:
    """Samples of a run, and what it printed."""
    samples: list[Sample] = []
    begun = time.perf_counter()
    with started(command, output) as process:
        while process.poll() is None:
            sample = (time.perf_counter() - begun, _count_made(out), memory_mb(process.pid))
            if sample[2] > 0:
                samples.append(sample)
            time.sleep(interval)
    return samples, output.read_text()


def _count_made(out: Path) -> int:
    """How many images there are: folders are filled one after the other, so only the last ones are counted."""
    folders = sorted(entry for entry in out.iterdir() if entry.name.startswith("folder"))
    return IN_FOLDER * len(folders[:-3]) + sum(sum(1 for _ in folder.iterdir()) for folder in folders[-3:])


def _judge(samples: list[Sample], files: int) -> Results:
    seconds, made, memory = np.array(samples).T
    times = np.interp(np.array(SHARES) * files, made, seconds)
    at_tenth = memory[min(np.searchsorted(made, files / 10), len(memory) - 1)]
    rates = np.diff(SHARES)[::2] * files / np.maximum(np.diff(times)[::2], 1e-9)
    return {"memory": [at_tenth, memory[-1], memory.max()], "rates": rates.tolist()}


def _curve(samples: list[Sample]) -> Results:
    """From the first image on; a hundred points are enough to draw."""
    working = [sample for sample in samples if sample[1] > 0]
    chosen = [working[round(index)] for index in np.linspace(0, len(working) - 1, 100)]
    return {"made": [sample[1] for sample in chosen], "memory": [round(sample[2], 1) for sample in chosen]}


def _rows_per_second(output: str) -> float:
    found = re.findall(r"DB Insert: [\d,]+ items in [\d.]+s \(([\d.]+)/sec\)", output)
    return float(found[-1])


def _count_opened(command: list[str], folder: Path, trace: Path) -> int | None:
    """How many of the files an unchanged run opens; None where strace is not here."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    options = ["-f", "--seccomp-bpf", "-qq", "-s", "4096", "-e", "trace=open,openat,openat2", "-o", str(trace)]
    subprocess.run([strace, *options, *command], check=True, stdout=subprocess.DEVNULL)
    with trace.open(errors="replace") as lines:
        return sum('.dcm"' in line and ("O_PATH" not in line) for line in lines)


def claims(results: Results) -> list[Claim]:
    """The targets of memory and rates."""
    tenth, end, most = results["memory"]
    start_rate, end_rate = results["rates"]
    opened = results["opened"]
    many = f"{results['files']:,} files"
    found = [
        Claim(
            f"{many}: memory of the main process at the end over that at a tenth of the way",
            f"{end - tenth:+.0f} MB",
            f"≤ {TARGET_GROWTH_MB} MB",
            end - tenth <= TARGET_GROWTH_MB,
        ),
        Claim(f"{many}: most memory of the main process", f"{most:.0f} MB", f"< {TARGET_MB} MB", most < TARGET_MB),
        Claim(
            f"{many}: rate at the end over that at the start",
            f"{end_rate / start_rate:.2f}×",
            f"≥ {1 - TARGET_SLOWER:g}×",
            end_rate >= (1 - TARGET_SLOWER) * start_rate,
        ),
        Claim(
            f"{many}: unchanged, in a second run",
            f"{results['unchanged']:,.0f} files/s",
            f"≥ {TARGET_UNCHANGED:,} files/s",
            results["unchanged"] >= TARGET_UNCHANGED,
        ),
    ]
    if opened is not None:
        found.append(Claim(f"{many}: opened by a second run", f"{opened:,}", "0", opened == 0))
    return found


def describe(results: Results) -> str:
    """The section of the page."""
    more = [
        ("rate at the start", f"{results['rates'][0]:,.0f} files/s", "", ""),
        ("rows recorded in a second of recording", f"{results['recorded']:,.0f}", "", ""),
    ]
    if results["opened"] is None:
        more.append(("opened by a second run", "not checked: there is no strace here", "0", ""))
    return f"{INTRODUCTION.format(files=results['files'])}\n{claim_table(claims(results), more)}"


def draw(results: Results, images: Path) -> dict[str, str]:
    """The pictures of the section and what they show."""
    from benchmarks.plots import draw_lines

    path = images / "bench_memory.svg"
    curve = results["curve"]
    draw_lines(path, curve["made"], {"main process": curve["memory"]}, labels=("files done", "MB"))
    return {path.name: "Memory of the main process over the files done"}


INTRODUCTION = """## Very many files

{files:,} files of 1.5 kB, 100 to a patient, 500 to a folder, by two workers; then the same command again. Memory is the
main process's, shared pages counted by its share of them (PSS), sampled four times a second; progress is the number of
images in the output. The rate at the start is taken between 10 and 20 % of the files, that at the end between 89 and
99 %. What is opened is counted with strace. These figures are this machine's.
"""
