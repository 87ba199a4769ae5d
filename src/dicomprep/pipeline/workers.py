"""Who does the work of a run: processes of this machine, or the workers of a cluster; and what they are told."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicomprep.config import Config
from dicomprep.engines.base import Engine, Limits
from dicomprep.engines.select import INLINE_WARNING, open_cluster_engine, open_engine
from dicomprep.models import Outcome, Settings, Task
from dicomprep.pipeline.probe import Probe
from dicomprep.pipeline.result import ProgressListener
from dicomprep.storage.base import ImageStore
from dicomprep.storage.place import is_url

if TYPE_CHECKING:
    from dicomprep.engines.clusters import Cluster

__all__ = ["Workers", "cluster_of"]

SOME = 2
"""Workers of a cluster: how many share the frames of a long file is known when it is divided."""


@contextmanager
def cluster_of(config: Config) -> Iterator["Cluster | None"]:
    """The cluster that does the work; None where this machine does it by itself.

    Raises ConfigError where Dask is not installed, EnvironmentFault where the cluster cannot be reached or started.
    """
    if config.where.is_local:
        yield None
        return
    from dicomprep.engines.clusters import open_cluster

    with closing(open_cluster(config.where, config.jobs, workers=config.workers)) as cluster:
        yield cluster


@dataclass(frozen=True, slots=True)
class Workers:
    """What the workers of a run are told, wherever they are."""

    config: Config
    images: ImageStore
    listener: ProgressListener
    work: str

    def of_this_machine(self, key: bytes) -> Engine[Task, Outcome]:
        """Processes; where this one may have none, itself."""
        count = self.config.workers
        engine = open_engine(self.work, self._settings(key, count), workers=count, limits=self._limits)
        if not engine.isolates_tasks:
            self.listener.on_warning(INLINE_WARNING)
        return engine

    def of(self, cluster: "Cluster") -> Engine[Task, Outcome]:
        """The workers of a cluster: the key does not travel to them, they say what is to be hashed."""
        if cluster.caution is not None:
            self.listener.on_warning(cluster.caution)
        self.images.fence()  # those of this machine end with this process, others may not
        return open_cluster_engine(
            cluster,
            self.work,
            self._settings(None, SOME),
            limits=self._limits,
            probe=Probe.place(_first_folder(self.config), self.images),
            tell=self.listener.on_cluster,
        )

    def _settings(self, key: bytes | None, workers: int) -> Settings:
        options, budget = self.config, self.config.budget
        return Settings(
            image=options.image,
            splits=options.splits,
            images=self.images,
            key=key,
            max_bytes=budget.max_memory * 2**20,
            workers=workers,
            tags=options.privacy.tag,
            timeout=budget.timeout,
        )

    @property
    def _limits(self) -> Limits:
        return Limits(self.config.budget.timeout, self.config.budget.max_memory * 2**20)


def _first_folder(config: Config) -> str:
    """What every worker must see: the first folder that is searched, or in which the archive lies."""
    if is_url(config.dicom_dir[0]):
        return config.dicom_dir[0]
    first = os.path.abspath(config.dicom_dir[0])
    return first if os.path.isdir(first) else os.path.dirname(first)
