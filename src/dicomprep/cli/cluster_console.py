"""What a person sees of a run on a cluster: also who comes and goes."""

from dicomprep.cli.console import ConsoleListener, printable
from dicomprep.pipeline.result import Result

__all__ = ["ClusterListener"]


class ClusterListener(ConsoleListener):
    """Workers are of other machines: how many there will be is not known yet."""

    def on_start(self, result: Result, workers: int) -> None:
        """Say what is done."""
        self._result = result
        self._say_what(result)
        print("Processing on a Dask cluster...", flush=True)
        self._start_bar(result)

    def on_cluster(self, sentence: str) -> None:
        """Say it at once, above the bar."""
        self._print(f"Cluster: {printable(sentence)}")
