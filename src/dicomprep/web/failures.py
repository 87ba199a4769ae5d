"""What failed, grouped by cause; the current diagnosis of a file; retrying."""

import re
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dicomprep.checks.viewer import Explain, Refusal
from dicomprep.database.queries import overview
from dicomprep.database.queries.failures import Cause, causes, failed_inputs, find_input
from dicomprep.errors import ErrorCode, LabelError
from dicomprep.storage.paths import actual_path
from dicomprep.storage.roots import place_within
from dicomprep.web.bodies import query_number
from dicomprep.web.site import PageContext, image_not_found, respond

__all__ = ["Failures"]

MAX_INPUTS = 100
"""Inputs listed of one cause; bounds the page."""

MAX_CAUSES = 50
"""Distinct reasons listed for one error code; bounds memory and the page."""

MAX_LINES = 60
"""Of what trying again prints: its whole summary, with all that is said of the data set."""
_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|\b\d[\d.,:×x]*\b|0x[0-9a-fA-F]+|[0-9A-F]{4},[0-9A-F]{4}")


@dataclass(slots=True)
class Group:
    """Inputs that failed for one reason."""

    code: str
    count: int = 0
    remedy: str = ""
    details: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def causes(self) -> list[tuple[str, int]]:
        """The commonest first."""
        return sorted(self.details.items(), key=lambda pair: -pair[1])[:MAX_CAUSES]


class Failures:
    """The routes of the failures page."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._retrying = RetryRun(context)

    def routes(self) -> list[Route]:
        """What this page answers."""
        return [
            Route("/failures", self.show),
            Route("/failures/state", self.state),
            Route("/failures/retry", self.retry, methods=["POST"]),
            Route("/failures/{file_id:id}", self.inspect),
        ]

    def show(self, request: Request) -> Response:
        """All causes, and the inputs of the selected one."""
        code = request.query_params.get("code", "")
        after = query_number(request, "after", 0)
        with self._context.reading() as connection:
            groups = group_causes(list(causes(connection)))
            code = code if code in {group.code for group in groups} else next((g.code for g in groups), "")
            inputs = failed_inputs(connection, code, after=after, limit=MAX_INPUTS)
        more = inputs[-1].id if len(inputs) == MAX_INPUTS else None
        values = {"groups": groups, "code": code, "inputs": inputs, "more": more, "state": self._retrying.state()}
        return self._context.page("failures.html", request, **values)

    def inspect(self, request: Request) -> Response:
        """One input: its record, and what `inspect` says of it now."""
        with self._context.reading() as connection:
            failed = find_input(connection, request.path_params["file_id"])
            if failed is None:
                return image_not_found()
            image = overview.image_options(connection, failed.root)
        path = place_within(actual_path(failed.root), actual_path(failed.path))
        rows = self._context.viewer.ask(Explain(path, image))
        if isinstance(rows, Refusal):
            rows = [("Error", f"{rows.detail} [{rows.code}]")]
        return self._context.page("failure.html", request, failed=failed, rows=rows)

    def state(self, _request: Request) -> Response:
        """How far the retry is."""
        return JSONResponse(self._retrying.state())

    async def retry(self, request: Request) -> Response:
        """Retry the files of one error code, in a run of its own; refused while there is a run."""
        body = await self._context.read_body(request)
        code = body.text("code")
        if code not in set(ErrorCode):
            raise LabelError("Unknown error code.")
        return await respond(self._retrying.begin, code)

    def close(self) -> None:
        """End what is under way: everything finished is kept."""
        self._retrying.close()


class RetryRun:
    """One run of `dicomprep retry` at a time."""

    def __init__(self, context: PageContext) -> None:
        self._workspace = context.workspace
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []

    def begin(self, code: str) -> dict[str, object]:
        """Start; LabelError where a run is going."""
        with self._lock:
            if self._is_running() or self._workspace.is_locked():
                raise LabelError("Another run is in progress: wait until it has finished.")
            command = [sys.executable, "-m", "dicomprep", "retry", "--db", self._workspace.address.text, "--code", code]
            self._lines = []
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is for the pages; it is told below
            )
            threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        return self.state()

    def state(self) -> dict[str, object]:
        """Whether it runs, and what it printed last."""
        return {"running": self._is_running(), "lines": self._lines[-MAX_LINES:]}

    def close(self) -> None:
        """Interrupt it, as Ctrl-C would."""
        if self._process is not None and self._is_running():
            self._process.send_signal(signal.SIGINT)

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._lines.append(line.rstrip()[:300])
        process.wait()


def group_causes(found: list[Cause]) -> list[Group]:
    """By code, the commonest first; within it by cause: what differs only in names and numbers is one."""
    groups: dict[str, Group] = {}
    for cause in found:
        group = groups.setdefault(cause.code, Group(cause.code, remedy=_remedy(cause.code)))
        group.count += cause.count
        last = cause.detail.strip().rpartition("\n")[2]
        group.details[_VARIABLE.sub("…", last) if len(found) > MAX_CAUSES else last] += cause.count
    return sorted(groups.values(), key=lambda group: -group.count)


def _remedy(code: str) -> str:
    return (ErrorCode(code).remedy or "") if code in set(ErrorCode) else ""
