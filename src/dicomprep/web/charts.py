"""Charts as SVG text: no script, no library, readable without colors."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from markupsafe import Markup, escape

__all__ = ["bars", "columns"]

_NOTHING: Mapping[str, str] = MappingProxyType({})
WIDTH = 380
ROW = 26
NAME_WIDTH, VALUE_WIDTH = 130, 60
HEIGHT = 150
MAX_BARS = 16
"""Bars of a chart; bounds its height."""


def bars(
    title: str, counts: Mapping[str, int], *, links: Mapping[str, str] = _NOTHING, tones: Mapping[str, str] = _NOTHING
) -> Markup:
    """One horizontal bar for each name; the smallest together where there are many.

    `links` has where some of the bars lead to, `tones` the colors that names have wherever they are.
    """
    pairs = list(counts.items())
    if len(pairs) > MAX_BARS:
        pairs = [*pairs[: MAX_BARS - 1], ("other", sum(count for _, count in pairs[MAX_BARS - 1 :]))]
    most = max((count for _, count in pairs), default=0) or 1
    room = WIDTH - NAME_WIDTH - VALUE_WIDTH
    rows = []
    for number, (name, count) in enumerate(pairs):
        top, length = number * ROW, max(1.5, room * count / most) if count else 0
        shown = name if len(name) <= 17 else f"{name[:16]}…"
        tone = f"bar-fill tone-{tones[name]}" if name in tones else "bar-fill"
        row = (
            f'<text class="name" x="{NAME_WIDTH - 8}" y="{top + 17}" text-anchor="end">{escape(shown)}</text>'
            f'<rect class="{tone}" x="{NAME_WIDTH}" y="{top + 5}" width="{length:.1f}" height="{ROW - 10}" rx="3"/>'
            f'<text class="value" x="{NAME_WIDTH + length + 6:.1f}" y="{top + 17}">{count:,}</text>'
        )
        said = escape(f"{name}: {count:,}")
        rows.append(f'<a href="{escape(links[name])}" aria-label="{said}">{row}</a>' if name in links else row)
    words = [f"{name}: {count:,}" for name, count in pairs]
    return _figure(title, "".join(rows), max(ROW, len(pairs) * ROW), words, has_links=bool(links))


def columns(title: str, values: Sequence[tuple[str, float]], *, unit: str = "", every: int = 1) -> Markup:
    """One column for each value, a name under some of them."""
    most = max((value for _, value in values), default=0) or 1
    step = WIDTH / max(1, len(values))
    parts = [f'<text class="value" x="0" y="11">{most:,.4g} {escape(unit)}</text>']
    for number, (name, value) in enumerate(values):
        height = (HEIGHT - 20) * value / most
        left = number * step + step * 0.1
        parts.append(
            f'<rect class="bar-fill" x="{left:.1f}" y="{HEIGHT - height:.1f}" width="{step * 0.8:.1f}"'
            f' height="{max(height, 0.5):.1f}" rx="2"/>'
        )
        if number % every == 0:
            parts.append(f'<text class="name" x="{left:.1f}" y="{HEIGHT + 16}">{escape(name)}</text>')
    return _figure(title, "".join(parts), HEIGHT + 22, [f"{name}: {value:,.4g} {unit}" for name, value in values])


def _figure(title: str, content: str, height: int, words: Sequence[str], *, has_links: bool = False) -> Markup:
    role = "group" if has_links else "img"  # what is an image has nothing in it that can be followed
    described = escape("; ".join(words) or "no data")
    return Markup(  # noqa: S704  (every text in it is escaped above)
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {height}" role="{role}" aria-label="{escape(title)}: {described}">{content}</svg>'
        "</figure>"
    )
