"""The progress bar of a terminal; nothing where there is none."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

__all__ = ["make_bar"]


def make_bar(console: Console, *more: ProgressColumn) -> Progress:
    """A bar with its counts, `more` columns and the time that is left; it is gone at the end."""
    return Progress(
        TextColumn(" {task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        *more,
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        expand=True,
        disable=not console.is_terminal,
    )
