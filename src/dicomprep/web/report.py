"""The overview as one file: nothing in it names a patient, a file or a folder."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from dicomprep.database.queries.runs import last_runs
from dicomprep.storage.sync import drafted, require_place
from dicomprep.version import VERSION
from dicomprep.web.agreement import Agreement, measure_agreement
from dicomprep.web.cohorts import count_cohort
from dicomprep.web.guard import ServerAddress
from dicomprep.web.kappa import kappa_in_words
from dicomprep.web.overview import draw_charts, measure_gray_levels
from dicomprep.web.site import LabelSettings, PageContext
from dicomprep.workspace import Workspace

__all__ = ["write_report"]

MAX_RUNS = 12
"""Runs shown, the newest ones; bounds the report."""


def write_report(workspace: Workspace, out: Path) -> None:
    """Write the report; ConfigError where there is no database or no place for the file, EnvironmentFault else.

    A run may start and record meanwhile: no transaction takes long.
    """
    require_place(out, apart_from=workspace.address.path if workspace.address.is_file else None)
    context = PageContext(workspace, LabelSettings(), ServerAddress())
    try:
        context.catalogue.catch_up()
        values = {
            "agreement": _hide_names(measure_agreement(context)),
            "in_words": kappa_in_words,
            "cohort": count_cohort(context),
            "charts": draw_charts(context, measure_gray_levels(context)),
            "runs": context.ask(last_runs, MAX_RUNS),
        }
        style = Markup(files("dicomprep.web").joinpath("static/pages.css").read_text("utf-8"))  # noqa: S704
        html = context.render("report.html", style=style, version=VERSION, **values)
    finally:
        context.close()
    with drafted(out) as draft:
        draft.write_text(html, encoding="utf-8")


def _hide_names(agreement: Agreement) -> Agreement:
    """The same, with numbers in place of the annotators' names."""
    names = sorted({name for pair in agreement.cohen for name in (pair.one, pair.other)})
    known = {name: f"annotator {number}" for number, name in enumerate(names, 1)}
    pairs = [replace(pair, one=known[pair.one], other=known[pair.other]) for pair in agreement.cohen]
    return replace(agreement, cohen=pairs)
