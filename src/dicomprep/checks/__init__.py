"""Checks of a data set: `verify`, `inspect`, `audit`, and the viewer of source files."""
