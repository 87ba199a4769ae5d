"""Starting the pages."""

import errno
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dicomprep.database.queries.classes import class_names, former_names, labeled_classes
from dicomprep.database.queries.counts import count_frames
from dicomprep.database.queries.predictions import model_names
from dicomprep.database.queries.queue import Order
from dicomprep.database.writes.predictions import summarize
from dicomprep.errors import ConfigError, EnvironmentFault, count_of
from dicomprep.web.application import create_application
from dicomprep.web.guard import ServerAddress
from dicomprep.web.names import MAX_CLASSES, can_be_class, clean_name, find_new_classes
from dicomprep.web.site import LabelSettings, PageContext
from dicomprep.web.token import load_token
from dicomprep.workspace import Workspace

__all__ = ["serve_pages"]


def serve_pages(
    workspace: Workspace, settings: LabelSettings, address: ServerAddress, *, classes: Sequence[str]
) -> None:
    """Serve the pages until they are interrupted. Raises ConfigError, LabelError or EnvironmentFault before."""
    from dicomprep.web.connections import make_server

    count = _count_images(workspace)
    pending = _prepare_classes(workspace, classes)
    annotator = clean_name(settings.annotator, "--annotator: a name")
    settings = replace(settings, annotator=annotator, classes=pending)
    settings = replace(settings, order=_choose_model(workspace, settings.order))
    _check_port(address)
    context = PageContext(workspace, settings, address)
    try:
        context.catalogue.start()
        if not address.is_local and address.token is None:
            context.address = address = _add_token(address, workspace.token_path)
        _announce(address, count)
        with suppress(KeyboardInterrupt):  # the server has ended in order when it comes here
            make_server(create_application(context), address).run()
    finally:
        context.close()


def _announce(address: ServerAddress, count: int) -> None:
    key = f"/?token={address.token}" if address.token else ""
    print(f"{count_of(count, 'image')} at http://{address.netloc}{key}   (Ctrl-C to stop)", flush=True)
    for name, port in sorted(address.allowed):
        host = f"[{name}]" if ":" in name else name
        place = f"{host}:{port}" if port else host
        print(f"Behind the proxy: https://{place}{address.root_path}{key}   (or http)", flush=True)
    if not address.is_local:
        print(f"Anyone with this address can see and label the images; {_encryption(address)}.", flush=True)
    if address.is_local and "SSH_CONNECTION" in os.environ:
        tunnel = f"ssh -L {address.port}:{address.netloc} {socket.gethostname()}"
        print(f"From another machine: {tunnel}, then http://localhost:{address.port}", flush=True)


def _encryption(address: ServerAddress) -> str:
    return "as the proxy encrypts the connection" if address.allowed else "the connection is not encrypted"


def _add_token(address: ServerAddress, path: Path) -> ServerAddress:
    """The address with the token of this data set."""
    token, said = load_token(path)
    if said:
        print(said, file=sys.stderr, flush=True)
    return replace(address, token=token)


def _check_port(address: ServerAddress) -> None:
    """ConfigError where --host is not an address of this machine, EnvironmentFault where the port is not available."""
    nowhere = f"--host {address.host} is not an address of this machine; leave it out, or give 0.0.0.0 for all of them."
    if not address.host:
        raise ConfigError(nowhere)
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        with socket.create_server((address.host, address.port), family=family):
            pass
    except ValueError as error:  # a name that cannot be one
        raise ConfigError(nowhere) from error
    except OSError as error:
        number = error.errno or 0
        if number <= 0 or number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # below zero: a name that nobody knows
            raise ConfigError(nowhere) from error
        hint = "choose another with --port, or another --host"
        raise EnvironmentFault(f"Port {address.port} cannot be used ({os.strerror(number)}); {hint}.") from error


def _count_images(workspace: Workspace) -> int:
    """How many images there are; ConfigError where there is none."""
    workspace.require_images()
    with workspace.reading() as connection:
        count = count_frames(connection)
    if count == 0:
        raise ConfigError(f"The database {workspace} has no images yet; run `dicomprep preprocess DICOM_DIR` first.")
    return count


def _prepare_classes(workspace: Workspace, classes: Sequence[str]) -> tuple[str, ...]:
    """Sum up predictions; the classes that are new, to be stored when one of them is used.

    Those that labels have already, which came by an import, are among them; not texts and numbers, which are many.
    """
    with workspace.writing() as store, store.transaction() as connection:
        former = former_names(connection)
        given = _of_today(classes, former)
        stored = class_names(connection)
        used = [name for name in labeled_classes(connection) if name not in stored and can_be_class(name)]
        used = used if len(stored) + len(used) <= MAX_CLASSES else []
        pending = [*used, *find_new_classes(given, [*stored, *used], "--classes")]
        summarize(connection)
    for name in former.keys() & set(classes):
        print(f"--classes: {name} is called {former[name]} now.", file=sys.stderr, flush=True)
    return tuple(pending)


def _of_today(classes: Sequence[str], former: Mapping[str, str]) -> list[str]:
    """Classes by their names of today, which several of the former ones may have become.

    >>> _of_today(["cyst", "nodul", "nodule"], {"nodul": "nodule"})
    ['cyst', 'nodule']
    """
    given: list[str] = []
    for name in classes:
        today = former.get(name, name)
        if today == name or today not in (*classes, *given):
            given.append(today)
    return given


def _choose_model(workspace: Workspace, order: Order) -> Order:
    """The order, by the model that was imported last where none is named."""
    with workspace.reading() as connection:
        known = model_names(connection)
    if order.model and order.model not in known:
        raise ConfigError(f"--model {order.model}: choose from the imported models ({', '.join(known) or 'none yet'}).")
    if order.kind not in ("shuffled", "disputed") and not known:
        raise ConfigError(f"--order {order.kind} needs predictions; run `dicomprep predictions import FILE` first.")
    return replace(order, model=order.model or (known[0] if known else ""))
