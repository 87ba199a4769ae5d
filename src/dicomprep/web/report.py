"""The overview as one file: nothing in it names a patient, a file or a folder."""

from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from dicomprep.database import queries
from dicomprep.database.catalogue_store import enrol, revise
from dicomprep.database.connect import connect
from dicomprep.database.opening import images_folder
from dicomprep.errors import ConfigError
from dicomprep.version import VERSION
from dicomprep.web.guard import Door
from dicomprep.web.overview import charts, judged_agreement, measured_greys
from dicomprep.web.site import LabelSettings, Site

__all__ = ["write_report"]

LAST_RUNS = 12


def write_report(db: str, out: Path) -> None:
    """Write the report; ConfigError where there is no database, or no place for the file."""
    connect(db, must_exist=True).dispose()
    site = Site(LabelSettings(db=db, output_dir=Path()), Door())
    try:
        with site.store.transaction() as connection:
            revise(connection)
            while enrol(connection):
                pass
            folder = images_folder(connection, db)
        site.settings = LabelSettings(db=db, output_dir=folder)
        with site.reading() as connection:
            agreement = judged_agreement(connection)
            names = sorted({name for one, other, _, _ in agreement["cohen"] for name in (one, other)})
            known = {name: f"annotator {number}" for number, name in enumerate(names, 1)}
            agreement["cohen"] = [(known[one], known[other], *rest) for one, other, *rest in agreement["cohen"]]
            made = charts(connection, lambda connection: measured_greys(site, connection))
            runs = queries.last_runs(connection, LAST_RUNS)
        style = Markup(files("dicomprep.web").joinpath("static/pages.css").read_text("utf-8"))  # noqa: S704
        html = site.render("report.html", charts=made, runs=runs, style=style, version=VERSION, **agreement)
    finally:
        site.close()
    try:
        out.write_text(html, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
