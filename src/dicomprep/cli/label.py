"""`dicomprep label`."""

import re
from typing import Literal

from dicomprep.cli.options import Db, Flag
from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.frames import Choice
from dicomprep.database.queries.queue import Order
from dicomprep.errors import ConfigError
from dicomprep.web.guard import ServerAddress, parse_host
from dicomprep.web.mounting import clean_root_path
from dicomprep.web.serve import serve_pages
from dicomprep.web.site import LabelSettings
from dicomprep.workspace import Workspace

__all__ = ["label"]

ORDERINGS = ("shuffled", "uncertainty", "disagreement", "confident")
ORDERS = ("shuffled", "uncertainty", "disagreement", "confident:CLASS")


def label(  # noqa: PLR0913
    *,
    db: Db = DEFAULT_DB,
    classes: str = "",
    multi: Flag = False,
    unit: Literal["image", "series", "study", "patient"] = "image",
    annotator: str = "me",
    order: str = "shuffled",
    model: str = "",
    random_share: str = "0%",
    overlap: str = "0%",
    raters: int = 2,
    adjudicate: Flag = False,
    kind: tuple[str, ...] = (),
    split: tuple[str, ...] = (),
    where: str | None = None,
    series: str | None = None,
    host: str = "127.0.0.1",
    port: int = 5001,
    token: str | None = None,
    root_path: str = "",
    allow_host: tuple[str, ...] = (),
) -> int:
    """Label and review images in the browser, one key per class.

    Parameters
    ----------
    classes
        Class names, separated by commas. The database keeps them; new ones are appended.
    multi
        An image may have several classes.
    unit
        What one label is of: an image, or a whole series, study or patient.
    annotator
        Name of the annotator, if the page does not give another.
    order
        shuffled (patient after patient), or by predictions: uncertainty, disagreement or confident:CLASS.
    model
        Model whose predictions are used; by default the one imported last.
    random_share
        Share of images drawn at random in spite of --order, such as 20%.
    overlap
        Share of images assigned to several annotators, such as 20%.
    raters
        Annotators per overlapping image.
    adjudicate
        Show the images on which annotators disagree; labels given now decide.
    kind
        Kind of images: original and derived by default; localizer, mask, …, or all; repeatable.
    split
        Only images of this split: train, val or test; repeatable.
    where
        Only images that meet this condition, such as "weighting = 'FLAIR' AND plane = 'axial'".
    series
        Only images of series that meet this condition, such as "volume = 'yes' AND slices > 20".
    host
        Address to listen on. Other machines need the token that is printed.
    port
        Port of the page: http://127.0.0.1:PORT.
    token
        Token for requests to an address other than this machine's; random by default.
    root_path
        Path below which a proxy shows the pages, such as /user/ada/proxy/5001.
    allow_host
        Name by which a proxy is reached, with its port unless that is 80 or 443; repeatable. Needs the token.

    """
    if not 1 <= port <= 65535:
        raise ConfigError(f"--port {port}: choose from 1 to 65535.")
    wanted = Choice(kind=kind, split=split, where=where, series=series or ())
    ordering, _, of_class = order.partition(":")
    if ordering not in ORDERINGS or (ordering == "confident") != bool(of_class):
        raise ConfigError(f"--order {order}: choose {', '.join(ORDERS)}.")
    if adjudicate and ordering != "shuffled":
        raise ConfigError("--adjudicate: has an order of its own; omit --order.")
    if unit != "image" and ordering != "shuffled":
        raise ConfigError(f"--order {order}: predictions are of images; omit --order or --unit.")
    if not 2 <= raters <= 20:
        raise ConfigError(f"--raters {raters}: choose from 2 to 20.")
    if token is not None and len(token) < 16:
        raise ConfigError("--token: give 16 characters or more, or none to have one made.")
    settings = LabelSettings(
        annotator=annotator,
        multi=multi,
        order=Order("disputed" if adjudicate else ordering, of_class, model),
        random_share=_share("random-share", random_share),
        overlap=_share("overlap", overlap),
        raters=raters,
        adjudicates=adjudicate,
        unit="" if unit == "image" else unit,
        wanted=wanted,
    )
    names = [name.strip() for name in classes.split(",")] if classes else []
    workspace = Workspace.open(db)
    if series:
        workspace.refresh_series()
    address = ServerAddress(
        host.strip("[]").lower(),
        port,
        token,
        allowed=frozenset(map(parse_host, allow_host)),
        root_path=clean_root_path(root_path),
    )
    serve_pages(workspace, settings, address, classes=names)
    return 0


def _share(option: str, text: str) -> float:
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%?", text)
    if match is None or float(match[1]) > 100:
        raise ConfigError(f"--{option} {text}: give a percentage such as 20%.")
    return float(match[1]) / 100
