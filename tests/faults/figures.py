"""What the fault injection found; `python -m tests.faults.figures` writes it into the pages with such a table."""

import json
import re
from pathlib import Path

from filelock import FileLock

__all__ = ["keep"]

KEPT = Path(__file__).with_suffix(".json")
PAGES = Path(__file__).parents[2] / "docs"
CLUSTER = "Cluster: "
"""What titles of experiments on clusters begin with, which are on a page of their own."""
MARK = re.compile(r"(<!-- figures -->\n).*(<!-- end of figures -->\n)", re.DOTALL)


def keep(title: str, **figures: object) -> None:
    """Keep the figures of one experiment, replacing those of an earlier run; tests in other processes do the same."""
    with FileLock(f"{KEPT}.lock"):
        known = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
        known[title] = {name.replace("_", " "): str(value) for name, value in figures.items()}
        KEPT.write_text(json.dumps(known, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _table(prefix: str = "") -> str:
    lines = ["| experiment | figures |", "| --- | --- |"]
    for title, figures in json.loads(KEPT.read_text(encoding="utf-8")).items():
        if title.startswith(CLUSTER) == bool(prefix):
            told = "; ".join(f"{name}: {value}" for name, value in figures.items())
            lines.append(f"| {title.removeprefix(prefix)} | {told} |")
    return "\n".join(lines) + "\n"


def _write(page: Path, table: str) -> None:
    text = page.read_text(encoding="utf-8")
    page.write_text(MARK.sub(lambda found: found[1] + table + found[2], text), encoding="utf-8")


if __name__ == "__main__":
    _write(PAGES / "robustness.md", _table())
    _write(PAGES / "clusters.md", _table(CLUSTER))
