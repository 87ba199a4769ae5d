"""Text from files in cells that a spreadsheet may open."""

__all__ = ["neutral_cell"]

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a cell for a formula, full-width forms included."""


def neutral_cell(text: str) -> str:
    """Text that no spreadsheet runs: an apostrophe goes before what could begin a formula.

    For text that comes from files or people, in CSV and whatever else is made of cells; not for numbers. Quoting
    separators and line ends is the writer's business.

    >>> neutral_cell("=HYPERLINK(A1)")
    "'=HYPERLINK(A1)"
    >>> neutral_cell("'=1")  # so that taking one apostrophe away gives the text back
    "''=1"
    >>> neutral_cell("CHEST PA")
    'CHEST PA'
    """
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text
