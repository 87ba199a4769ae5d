"""`dicomprep label`."""

import re

from dicomprep.addresses import resolve_database
from dicomprep.cli.options import DEFAULTS, Flag
from dicomprep.errors import ConfigError

__all__ = ["label"]

ORDERS = ("shuffled", "uncertainty", "disagreement", "confident:CLASS")


def label(  # noqa: PLR0913
    *,
    db: str = DEFAULTS.db,
    classes: str = "",
    multi: Flag = False,
    annotator: str = "me",
    order: str = "shuffled",
    model: str = "",
    random_share: str = "0%",
    overlap: str = "0%",
    raters: int = 2,
    host: str = "127.0.0.1",
    port: int = 5001,
    token: str | None = None,
) -> int:
    """Label and review the images in the browser, one key for each class.

    Parameters
    ----------
    db
        SQLite database path, or a postgresql:// URL.
    classes
        Names to choose from, separated by commas. The database keeps them; new ones are appended.
    multi
        An image may have several classes.
    annotator
        Whose labels these are, where the page is not told.
    order
        shuffled (patient after patient), or by predictions: uncertainty, disagreement or confident:CLASS.
    model
        Whose predictions; those imported last if none is named.
    random_share
        So many images come in the shuffled order all the same, such as 20%.
    overlap
        So many images are labelled by several annotators, such as 20%.
    raters
        How many annotators label those.
    host
        Where to listen. Other machines than this one need the token that is printed.
    port
        Where the page is: http://127.0.0.1:PORT.
    token
        What requests to another host than this one must carry; random if none is given.

    """
    from pathlib import Path

    from dicomprep.database.queries.labeling import Order
    from dicomprep.web.guard import ServerAddress
    from dicomprep.web.serve import serve_pages
    from dicomprep.web.site import LabelSettings

    if not 1 <= port <= 65535:
        raise ConfigError(f"--port {port}: choose from 1 to 65535.")
    kind, _, of_class = order.partition(":")
    if kind not in ("shuffled", "uncertainty", "disagreement", "confident") or (kind == "confident") != bool(of_class):
        raise ConfigError(f"--order {order}: choose {', '.join(ORDERS)}.")
    if not 2 <= raters <= 20:
        raise ConfigError(f"--raters {raters}: choose from 2 to 20.")
    if token is not None and len(token) < 16:
        raise ConfigError("--token: give 16 characters or more, or none to have one made.")
    settings = LabelSettings(
        db=resolve_database(db),
        output_dir=Path(),
        annotator=annotator,
        multi=multi,
        order=Order(kind, of_class, model),
        random_share=_share("random-share", random_share),
        overlap=_share("overlap", overlap),
        raters=raters,
    )
    names = [name.strip() for name in classes.split(",")] if classes else []
    serve_pages(settings, ServerAddress(host.strip("[]").lower(), port, token), classes=names)
    return 0


def _share(option: str, text: str) -> float:
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%?", text)
    if match is None or float(match[1]) > 100:
        raise ConfigError(f"--{option} {text}: give a percentage such as 20%.")
    return float(match[1]) / 100
