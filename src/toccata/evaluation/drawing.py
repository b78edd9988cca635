"""Small pictures as SVG text, for pages without libraries or scripts."""

import html
from collections.abc import Sequence

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 560, 230, 56, 34, 12


def line_plot(points: Sequence[tuple[float, float]], line: tuple[float, float], x_label: str, y_label: str) -> str:
    """Dots (x, y), x from 0 on, and the line ``slope * x + start`` from 0 to the last of them, with its start."""
    slope, start = line
    right = max(x for x, _ in points)
    ys = [*(y for _, y in points), start, start + slope * right]
    low, high = min(0.0, *ys), max(ys) * 1.05 or 1.0
    at = _Frame((0.0, right), (low, high))
    dots = "".join(f'<circle cx="{at.x(x):.1f}" cy="{at.y(y):.1f}" r="4" class="dot"/>' for x, y in points)
    last = start + slope * right
    drawn = f'<path d="M{at.x(0):.1f} {at.y(start):.1f}L{at.x(right):.1f} {at.y(last):.1f}" class="line"/>'
    end = f'<circle cx="{at.x(0):.1f}" cy="{at.y(start):.1f}" r="6" class="mark"/>'
    told = f'<text x="{at.x(0) + 10:.1f}" y="{at.y(start) - 10:.1f}">{start:.3g}</text>'
    return at.svg(drawn + dots + end + told, x_label, y_label)


def histogram(values: Sequence[float], x_label: str, bins: int = 24, span: tuple[float, float] | None = None) -> str:
    """How many values lie where; from the least to the greatest, or over a ``span`` that holds them all."""
    low, high = span or (min(values), max(values))
    width = (high - low) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / width), bins - 1)] += 1
    at = _Frame((low, low + width * bins), (0.0, max(counts) * 1.05))
    thick = max(at.x(width) - at.x(0) - 2, 1)
    bars = "".join(
        f'<rect x="{at.x(low + k * width) + 1:.1f}" y="{at.y(count):.1f}" width="{thick:.1f}"'
        f' height="{at.y(0) - at.y(count):.1f}" class="bar"/>'
        for k, count in enumerate(counts)
        if count
    )
    return at.svg(bars, x_label, "clips")


def paired_bars(names: Sequence[str], first: Sequence[float], second: Sequence[float], legend: tuple[str, str]) -> str:
    """Two bars from 0 to 1 for each name, one above the other."""
    row, left = 26, 120
    scale = (_WIDTH - left - 60) / max(*first, *second, 1e-9)
    keys = zip((left, left + 120), "ab", legend, strict=True)
    parts = [f'<text x="{x}" y="12" class="{kind}">■ {html.escape(name)}</text>' for x, kind, name in keys]
    for k, (name, one, two) in enumerate(zip(names, first, second, strict=True)):
        top = 22 + k * row
        parts.append(
            f'<text x="{left - 8}" y="{top + 14}" text-anchor="end">{html.escape(name)}</text>'
            f'<rect x="{left}" y="{top}" width="{one * scale:.1f}" height="9" class="a"/>'
            f'<rect x="{left}" y="{top + 10}" width="{two * scale:.1f}" height="9" class="b"/>'
            f'<text x="{left + max(one, two) * scale + 6:.1f}" y="{top + 14}">{one:.2f} / {two:.2f}</text>'
        )
    height = 26 + row * len(names)
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{"".join(parts)}</svg>'


def interval(value: float, low: float | None, high: float | None, controls: dict[str, float]) -> str:
    """A score as a dot, its interval as a bar, its controls as ticks, on one line from the least to the greatest."""
    everything = [value, *controls.values(), *(end for end in (low, high) if end is not None)]
    least, most = min(everything), max(everything)
    room = (most - least) or 1.0

    def x(at: float) -> float:
        return 8 + 184 * (at - least) / room

    ticks = "".join(
        f'<path d="M{x(at):.1f} 3V19" class="tick"><title>{html.escape(name)} {at:.4g}</title></path>'
        for name, at in controls.items()
    )
    bar = "" if low is None or high is None else f'<path d="M{x(low):.1f} 11H{x(high):.1f}" class="span"/>'
    dot = f'<circle cx="{x(value):.1f}" cy="11" r="5" class="dot"/>'
    return f'<svg viewBox="0 0 200 22" class="small" role="img">{ticks}{bar}{dot}</svg>'


class _Frame:
    """Axes with a few numbers, and where a point lies in them."""

    def __init__(self, across: tuple[float, float], up: tuple[float, float]) -> None:
        self.across, self.up = across, up

    def x(self, value: float) -> float:
        low, high = self.across
        return _LEFT + (_WIDTH - _LEFT - 20) * (value - low) / ((high - low) or 1.0)

    def y(self, value: float) -> float:
        low, high = self.up
        return _TOP + (_HEIGHT - _BOTTOM - _TOP) * (1 - (value - low) / ((high - low) or 1.0))

    def svg(self, inside: str, x_label: str, y_label: str) -> str:
        floor, (left, right), (low, high) = _HEIGHT - _BOTTOM, self.across, self.up
        axes = f'<path d="M{_LEFT} {_TOP}V{floor}H{_WIDTH - 20}" class="axis"/>'
        numbers = "".join(
            f'<text x="{self.x(at):.1f}" y="{floor + 14}" text-anchor="middle">{at:.3g}</text>'
            for at in (left, (left + right) / 2, right)
        ) + "".join(
            f'<text x="{_LEFT - 6}" y="{self.y(at) + 4:.1f}" text-anchor="end">{at:.3g}</text>'
            for at in (low, (low + high) / 2, high)
        )
        labels = (
            f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{html.escape(x_label)}</text>'
            f'<text x="14" y="{_HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {_HEIGHT / 2})">'
            f"{html.escape(y_label)}</text>"
        )
        return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{axes}{numbers}{labels}{inside}</svg>'
