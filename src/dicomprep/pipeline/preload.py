"""What workers do, by name: this process need not load it, and they can begin to before anything else is ready."""

from dicomprep.engines.forkserver import prepare

__all__ = ["PROCESS", "preload"]

PROCESS = "dicomprep.pipeline.process_file:process"
"""What becomes of one file. Decoders and pydicom take most of a second to load, and only workers need them."""


def preload() -> None:
    """Let the process that workers are copies of load all that; returns at once."""
    prepare(PROCESS)
