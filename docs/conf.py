"""How Sphinx makes the site: `make docs`."""

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
