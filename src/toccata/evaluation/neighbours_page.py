"""The nearest neighbours as one page of HTML, with players of the windows that are so alike."""

import html
from pathlib import Path

import numpy as np

from toccata.evaluation.drawing import histogram
from toccata.evaluation.neighbours import Nearness, Set
from toccata.evaluation.page import document, figure, head, notes, player
from toccata.version import __version__


def page(found: Nearness, title: str, folder: Path, seed: int, count: int) -> str:
    """The page as text, to be written into ``folder``, with the ``count`` closest pairs."""
    of = f"{len(found.generated.hearing)} clips among {len(found.training)} pieces"
    sets = {"generated": found.generated} | ({"held out": found.held_out} if found.held_out else {})
    every_N = np.concatenate([one.cosines for one in sets.values()])
    span = float(every_N.min()), float(every_N.max())
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="dim">{of}, windows of {found.judge.seconds:g} s; toccata {__version__}, seed {seed}</p>',
        _summary(found, seed),
        '<div class="plots">', *(_picture(name, one, span) for name, one in sets.items()), "</div>",
        _pairs(found, folder, count),
        *notes("Left out", found.left_out),
    ]  # fmt: skip
    return document(title, parts)


def _summary(found: Nearness, seed: int) -> str:
    rows = [_row("generated", found.generated)]
    rows += [_row("held out", found.held_out)] if found.held_out else []
    told = ""
    if nearer := found.nearer(np.random.default_rng(seed)):
        share, low, high = nearer
        told = (
            f"<p>A generated clip comes nearer than a held-out piece in <b>{share:.1%}</b> of all pairs of them"
            f" ({low:.1%} to {high:.1%}); 50 % is no difference.</p>"
        )
    table = "".join([head("set", "clips", "median", "highest"), *rows, _row("noise", found.noise)])
    return f"<h2>Cosine of the nearest training window</h2><table>{table}</table>{told}"


def _row(name: str, one: Set) -> str:
    cosines_N = one.cosines
    figures = "".join(f'<td class="n">{value:.4f}</td>' for value in (np.median(cosines_N), cosines_N.max()))
    return f'<tr><td>{name}</td><td class="n">{len(cosines_N)}</td>{figures}</tr>'


def _picture(name: str, one: Set, span: tuple[float, float]) -> str:
    return figure(histogram(one.cosines.tolist(), "cosine", span=span), f"Nearest training window of each clip: {name}")


def _pairs(found: Nearness, folder: Path, count: int) -> str:
    limit = found.held_out.cosines.max() if found.held_out else np.inf
    rows = []
    for pair in found.pairs(count):
        beyond = "nearer than any held-out piece" if pair.cosine > limit else ""
        cells = [f'<td class="n">{pair.cosine:.4f}<br><small class="warn">{beyond}</small></td>']
        for item, start in ((pair.clip, pair.at), (pair.piece, pair.there)):
            span = (start, start + found.judge.seconds)
            cells.append(
                f"<td>{html.escape(item.shown)}<br><small>from {start:.1f} s</small><br>"
                f"{player(item.path, folder, span)}</td>"
            )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<h2>The closest pairs</h2><table>{head('cosine', 'clip', 'training piece')}{''.join(rows)}</table>"
