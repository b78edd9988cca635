"""``memorisation``: what does musiclm-mini's semantic stage know by heart of the pieces that it learnt from?

The paper's figure (arXiv 2301.11325, section 6): the stage has MuLan's tokens of a training piece and the first seconds
of its semantic ones, and takes the likeliest token at every step of the next five. The control are pieces of the
same band that it never heard, by the same threshold.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import toccata
from benchmarks.held_out import HELD_OUT, RATE, excerpts
from benchmarks.report import Figure, Options, note
from toccata.clip import Clip
from toccata.evaluation.memorisation import Audit, audit
from toccata.models.musiclm.continuation import centres, continued
from toccata.models.musiclm.pipeline import MusicLM

TRAINED, PIECES = 2, 1408  # the corpus that docs/models/musiclm-mini.md names, and how many of its pieces
WRITTEN = 5.0
HEARD = (1.0, 2.5, 5.0, 10.0)
FULL, QUICK = 40, 10


def run(options: Options) -> Iterator[Figure]:
    """Exact and near matches and equal tokens, by how many seconds were heard."""
    model = toccata.load(options.model or "musiclm-mini", device=options.device)
    if not isinstance(model, MusicLM):
        raise toccata.InputError(f"memorisation audits models of the family musiclm; {model.name} is none")
    count, longest = QUICK if options.quick else FULL, max(HEARD) + WRITTEN
    apart = PIECES // count
    sets = [
        [Clip(one.wave_N[None], RATE) for one in excerpts(seed, range(0, count * apart, apart), longest)]
        for seed in (TRAINED, HELD_OUT)
    ]
    chance, curve = np.random.default_rng(0), []
    for heard in HEARD:
        trained, other = ([continued(model, clip, heard, WRITTEN) for clip in clips] for clips in sets)
        learnt = audit(trained, centres(model).numpy(), chance)
        stranger = audit(other, centres(model).numpy(), chance, learnt.threshold)
        curve.append((learnt, stranger))
        after = f"after {heard:g} s"
        yield Figure(f"exact matches {after}", learnt.exact, "share", control=stranger.exact, n=count)
        yield Figure(f"near matches {after}", learnt.near, "share", control=stranger.near, n=count)
        yield Figure(f"the same token {after}", learnt.agreement, "share", control=stranger.agreement, n=count)
    if options.picture:
        draw(curve, options.picture)
        note(f"drew {options.picture}")


def draw(curve: Sequence[tuple[Audit, Audit]], path: Path) -> None:
    """Near matches of both sets, and exact ones, over the seconds heard."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(6, 3.4), layout="constrained")
    FigureCanvasAgg(picture)
    axes = picture.subplots()
    for name, lines, style in (("training pieces", 0, "o-"), ("pieces never heard", 1, "s--")):
        axes.plot(HEARD, [100 * both[lines].near for both in curve], style, label=f"near, {name}")
        axes.plot(HEARD, [100 * both[lines].exact for both in curve], style[0] + ":", label=f"exact, {name}")
    axes.set(xlabel="seconds heard", ylabel="matches, %", ylim=(-1, None))
    axes.legend(fontsize=8)
    picture.savefig(path, dpi=150)
