"""Starting the pages."""

import errno
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dicomprep.database.connection import connect, database_folder, key_file, migrate, reading
from dicomprep.database.queries import labeling, runs
from dicomprep.database.queries.predictions import model_names
from dicomprep.database.writes.predictions import summarize
from dicomprep.database.writes.store import Store
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.web.application import application
from dicomprep.web.classes import checked_classes
from dicomprep.web.guard import Door
from dicomprep.web.site import LabelSettings, Site, checked_name
from dicomprep.web.token import keep_token

__all__ = ["serve_pages"]


def serve_pages(settings: LabelSettings, door: Door, *, classes: Sequence[str]) -> None:
    """Serve the pages until they are interrupted. Raises ConfigError, LabelError or EnvironmentFault before."""
    from dicomprep.web.connections import make_server

    output_dir, count = _find_images(settings.db)
    pending = _prepare(settings.db, classes)
    annotator = checked_name(settings.annotator, "--annotator: a name")
    settings = replace(settings, output_dir=output_dir, annotator=annotator, classes=pending)
    settings = replace(settings, order=_with_model(settings))
    _try_to_listen(door)
    site = Site(settings, door)
    try:
        site.keeper.start()
        if not door.is_local and door.token is None:
            site.door = door = _with_token(door, key_file(settings.db, output_dir).with_suffix(".token"))
        _announce(door, count)
        with suppress(KeyboardInterrupt):  # the server has ended in order when it comes here
            make_server(application(site), door).run()
    finally:
        site.close()


def _announce(door: Door, count: int) -> None:
    key = f"/?token={door.token}" if door.token else ""
    print(f"{count:,} images at http://{door.address}{key}   (Ctrl-C ends)", flush=True)
    if not door.is_local:
        print("Anyone with this address can see and label the images; what is sent is not encrypted.", flush=True)
    if door.is_local and "SSH_CONNECTION" in os.environ:
        tunnel = f"ssh -L {door.port}:{door.address} {socket.gethostname()}"
        print(f"From another machine: {tunnel}, then http://localhost:{door.port}", flush=True)


def _with_token(door: Door, path: Path) -> Door:
    """The door with the token of this data set."""
    token, said = keep_token(path)
    if said:
        print(said, file=sys.stderr, flush=True)
    return replace(door, token=token)


def _try_to_listen(door: Door) -> None:
    """ConfigError where --host is no address of this machine, EnvironmentFault where the port cannot be had."""
    nowhere = f"--host {door.host}: that is no address of this machine; leave it out, or give 0.0.0.0 for all of them."
    if not door.host:
        raise ConfigError(nowhere)
    try:
        family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
        with socket.create_server((door.host, door.port), family=family):
            pass
    except ValueError as error:  # a name that cannot be one
        raise ConfigError(nowhere) from error
    except OSError as error:
        number = error.errno or 0
        if number <= 0 or number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # below zero: a name that nobody knows
            raise ConfigError(nowhere) from error
        hint = "choose another with --port, or another --host"
        raise EnvironmentFault(f"Port {door.port} cannot be used ({os.strerror(number)}); {hint}.") from error


def _find_images(db: str) -> tuple[Path, int]:
    """The output folder, and how many images there are."""
    engine = connect(db, must_exist=True)
    migrate(engine)
    with reading(engine) as connection:
        recorded, count = runs.output_dir(connection), runs.count_frames(connection)
    engine.dispose()
    if recorded is None or count == 0:
        raise ConfigError(f"The database {db} holds no image yet; `dicomprep preprocess DICOM_DIR` makes them.")
    return (database_folder(db) or Path()) / recorded, count


def _prepare(db: str, classes: Sequence[str]) -> tuple[str, ...]:
    """Sum up predictions; the classes that are new, to be stored when one of them is used."""
    store = Store(db)
    try:
        with store.transaction() as connection:
            pending = checked_classes(classes, labeling.class_names(connection), "--classes")
            summarize(connection)
    finally:
        store.close()
    return tuple(pending)


def _with_model(settings: LabelSettings) -> labeling.Order:
    """The order, by the model that was imported last where none is named."""
    engine = connect(settings.db)
    with reading(engine) as connection:
        known = model_names(connection)
    engine.dispose()
    order = settings.order
    if order.model and order.model not in known:
        raise ConfigError(f"--model {order.model}: there are predictions of {', '.join(known) or 'no model yet'}.")
    if order.kind != "shuffled" and not known:
        raise ConfigError(f"--order {order.kind} needs predictions; `dicomprep predictions import FILE` brings them.")
    return replace(order, model=order.model or (known[0] if known else ""))
