"""The pages in a thread of the test's own process, with bounds that a test can wait for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from dicomprep.web.application import application
from dicomprep.web.connections import Bounds, make_server
from dicomprep.web.guard import Door
from dicomprep.web.site import LabelSettings, Site
from tests.running import Place, wait_until


@contextmanager
def served_pages(place: Place, bounds: Bounds, door: Door) -> Iterator[uvicorn.Server]:
    settings = LabelSettings(db=str(place.db), output_dir=place.output, classes=("normal", "abnormal"))
    site = Site(settings, door)
    site.keeper.start()
    server = make_server(application(site), door, bounds)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert wait_until(lambda: server.started, 30)
        yield server
    finally:
        server.should_exit = True
        thread.join()
        site.close()
