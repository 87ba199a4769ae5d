"""Optional libraries: loaded on demand; if one is missing, the error says how to install it."""

from importlib import import_module
from typing import Any

from dicomprep.errors import ConfigError

__all__ = ["load_extra"]


def load_extra(module: str, *, extra: str, purpose: str) -> Any:  # noqa: ANN401  (a module; its types are its own)
    """The module, or a ConfigError that says what it is needed for and which extra of dicomprep brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ConfigError(f"{purpose} needs {error.name}: pip install 'dicomprep[{extra}]'") from error
