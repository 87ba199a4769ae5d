"""What the shell, or a scheduler, lets this process have; where it is too little, a sentence says so before any work.

Libraries that are refused memory or files while they are loaded crash, or fail with whatever they were at.
"""

import os
import sys

from dicomprep.errors import EnvironmentFault

if sys.platform != "win32":
    import resource

__all__ = ["claim", "require_files"]

FEWEST_BYTES = 512 * 2**20
"""Of address space: all commands are loaded in 400 MB, Parquet in 500."""

FEWEST_FILES = 32
FILES_OF_PARENT, FILES_OF_WORKER = 24, 4
"""At least, and so many for a run: eight more than it was seen to open."""

SMALL = {"OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Keeps libraries from reserving a gigabyte that they do not use."""


def claim() -> None:
    """Take what is allowed, before other modules are loaded; EnvironmentFault where that is too little for them."""
    if sys.platform == "win32":
        return
    bytes_, _ = resource.getrlimit(resource.RLIMIT_AS)
    if bytes_ != resource.RLIM_INFINITY:
        for name, value in SMALL.items():
            os.environ.setdefault(name, value)
        if bytes_ < FEWEST_BYTES:
            what = f"{bytes_ // 2**20:,} MB of address space are allowed (ulimit -v), and at least"
            raise EnvironmentFault(f"{what} {FEWEST_BYTES // 2**20:,} are needed. Allow more and run this again.")
    require_files(FEWEST_FILES)


def require_files(count: int, remedy: str = "") -> None:
    """Allow this process so many open files, if it may; EnvironmentFault where it may not."""
    if sys.platform == "win32":
        return
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now == resource.RLIM_INFINITY or now >= count:
        return
    if most != resource.RLIM_INFINITY and most < count:
        what = f"{most:,} files may be open at once (ulimit -n), and {count:,} are needed"
        raise EnvironmentFault(f"{what}. Allow more{remedy} and run this again.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, most))
