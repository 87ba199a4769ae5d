"""The limits that a shell or a scheduler sets this process (`ulimit`): asked before any work, told in a sentence.

Libraries that are refused memory or files while they are loaded crash, or fail with whatever they were at.
"""

import os
import sys

from dicomprep.errors import EnvironmentFault

if sys.platform != "win32":
    import resource

__all__ = ["PARENT_OPEN_FILES", "WORKER_OPEN_FILES", "require_open_files", "require_resources"]

MIN_ADDRESS_SPACE_BYTES = 512 * 2**20
"""All commands are loaded in 400 MB, Parquet in 500."""

MIN_OPEN_FILES = 32
"""For any command."""

PARENT_OPEN_FILES, WORKER_OPEN_FILES = 24, 4
"""Of a run: its own, and more for each worker; eight more than it was seen to open."""

SMALL_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Keeps libraries from reserving a gigabyte that they do not use."""


def require_resources() -> None:
    """Before other modules are loaded: EnvironmentFault where memory or open files are too few for them."""
    if sys.platform == "win32":
        return
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY:
        for name, value in SMALL_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if allowed < MIN_ADDRESS_SPACE_BYTES:
            what = f"The memory limit (ulimit -v) of {allowed // 2**20:,} MB is too low"
            needed = f"{MIN_ADDRESS_SPACE_BYTES // 2**20:,} MB"
            raise EnvironmentFault(f"{what}: at least {needed} are needed. Raise it and run this again.")
    require_open_files(MIN_OPEN_FILES)


def require_open_files(count: int, remedy: str = "") -> None:
    """Raise the soft limit of open files to `count`; EnvironmentFault where the hard limit is lower."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        what = f"The limit of open files (ulimit -n) of {hard:,} is too low: {count:,} are needed"
        raise EnvironmentFault(f"{what}. Raise it{remedy} and run this again.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
