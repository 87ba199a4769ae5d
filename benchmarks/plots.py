"""The pictures of the page: bars and lines, as SVG that is the same for the same figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes

__all__ = ["draw_bars", "draw_grouped", "draw_lines", "draw_stacked"]

COLORS = [
    "#2a6f97",
    "#e07a5f",
    "#81b29a",
    "#f2cc8f",
    "#6d597a",
    "#8d99ae",
    "#b56576",
    "#3d405b",
    "#a3b18a",
    "#61a5c2",
    "#bc6c25",
    "#c9cba3",
]
mpl.rcParams.update(
    {
        "svg.hashsalt": "dicomprep",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=COLORS),
        "figure.constrained_layout.use": True,
    }
)


def draw_bars(path: Path, bars: Mapping[str, float], *, marks: Sequence[float], label: str, log: bool = False) -> None:
    """One bar for each name, with its target as a line across it."""
    axes = _axes(len(bars))
    names = list(bars)
    axes.barh(names, [bars[name] for name in names])
    for row, value in enumerate(marks):
        axes.plot([value, value], [row - 0.42, row + 0.42], color="black", lw=2, label=None if row else "target")
    highest = max(*bars.values(), *marks)
    if log:
        axes.set_xscale("log")
        axes.set_xlim(min(0.5, *bars.values()), highest * 2)
    else:
        axes.set_xlim(0, highest * 1.12)
    for row, name in enumerate(names):
        axes.annotate(f"{bars[name]:.3g}×", (bars[name], row), (5, 0), textcoords="offset points", va="center")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    _save(axes, path, label)


def draw_stacked(
    path: Path, bars: Mapping[str, Mapping[str, float]], *, label: str, line: tuple[float, str] | None = None
) -> None:
    """One bar for each name, put together from parts."""
    names = list(bars)
    parts = list(dict.fromkeys(part for bar in bars.values() for part in bar))
    axes = _axes(max(len(bars), round(0.6 * len(parts))))
    left = [0.0] * len(names)
    for part in parts:
        widths = [bars[name].get(part, 0.0) for name in names]
        axes.barh(names, widths, left=left, label=part)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    if line is not None:
        axes.axvline(line[0], color="black", lw=1.5, ls="--", label=line[1])
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    _save(axes, path, label)


def draw_grouped(path: Path, groups: Mapping[str, Mapping[str, float]], *, label: str) -> None:
    """For each group one bar for each of its names, log scale."""
    members = list(dict.fromkeys(member for group in groups.values() for member in group))
    axes = _axes(round(len(groups) * max(1, len(members) * 0.4)))
    height = 0.8 / len(members)
    for number, member in enumerate(members):
        rows = [row for row, group in enumerate(groups.values()) if member in group]
        values = [group[member] for group in groups.values() if member in group]
        axes.barh([row - 0.4 + height * (number + 0.5) for row in rows], values, height, label=member)
    axes.set_yticks(range(len(groups)), list(groups))
    axes.axvline(1, color="black", lw=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    _save(axes, path, label)


def draw_lines(
    path: Path, x: Sequence[float], lines: Mapping[str, Sequence[float]], *, labels: tuple[str, str]
) -> None:
    """Lines over one x; each begins at zero."""
    _, axes = plt.subplots(figsize=(8, 3))
    for name, values in lines.items():
        axes.plot(x, values, label=name)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(labels[1])
    axes.legend(frameon=False)
    _save(axes, path, labels[0])


def _axes(rows: int) -> Axes:
    _, axes = plt.subplots(figsize=(8, 0.8 + 0.38 * rows))
    axes.invert_yaxis()
    return axes


def _save(axes: Axes, path: Path, label: str) -> None:
    axes.set_xlabel(label)
    path.parent.mkdir(parents=True, exist_ok=True)
    plt.savefig(path, metadata={"Date": None})
    plt.close()
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
