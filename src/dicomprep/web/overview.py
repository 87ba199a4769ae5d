"""What the runs made, in figures; how far annotators agree; both also as a report."""

from collections import Counter
from collections.abc import Mapping

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicomprep.checks.viewer import MeasureGrayLevels, Refusal
from dicomprep.config import SPLIT_NAMES
from dicomprep.database.queries import overview, runs
from dicomprep.database.queries.counts import count_by, count_groups
from dicomprep.database.queries.labeling import count_labels
from dicomprep.database.queries.ratings import readings, unsettled_images
from dicomprep.database.queries.thumbnails import find_digests
from dicomprep.web.agreement import measure_agreement
from dicomprep.web.charts import bars, columns
from dicomprep.web.kappa import kappa_in_words
from dicomprep.web.site import PageContext

__all__ = ["Overview", "draw_charts", "measure_gray_levels"]

MAX_RUNS = 12
"""Runs shown, the newest ones; bounds the page."""


MAX_DISAGREEMENTS = 200
"""Images listed that annotators disagree on; bounds the page."""


class Overview:
    """The routes of the overview and of the page of agreement."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._gray_levels: tuple[int, list[int]] = (-1, [])

    def routes(self) -> list[Route]:
        """What these pages answer."""
        return [Route("/overview", self.show), Route("/agreement", self.agreement)]

    def show(self, request: Request) -> Response:
        """The charts."""
        newest = self._context.ask(runs.last_runs, MAX_RUNS)
        values = {"charts": draw_charts(self._context, self._measure()), "runs": newest}
        return self._context.page("overview.html", request, **values)

    def agreement(self, request: Request) -> Response:
        """Kappas, and the images on which annotators differ."""
        agreement = measure_agreement(self._context)
        with self._context.reading() as connection:
            found = unsettled_images(connection, limit=MAX_DISAGREEMENTS)
            differing, digests = readings(connection, found), find_digests(connection, found)
        values = {"agreement": agreement, "differing": differing, "digests": digests, "in_words": kappa_in_words}
        return self._context.page("agreement.html", request, **values)

    def _measure(self) -> list[int]:
        """Gray levels of a sample of the thumbnails; measured anew when there are more images."""
        total = self._context.catalogue.counts([])["total"]
        if self._gray_levels[0] != total:
            self._gray_levels = total, measure_gray_levels(self._context)
        return self._gray_levels[1]


def measure_gray_levels(context: PageContext) -> list[int]:
    """How often each of 32 gray levels occurs in a sample of the thumbnails."""
    names = tuple(context.ask(overview.sample_places))
    levels = context.viewer.ask(MeasureGrayLevels(context.images, names))
    return [] if isinstance(levels, Refusal) else list(levels)


def draw_charts(context: PageContext, levels: list[int]) -> list[Markup]:
    """Everything that can be said without naming a file or a person."""
    ask = context.ask
    speeds_by_run = ask(overview.run_speeds, MAX_RUNS)
    speeds = [(when[5:16].replace("T", " "), images / seconds) for when, images, seconds in speeds_by_run if seconds]
    labels: Counter[str] = Counter()
    for label, count in ask(count_labels).items():
        for name in label.split(","):
            labels[name or "none of the classes"] += count
    total = sum(levels) or 1
    return [
        bars("Files by status", ask(count_by, "status")),
        bars("Failed and skipped files by error code", ask(count_by, "error_code")),
        bars("Images by modality", ask(count_by, "modality")),
        bars("Images by split", _in_order(ask(count_by, "split"))),
        bars("Patients by split", _in_order(ask(count_groups))),
        bars("Images by label", dict(labels.most_common())),
        columns("Throughput per run", speeds, unit="images/s", every=max(1, len(speeds) // 4)),
        columns("File size distribution", [(_format_size(4**n), count) for n, count in ask(overview.sizes)]),
        columns(
            "Gray-level histogram (sample)",
            [(str(number * 8), 100 * count / total) for number, count in enumerate(levels)],
            unit="%",
            every=8,
        ),
    ]


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by split, train first."""
    return {name: counts[name] for name in SPLIT_NAMES if name in counts}


def _format_size(size: int) -> str:
    return f"{size} KB" if size < 1024 else f"{size // 1024} MB"
