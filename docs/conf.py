"""How Sphinx makes the site: `make docs`."""

from sphinx.application import Sphinx

from dicomprep.cli.app import app as command_line
from dicomprep.version import VERSION

project = "dicomprep"
author = "the dicomprep authors"
release = version = VERSION
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
default_role = "code"
html_theme = "furo"
html_title = f"dicomprep {VERSION}"
exclude_patterns = ["images"]
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
suppress_warnings = ["myst.header"]


def complete(app: Sphinx, page: str, source: list[str]) -> None:
    """The first page leads to all others; that of the commands goes on with what the program says of itself."""
    if page == "index":
        others = sorted(page for page in app.env.found_docs if page != "index" and f"\n{page}\n" not in source[0])
        source[0] = source[0].replace("\nreliability\n", "\n".join(["\nreliability", *others, ""]))
    if page == "commands":
        generated = command_line.generate_docs(output_format="markdown")
        source[0] += generated.partition("\n## dicomprep ")[1] + generated.partition("\n## dicomprep ")[2]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", complete)
