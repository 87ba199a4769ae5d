"""Where the processor time of a run goes, stage by stage."""

import os
from pathlib import Path

from benchmarks.bench import Bench, Claim, Results, table
from benchmarks.launching import ROOT, fresh, preprocess_command, run
from benchmarks.sampling import FOLDER, ORDER, collect

__all__ = ["claims", "describe", "draw", "measure"]


def measure(bench: Bench) -> Results:
    """The share of each stage, for each class."""
    return {name: _measure_class(bench, name) for name in bench.classes}


def _measure_class(bench: Bench, name: str) -> Results:
    corpus = bench.full(name)
    corpus.warm()
    samples = fresh(bench.cache / "samples")
    watched = [f"PYTHONPATH={ROOT / 'benchmarks' / 'watching'}{os.pathsep}{ROOT}", f"{FOLDER}={samples}"]
    run("env", *watched, *preprocess_command(corpus.folder, fresh(bench.out), workers=2))
    spent = collect(samples)
    total = sum(spent.values())
    print(f"  {name}: {max(spent, key=lambda stage: spent[stage])} takes most", flush=True)
    return {stage: spent.get(stage, 0.0) / total for stage in ORDER}


def claims(_results: Results) -> list[Claim]:
    """No targets."""
    return []


def describe(results: Results) -> str:
    """The section of the page."""
    rows = [(name, *(f"{100 * shares.get(stage, 0):.0f} %" for stage in ORDER)) for name, shares in results.items()]
    return f"{INTRODUCTION}\n{table(['class', *ORDER], rows)}"


def draw(results: Results, images: Path) -> dict[str, str]:
    """The pictures of the section and what they show."""
    from benchmarks.plots import draw_stacked

    path = images / "bench_profile.svg"
    bars = {name: {stage: 100 * shares.get(stage, 0) for stage in ORDER} for name, shares in results.items()}
    draw_stacked(path, bars, label="% of the processor time")
    return {path.name: "Processor time of runs by stage and class"}


INTRODUCTION = """## Where the time goes

Shares of the processor time of all processes of a run with two workers. Their stacks are looked at every few
milliseconds (`benchmarks/sampling.py`); what libraries do is laid to the stage that calls them. Digests of files and
what it takes to open them are with *read*; *hand out* is what workers and the main process say to each other; ranges of
images without a window are with *gray and color*, but for their decoding.
"""
