"""What the fault injection found; `python -m tests.faults.figures` writes it into docs/robustness.md."""

import json
import re
from pathlib import Path

from filelock import FileLock

__all__ = ["keep"]

KEPT = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).parents[2] / "docs" / "robustness.md"
MARK = re.compile(r"(<!-- figures -->\n).*(<!-- end of figures -->\n)", re.DOTALL)


def keep(title: str, **figures: object) -> None:
    """Keep the figures of one experiment, replacing those of an earlier run; tests in other processes do the same."""
    with FileLock(f"{KEPT}.lock"):
        known = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
        known[title] = {name.replace("_", " "): str(value) for name, value in figures.items()}
        KEPT.write_text(json.dumps(known, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _table() -> str:
    lines = ["| experiment | figures |", "| --- | --- |"]
    for title, figures in json.loads(KEPT.read_text(encoding="utf-8")).items():
        lines.append(f"| {title} | {'; '.join(f'{name}: {value}' for name, value in figures.items())} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(MARK.sub(lambda found: found[1] + _table() + found[2], page), encoding="utf-8")
