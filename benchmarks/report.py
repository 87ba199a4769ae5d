"""docs/benchmarks.md and its pictures from benchmarks/results.json."""

import json
import os
import platform
from types import ModuleType
from typing import Any

from benchmarks import (
    against_baseline,
    against_floor,
    against_others,
    cluster,
    crops,
    formats,
    loaders,
    memory,
    profiles,
    records,
    scale,
    starting,
    two_workers,
)
from benchmarks.bench import Bench, Claim
from benchmarks.corpus import CLASSES
from benchmarks.launching import ROOT

__all__ = ["PARTS", "update", "write_page"]

RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PARTS: dict[str, ModuleType] = {
    "seed": against_baseline,
    "floor": against_floor,
    "others": against_others,
    "workers": two_workers,
    "scale": scale,
    "records": records,
    "memory": memory,
    "start": starting,
    "profile": profiles,
    "loaders": loaders,
    "formats": formats,
    "crops": crops,
    "cluster": cluster,
}


def update(part: str, bench: Bench) -> None:
    """Measure a part and put what was found to what is known; other classes and parts stay."""
    known = _load()
    measured = PARTS[part].measure(bench)
    results = known.setdefault("results", {})
    results[part] = results.get(part, {}) | measured
    known["machine"] = _machine()
    known.setdefault("scales", {})[part] = bench.scale
    RESULTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def write_page() -> None:
    """The page: a summary, a section for each part that was measured, and what is left."""
    known = _load()
    sections, claims = [], []
    for part, module in PARTS.items():
        if part in known.get("results", {}):
            results = _in_order(known["results"][part])
            pictures = module.draw(results, PAGE.parent / "images")
            shown = "".join(f"\n![{text}](images/{name})\n" for name, text in pictures.items())
            sections.append(module.describe(results) + shown)
            claims += module.claims(results)
    page = HEAD.format(summary=_summary(known, claims), machine=known.get("machine", "no machine yet"))
    PAGE.write_text("\n".join([page, *sections, _what_is_left(claims)]))


def _load() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def _in_order(results: dict[str, Any]) -> dict[str, Any]:
    """Classes as the corpus has them, whichever was measured last."""
    order = {name: number for number, name in enumerate(CLASSES)}
    return dict(sorted(results.items(), key=lambda item: order.get(item[0], len(order))))


def _machine() -> str:
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory_gb:.0f} GB, {platform.system()}, Python {platform.python_version()}"


def _summary(known: dict[str, Any], claims: list[Claim]) -> str:
    met = sum(claim.met for claim in claims)
    small = [part for part, size in known.get("scales", {}).items() if size != 1]
    warning = f" **Measured on too few files to mean anything: {', '.join(small)}.**" if small else ""
    return f"{met} of {len(claims)} targets are met.{warning}"


def _what_is_left(claims: list[Claim]) -> str:
    """The targets that are not met."""
    left = [claim for claim in claims if not claim.met]
    lines = [f"- {claim.what}: {claim.found} (target {claim.target})\n" for claim in left]
    return "## Targets not met\n\n" + ("".join(lines) or "All targets are met.\n")


HEAD = """# Benchmarks

Made by `make bench` on a machine with {machine}.
It takes an hour and some 10 GB in the system's temporary folder (`OPTIONS="--cache FOLDER"` names another);
`make bench PARTS="seed floor"` measures parts of it again.

{summary} The [last section](#targets-not-met) lists the others.

All files are generated (`benchmarks/corpus.py`): real DICOM structure with long headers, synthetic anatomy with
realistic noise, nine classes. Everything is read once before it is measured, so that no side waits for the disk.
Machines differ, so comparisons are shown as ratios of what was measured on the same machine in turn; sizes and rates
are this machine's.
"""
