"""What the runs made, in figures; how far annotators agree; both also as a report."""

from collections import Counter
from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dicomprep.checks.viewer import MeasureGrayLevels, Refusal
from dicomprep.config import SPLIT_NAMES
from dicomprep.database.queries import overview, runs
from dicomprep.database.queries.counts import count_by, count_groups
from dicomprep.database.queries.labeling import count_labels
from dicomprep.database.queries.ratings import readings, unsettled_images
from dicomprep.database.queries.thumbnails import find_digests
from dicomprep.models import Status
from dicomprep.web.agreement import measure_agreement
from dicomprep.web.charts import bars, columns
from dicomprep.web.cohorts import CohortCounter
from dicomprep.web.kappa import kappa_in_words
from dicomprep.web.site import PageContext

__all__ = ["Overview", "draw_charts", "measure_gray_levels"]

MAX_RUNS = 12
"""Runs shown, the newest ones; bounds the page."""

CLASS_TONES = 8
"""Colors of classes in pages.css: the same class has the same one on each page."""

MAX_DISAGREEMENTS = 200
"""Images listed that annotators disagree on; bounds the page."""

_SPLIT_TONES = {name: name for name in SPLIT_NAMES}


class Overview:
    """The routes of the overview and of the page of agreement."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._gray_levels: tuple[int, list[int]] = (-1, [])
        self._cohort = CohortCounter(context)

    def routes(self) -> list[Route]:
        """What these pages answer."""
        return [
            Route("/overview", self.show),
            Route("/overview/state", self.state),
            Route("/agreement", self.agreement),
        ]

    def show(self, request: Request) -> Response:
        """The cohort table and the charts; their bars lead to the gallery."""
        newest = self._context.ask(runs.last_runs, MAX_RUNS)
        charts = draw_charts(self._context, self._measure(), has_links=True)
        values = {"charts": charts, "runs": newest, "cohort": self._cohort.newest()}
        return self._context.page("overview.html", request, **values)

    def state(self, _request: Request) -> Response:
        """Whether the cohort is counted: the page of a large data set waits for it."""
        return JSONResponse({"counted": self._cohort.newest() is not None})

    def close(self) -> None:
        """End what is under way."""
        self._cohort.close()

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


def draw_charts(context: PageContext, levels: list[int], *, has_links: bool = False) -> list[Markup]:
    """Everything that can be said without naming a file or a person; with links for those who may see the images."""
    ask = context.ask
    speeds_by_run = ask(overview.run_speeds, MAX_RUNS)
    speeds = [(when[5:16].replace("T", " "), images / seconds) for when, images, seconds in speeds_by_run if seconds]
    labels: Counter[str] = Counter()
    for label, count in ask(count_labels).items():
        for name in label.split(","):
            labels[name or "none of the classes"] += count
    total = sum(levels) or 1
    codes, modalities, splits = (ask(count_by, what) for what in ("error_code", "modality", "split"))

    def leading(path: str, what: str, names: Iterable[str]) -> dict[str, str]:
        return {name: f"{path}?{urlencode({what: name})}" for name in names} if has_links else {}

    by_split = leading("/gallery", "split", splits)
    with context.reading() as connection:
        classes = context.class_names(connection)
    return [
        bars("Files by status", ask(count_by, "status"), tones={name: name for name in Status}),
        bars("Failed and skipped files by error code", codes, links=leading("/failures", "code", codes)),
        bars("Images by modality", modalities, links=leading("/gallery", "modality", modalities)),
        bars("Images by split", _in_order(splits), links=by_split, tones=_SPLIT_TONES),
        bars("Patients by split", _in_order(ask(count_groups)), links=by_split, tones=_SPLIT_TONES),
        bars(
            "Images by label",
            dict(labels.most_common()),
            links=leading("/gallery", "label", labels.keys() & set(classes)),
            tones={name: f"class-{number % CLASS_TONES}" for number, name in enumerate(classes)},
        ),
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
