"""Below which path pages are: behind a proxy their addresses begin with what only the proxy and the browser know.

Addresses within the pages begin with `/` where they are written, and leave as relative ones: those are right behind any
prefix, whether a proxy takes it off (jupyter-server-proxy, code-server, nginx with a path) or leaves it on.
"""

import re
from urllib.parse import quote, unquote, urlsplit

from starlette.types import Scope

from dicomprep.errors import ConfigError

__all__ = ["clean_root_path", "make_relative", "root_of", "without_prefix"]

_ADDRESS = re.compile(r'\b(href|src|action)="/(?!/)')
_ROOT_PATH = re.compile(r"(?:/[\w.~!$&'()*+,;=:@%-]+)*/?", re.ASCII)


def clean_root_path(text: str) -> str:
    """The path that a proxy shows the pages below, without a slash at its end. ConfigError where it is none.

    >>> clean_root_path("/user/ada/proxy/5001/")
    '/user/ada/proxy/5001'
    """
    parts = unquote(text).split("/")
    if not _ROOT_PATH.fullmatch(text) or "." in parts or ".." in parts or urlsplit(text).netloc:
        raise ConfigError(f"--root-path {text}: give the path of the address, such as /user/ada/proxy/5001.")
    return text.rstrip("/")


def without_prefix(scope: Scope, root_path: str) -> Scope:
    """The request by its path within the pages, whether or not the proxy has taken the prefix off."""
    prefix, path = unquote(root_path), scope["path"]
    if not prefix or not (path + "/").startswith(prefix + "/"):
        return scope
    return {**scope, "path": path[len(prefix) :]}


def root_of(path: str) -> str:
    """The way from a page to where the pages begin.

    >>> root_of("/"), root_of("/gallery"), root_of("/original/1/stack")
    ('.', '.', '../..')
    """
    return "/".join([".."] * (path.count("/") - 1)) or "."


def make_relative(html: str, root: str) -> str:
    """The same page, its addresses relative. What comes from files has no quotation mark in it: it is escaped."""
    return _ADDRESS.sub(rf'\1="{quote(root)}/', html)
