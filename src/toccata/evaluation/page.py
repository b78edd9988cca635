"""An evaluation as one page of HTML: no scripts, nothing from elsewhere but the sounds, which it links to."""

import html
import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np

from toccata.evaluation.case import Case, Score, stacked
from toccata.evaluation.clip_scores import NEAR_COPY
from toccata.evaluation.diversity import nearest_others
from toccata.evaluation.drawing import histogram, interval, line_plot, paired_bars
from toccata.evaluation.ears import MusicnnJudge, SoundJudge
from toccata.evaluation.run import Report
from toccata.evaluation.sets import pairs
from toccata.version import __version__

_SHOWN = 24
_STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --dim: #6b7280; --line: #d9dce1; --paper: #fff; --one: #2563eb;
  --two: #d97706 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ea; --dim: #9aa1ab; --line: #3a3f47; --paper: #16181c;
  --one: #7aa5ff; --two: #f0a94a } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 72rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--dim); font-weight: 500 } td.n { white-space: nowrap; font-variant-numeric: tabular-nums }
small, .dim { color: var(--dim) }
svg { width: 100%; max-width: 36rem } svg text { font-size: 11px; fill: var(--dim) } svg.small { width: 12rem }
.dot, .bar, .a { fill: var(--one) } .mark, .b { fill: var(--two) } .axis { stroke: var(--line); fill: none }
.line { stroke: var(--two); stroke-width: 1.5; fill: none } .tick { stroke: var(--two); stroke-width: 2 }
.span { stroke: var(--one); stroke-width: 3; opacity: .5 } .warn { color: var(--two) }
audio { width: 15rem; height: 2rem } figure { margin: 0 }
.plots { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)) }
pre { white-space: pre-wrap; overflow-wrap: anywhere; color: var(--dim) }
"""


def page(report: Report, title: str, folder: Path) -> str:
    """The page as text, to be written into ``folder``: its players link to the sounds from there."""
    case, of = report.case, f"{len(report.case.generated)} clips against {report.reference_clips}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="dim">{of}; toccata {__version__}, seed {case.seed}</p>',
        _scores(report.scores),
        *notes("To beware of", report.notes),
        '<h2>Pictures</h2><div class="plots">', *_pictures(case), "</div>",
        _clips(case, folder),
        *notes("Left out", report.left_out),
        "<h2>Recipe</h2><pre>", html.escape(json.dumps(case.embedding.recipe, indent=1)), "</pre>",
    ]  # fmt: skip
    return document(title, parts)


def document(title: str, parts: list[str]) -> str:
    """A whole page with this title, whose body is these parts of HTML."""
    opening = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return f"{opening}<title>{html.escape(title)}</title><style>{_STYLE}</style><body>{''.join(parts)}</body></html>\n"


def _scores(scores: tuple[Score, ...]) -> str:
    rows = []
    for score in scores:
        span = (
            "" if score.low is None or score.high is None else f"<br><small>{score.low:.3g} to {score.high:.3g}</small>"
        )
        others = "<br>".join(f"{html.escape(name)} {value:.3g}" for name, value in score.controls.items())
        rows.append(
            f"<tr><td>{html.escape(score.metric)}<br><small>{html.escape(score.how)}</small></td>"
            f'<td class="n"><b>{score.value:.4g}</b> {score.unit}{span}</td><td class="n">{score.better}</td>'
            f'<td class="n">{score.n}</td><td>{interval(score.value, score.low, score.high, score.controls)}</td>'
            f"<td><small>{others}</small></td></tr>"
        )
    top = head("score", "value, 95 %", "better", "n", "beside its controls", "controls")
    return f"<h2>Scores</h2><table>{top}{''.join(rows)}</table>"


def head(*names: str) -> str:
    """The first row of a table."""
    return f"<tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>"


def notes(title: str, lines: tuple[str, ...]) -> Iterator[str]:
    """A list under a heading; nothing where there are no lines."""
    if lines:
        yield f"<h2>{title}</h2><ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>"


def _pictures(case: Case) -> Iterator[str]:
    """What has been measured anyway; nothing is computed for its picture alone but cheap means."""
    if "limit" in case.__dict__:
        points = [(1 / clips, value) for clips, value in case.limit.points]
        drawn = line_plot(points, (case.limit.slope, case.limit.value), "1 / clips", "Fréchet distance")
        yield figure(drawn, "Fréchet distance of fewer clips, and where endlessly many would lie (FAD-infinity)")
    if "per_clip" in case.__dict__ and np.isfinite(case.per_clip).any():
        heard = case.per_clip[np.isfinite(case.per_clip)]
        yield figure(histogram(heard.tolist(), "Fréchet distance"), "Each clip's own distance from the reference")
    if case.text_fits.size:
        yield figure(histogram(case.text_fits.tolist(), "cosine"), "How well each clip fits its prompt")
    if case.reference and case.embedding.recipe["embedding"] == "musicnn":
        yield figure(_tags(case), "What musicnn hears: mean probability of the tags that differ most")


def figure(svg: str, caption: str) -> str:
    """A picture with what it shows."""
    return f"<figure>{svg}<figcaption><small>{html.escape(caption)}</small></figcaption></figure>"


def _tags(case: Case) -> str:
    from toccata.evaluation.musicnn import TAGS

    assert case.reference is not None
    judge = MusicnnJudge()
    theirs_V, ours_V = (
        (1 / (1 + np.exp(-stacked(hearing, judge, "logits_V")))).mean(0) for hearing in (case.reference, case.generated)
    )
    chosen = np.argsort(-np.abs(theirs_V - ours_V))[:10]
    names = [TAGS[tag] for tag in chosen]
    return paired_bars(names, theirs_V[chosen].tolist(), ours_V[chosen].tolist(), ("reference", "generated"))


def _clips(case: Case, folder: Path) -> str:
    """The clips to listen to: those with a fault, then the farthest from the reference or from their prompts."""
    faults = _faults(case)
    bad = np.zeros(len(case.generated))
    if "per_clip" in case.__dict__:
        bad = np.nan_to_num(case.per_clip)
    elif case.text_fits.size:
        bad = -case.text_fits
    order = sorted(range(len(bad)), key=lambda clip: (not faults[clip], -bad[clip]))[:_SHOWN]
    partner = dict(pairs(case.generated.items, case.reference.items)) if case.reference else {}
    rows = []
    for clip in order:
        item = case.generated.items[clip]
        near = f"{case.per_clip[clip]:.4g}" if "per_clip" in case.__dict__ else ""
        fit = f"{case.text_fits[clip]:.3f}" if case.text_fits.size else ""
        other = case.reference.items[partner[clip]].path if case.reference and clip in partner else None
        rows.append(
            f"<tr><td>{html.escape(item.name)}<br><small>{html.escape(item.prompt)}</small></td>"
            f'<td class="n">{near}</td><td class="n">{fit}</td><td class="warn">{", ".join(faults[clip])}</td>'
            f"<td>{player(item.path, folder)}</td><td>{player(other, folder)}</td></tr>"
        )
    top = head("clip", "Fréchet", "text", "fault", "listen", "its reference")
    told = f'<p class="dim">{len(rows)} of {len(case.generated)}: those with faults, then the farthest.</p>'
    return f"<h2>Clips to listen to first</h2>{told}<table>{top}{''.join(rows)}</table>"


def _faults(case: Case) -> list[list[str]]:
    judge = SoundJudge()
    found = {name: stacked(case.generated, judge, name) > 0 for name in ("silent", "noise", "stuck", "clipped")}
    near, where = nearest_others(stacked(case.generated, judge, "fingerprint"))
    faults = [[name for name, there in found.items() if there[clip]] for clip in range(len(case.generated))]
    for clip in np.flatnonzero(near > NEAR_COPY):
        faults[clip].append(f"copy of {html.escape(case.generated.items[where[clip]].name)}")
    return faults


def player(path: Path | None, folder: Path, span: tuple[float, float] | None = None) -> str:
    """A player of the file, which is linked to from a page in ``folder``; of the ``span`` in seconds alone, if any."""
    if path is None:
        return ""
    link = quote(Path(os.path.relpath(path, folder)).as_posix())
    part = f"#t={span[0]:g},{span[1]:g}" if span else ""
    return f'<audio controls preload="none" src="{link}{part}"></audio>'
