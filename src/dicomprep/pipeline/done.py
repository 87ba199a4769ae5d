"""What of a spool was preprocessed before: its files may have been removed since, to make room for others."""

from collections.abc import Callable, Sequence

from dicomprep.config import Config
from dicomprep.database.queries.inputs import find_up_to_date
from dicomprep.errors import ConfigError
from dicomprep.pipeline.places import find_places
from dicomprep.storage.spool import path_of
from dicomprep.workspace import Workspace

__all__ = ["done_instances"]


def done_instances(workspace: Workspace, config: Config) -> Callable[[str, Sequence[str]], set[str]]:
    """Says which instances of a study have records that hold, made with these options of files in the spool."""
    try:
        with workspace.reading() as connection:
            home = find_places(connection, config).trees[0].home
    except ConfigError:  # there is no data set yet
        return lambda _study, _instances: set()

    def find(study: str, instances: Sequence[str]) -> set[str]:
        paths = {home.prefix + path_of(study, instance): instance for instance in instances}
        with workspace.reading() as connection:
            found = find_up_to_date(connection, home.root, list(paths), fingerprint=config.fingerprint())
        return {paths[path] for path in found}

    return find
