"""Distillation to few steps: a student learns to leap to where its teacher walks (arXiv 2202.00512, section 3).

Progressive distillation halves the steps round by round, each round's student the next one's teacher. Here the teacher
walks all steps of a leap at once, so there is one round. What guidance the teacher has, the student takes over
(arXiv 2210.03142). Nothing here knows a model or a shape, as in ``sampling/diffusion.py``.
"""

from collections.abc import Sequence

from torch import Tensor

from toccata.sampling.diffusion import Denoise, Path, heun


def leap(teacher: Denoise, x: Tensor, t: float, after: float, path: Path, walk: int) -> Tensor:
    """The velocity at ``x`` with which one step of ``ddim`` from ``t`` ends where the teacher ends at ``after``.

    The teacher takes ``walk`` of Heun's steps to there.
    """
    there = heun(teacher, x, [t + (after - t) * i / walk for i in range(walk)] + [after], path)
    (signal, noise), (next_signal, next_noise) = path.at(t), path.at(after)
    left = next_noise / noise
    return path.velocity(x, (there - left * x) / (next_signal - left * signal), t)


def leap_from(times: Sequence[float], place: float, stray: bool) -> tuple[float, float]:
    """A leap to learn, (from, to), by a ``place`` in [0, 1): between two neighbours of ``times``, which fall to 0.

    A ``stray`` one begins anywhere and ends at the next of ``times``, as sampling does that begins from a sound.
    """
    if stray:
        t = times[0] * (1 - place)
        return t, max(after for after in times if after < t)
    index = int(place * (len(times) - 1))
    return times[index], times[index + 1]
