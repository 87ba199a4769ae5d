"""The overview as one file: nothing in it names a patient, a file or a folder."""

import errno
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from dicomprep.database import queries
from dicomprep.database.connect import connect
from dicomprep.database.opening import images_folder
from dicomprep.errors import ConfigError, disk_fault
from dicomprep.image_store import LocalImages
from dicomprep.version import VERSION
from dicomprep.web.guard import Door
from dicomprep.web.overview import charts, judged_agreement, measured_greys
from dicomprep.web.site import LabelSettings, Site

__all__ = ["write_report"]

LAST_RUNS = 12
NO_PLACE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
"""What is wrong with a path that no file can have."""


def write_report(db: str, out: Path) -> None:
    """Write the report; ConfigError where there is no database or no place for the file, EnvironmentFault else.

    A run may start and record meanwhile: no transaction takes long.
    """
    connect(db, must_exist=True).dispose()
    site = Site(LabelSettings(db=db, output_dir=Path()), Door())
    try:
        site.keeper.catch_up()
        site.images = LocalImages(site.ask(images_folder, db))
        agreement = judged_agreement(site)
        names = sorted({name for one, other, _, _ in agreement["cohen"] for name in (one, other)})
        known = {name: f"annotator {number}" for number, name in enumerate(names, 1)}
        agreement["cohen"] = [(known[one], known[other], *rest) for one, other, *rest in agreement["cohen"]]
        made = charts(site, measured_greys(site))
        runs = site.ask(queries.last_runs, LAST_RUNS)
        style = Markup(files("dicomprep.web").joinpath("static/pages.css").read_text("utf-8"))  # noqa: S704
        html = site.render("report.html", charts=made, runs=runs, style=style, version=VERSION, **agreement)
    finally:
        site.close()
    try:
        out.write_text(html, encoding="utf-8")
    except OSError as error:
        if error.errno in NO_PLACE:
            raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
        raise disk_fault(f"{out} cannot be written", error) from error
