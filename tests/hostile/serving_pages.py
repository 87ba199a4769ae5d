"""The pages in a thread of the test's own process, with bounds that a test can wait for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from dicomprep.web.application import create_application
from dicomprep.web.connections import ConnectionLimits, make_server
from dicomprep.web.guard import ServerAddress
from dicomprep.web.site import LabelSettings, PageContext
from tests.running import Place, wait_until


@contextmanager
def served_pages(place: Place, bounds: ConnectionLimits, address: ServerAddress) -> Iterator[uvicorn.Server]:
    settings = LabelSettings(classes=("normal", "abnormal"))
    context = PageContext(place.workspace, settings, address)
    context.catalogue.start()
    server = make_server(create_application(context), address, bounds)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert wait_until(lambda: server.started, 30)
        yield server
    finally:
        server.should_exit = True
        thread.join()
        context.close()
