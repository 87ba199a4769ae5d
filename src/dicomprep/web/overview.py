"""What the runs made, in figures; how far annotators agree; both also as a report."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicomprep.checks.viewer import MeasureGreys, Refusal
from dicomprep.database.queries import overview, runs
from dicomprep.database.queries.labeling import count_labels, ratings
from dicomprep.web.agreement import cohen_kappa, fleiss_kappa, kappa_in_words
from dicomprep.web.charts import bars, columns
from dicomprep.web.site import Site

__all__ = ["Overview", "charts", "judged_agreement"]

LAST_RUNS = 12
MOST_DISAGREEMENTS = 200
RATINGS = 10_000
"""Images whose labels are read in one transaction."""


class Overview:
    """The routes of the overview and of the page of agreement."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._greys: tuple[int, list[int]] = (-1, [])

    def routes(self) -> list[Route]:
        """What these pages answer."""
        return [Route("/overview", self.show), Route("/agreement", self.agreement)]

    def show(self, request: Request) -> Response:
        """The charts."""
        newest = self._site.ask(runs.last_runs, LAST_RUNS)
        values = {"charts": charts(self._site, self._measure()), "runs": newest}
        return self._site.page("overview.html", request, **values)

    def agreement(self, request: Request) -> Response:
        """Kappas, and the images on which annotators differ."""
        values = judged_agreement(self._site)
        values["digests"] = self._site.ask(runs.find_digests, [frame_id for frame_id, _ in values["differing"]])
        return self._site.page("agreement.html", request, **values)

    def _measure(self) -> list[int]:
        """Greys of a sample of the thumbnails; measured anew when there are more images."""
        total = self._site.keeper.counts([])["total"]
        if self._greys[0] != total:
            self._greys = total, measured_greys(self._site)
        return self._greys[1]


def measured_greys(site: Site) -> list[int]:
    """How often each of 32 greys occurs in a sample of the thumbnails."""
    names = tuple(site.ask(overview.sample_places))
    greys = site.viewer.ask(MeasureGreys(site.images, names))
    return [] if isinstance(greys, Refusal) else list(greys)


def charts(site: Site, greys: list[int]) -> list[Markup]:
    """Everything that can be said without naming a file or a person."""
    ask = site.ask
    speeds_by_run = ask(overview.run_speeds, LAST_RUNS)
    speeds = [(when[5:16].replace("T", " "), images / seconds) for when, images, seconds in speeds_by_run if seconds]
    labels: Counter[str] = Counter()
    for label, count in ask(count_labels).items():
        for name in label.split(","):
            labels[name or "none of the classes"] += count
    total = sum(greys) or 1
    return [
        bars("Inputs by state", ask(runs.count_by, "status")),
        bars("Failed and skipped inputs by reason", ask(runs.count_by, "error_code")),
        bars("Images by modality", ask(runs.count_by, "modality")),
        bars("Images by split", ask(runs.count_by, "split")),
        bars("Patients by split", ask(runs.count_groups)),
        bars("Images by label", dict(labels.most_common())),
        columns("Images a second, by run", speeds, unit="images/s", every=max(1, len(speeds) // 4)),
        columns("Size of the sources", [(_kilobytes(4**n), count) for n, count in ask(overview.sizes)]),
        columns(
            "Greys of a sample of the images, black to white",
            [(str(number * 8), 100 * count / total) for number, count in enumerate(greys)],
            unit="%",
            every=8,
        ),
    ]


def judged_agreement(site: Site) -> dict[str, Any]:
    """Kappas of all annotators and of each two, and the images on which they differ."""
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    rated: list[list[str]] = []
    differing: list[tuple[int, dict[str, str]]] = []
    for frame_id, said in _all_ratings(site):
        rated.append(list(said.values()))
        for one, other in combinations(sorted(said), 2):
            pairs.setdefault((one, other), []).append((said[one], said[other]))
        if len(set(said.values())) > 1 and len(differing) < MOST_DISAGREEMENTS:
            differing.append((frame_id, said))
    cohen = [(one, other, len(both), cohen_kappa(both)) for (one, other), both in sorted(pairs.items())]
    several = len({name for pair in pairs for name in pair}) > 2
    return {
        "images": len(rated),
        "same": sum(len(set(said)) == 1 for said in rated),
        "fleiss": fleiss_kappa(rated) if several else None,
        "cohen": cohen,
        "differing": differing,
        "in_words": kappa_in_words,
    }


def _all_ratings(site: Site) -> Iterator[tuple[int, dict[str, str]]]:
    after = 0
    while said := site.ask(ratings, after=after, limit=RATINGS):
        yield from said.items()
        after = max(said)


def _kilobytes(size: int) -> str:
    return f"{size} KB" if size < 1024 else f"{size // 1024} MB"
