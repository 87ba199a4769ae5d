"""How each format of an export is written."""
