"""Sampling by diffusion: paths from sound to noise, times on them, guidance, and solvers that go back.

A path mixes x_t = signal(t) x_0 + noise(t) epsilon, from sound at time 0 to noise at time 1. A network predicts a
velocity on it; ``denoiser`` makes of that ``denoise(x, t)``, the sound it expects at the end, which is all that a
solver calls. Times fall to 0. Nothing here knows a model or a shape: x is any tensor, and chance comes from ``draw``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

Denoise = Callable[[Tensor, float], Tensor]
Draw = Callable[[Tensor], Tensor]
"""Standard normal noise like a tensor."""


@dataclass(frozen=True)
class Path:
    """``at(t)`` gives (signal, noise); ``turn(t)`` what the velocity that is predicted has of (x_0, epsilon).

    ``speed`` times that velocity is dx/dt.
    """

    at: Callable[[float], tuple[float, float]]
    turn: Callable[[float], tuple[float, float]]
    speed: float

    def mix(self, sound: Tensor, noise: Tensor, t: float) -> Tensor:
        """x_t of a sound and its noise."""
        signal, strength = self.at(t)
        return signal * sound + strength * noise

    def clean(self, x: Tensor, v: Tensor, t: float) -> Tensor:
        """The sound that the velocity ``v`` at ``x`` points at."""
        (signal, noise), (of_sound, of_noise) = self.at(t), self.turn(t)
        return (of_noise * x - noise * v) / (signal * of_noise - noise * of_sound)

    def velocity(self, x: Tensor, sound: Tensor, t: float) -> Tensor:
        """The velocity at ``x`` that points at ``sound``: ``clean`` undone. Undefined where there is no noise."""
        (signal, noise), (of_sound, of_noise) = self.at(t), self.turn(t)
        return of_sound * sound + of_noise * (x - signal * sound) / noise

    def log_snr(self, t: float) -> float:
        """log(signal / noise), from -inf where there is only noise to inf where there is only sound."""
        signal, noise = self.at(t)
        return math.log(signal / noise) if signal > 0 < noise else math.copysign(math.inf, signal - noise)


_QUARTER = math.pi / 2
COSINE = Path(  # v-prediction, arXiv 2202.00512, appendix D: v = signal epsilon - noise x_0
    at=lambda t: (math.cos(_QUARTER * t), math.sin(_QUARTER * t)),
    turn=lambda t: (-math.sin(_QUARTER * t), math.cos(_QUARTER * t)),
    speed=_QUARTER,
)
STRAIGHT = Path(at=lambda t: (1 - t, t), turn=lambda t: (-1.0, 1.0), speed=1.0)  # rectified flow, arXiv 2209.03003
PATHS = {"v": COSINE, "rectified-flow": STRAIGHT}


def times_of_training(dwell: tuple[float, float] | None, rows: int, generator: torch.Generator) -> Tensor:
    """t_B in [0, 1], uniform, or logit-normal with the mean and the standard deviation ``dwell`` (2403.03206, 3.1)."""
    if dwell is None:
        return torch.rand(rows, generator=generator)
    mean, deviation = dwell
    return (mean + deviation * torch.randn(rows, generator=generator)).sigmoid()


def target(path: Path, sound: Tensor, noise: Tensor, t_B: Tensor) -> tuple[Tensor, Tensor]:
    """What training shows and asks for: (x_t, velocity), each row of a batch at a time of its own."""
    weights_B4 = torch.tensor([[*path.at(t), *path.turn(t)] for t in t_B.tolist()]).to(sound)
    signal, strength, of_sound, of_noise = weights_B4.T.reshape(4, -1, *[1] * (sound.dim() - 1))
    return signal * sound + strength * noise, of_sound * sound + of_noise * noise


def denoiser(predict: Denoise, path: Path) -> Denoise:
    """``denoise(x, t)`` of a network that predicts velocities."""
    return lambda x, t: path.clean(x, predict(x, t), t)


def keeping(denoise: Denoise, sound: Tensor, keep: Tensor) -> Denoise:
    """``denoise`` where ``sound`` is known where ``keep`` is True: so every solver leads its noise to just that."""
    return lambda x, t: torch.where(keep, sound, denoise(x, t))


def guided(with_text: Tensor, without: Tensor, guidance: float, rescale: float = 0.0) -> Tensor:
    """Classifier-free guidance away from ``without`` (no condition, or a negative one).

    ``rescale``, 0 to 1, brings the result's standard deviation back to that of ``with_text`` (arXiv 2305.08891,
    section 3.4), which guidance raises.
    """
    led = without + guidance * (with_text - without)
    if not rescale:
        return led
    inside = tuple(range(1, led.dim()))
    ratio = with_text.std(inside, keepdim=True) / led.std(inside, keepdim=True)
    return led * (rescale * ratio + 1 - rescale)


# Schedules: how the times of ``steps`` steps lie. Sigma is noise / signal.


def even(steps: int) -> list[float]:
    """Times evenly apart."""
    return [1 - i / steps for i in range(steps + 1)]


def even_log_snr(steps: int, first: float = -6.0, last: float = 2.0) -> list[float]:
    """Times on ``STRAIGHT`` whose log signal-to-noise ratios lie evenly apart, as few-step models are run."""
    ratios = [first + (last - first) * i / steps for i in range(1, steps)]
    return [1.0, *(1 / (1 + math.exp(ratio)) for ratio in ratios), 0.0]


def exponential(steps: int, low: float, high: float) -> list[float]:
    """Times on ``COSINE`` whose sigmas fall from ``high`` to ``low`` evenly on a logarithmic scale, then 0."""
    return [*(_time(high * (low / high) ** (i / max(steps - 1, 1))) for i in range(steps)), 0.0]


def karras(steps: int, low: float, high: float, rho: float = 7.0) -> list[float]:
    """Times on ``COSINE`` for sigmas from ``high`` to ``low``, denser towards the end (arXiv 2206.00364, eq. 5)."""
    ends = high ** (1 / rho), low ** (1 / rho)
    return [*(_time((ends[0] + i / max(steps - 1, 1) * (ends[1] - ends[0])) ** rho) for i in range(steps)), 0.0]


def _time(sigma: float) -> float:
    return math.atan(sigma) / _QUARTER


def begun(times: Sequence[float], start: float) -> list[float]:
    """What is left of ``times`` where sampling begins at ``start``, from a sound that has its share of noise."""
    return [start, *(t for t in times if t < start)]


# Solvers: from x at the first of ``times`` to x at the last.


def euler(denoise: Denoise, x: Tensor, times: Sequence[float], path: Path) -> Tensor:
    """First order: straight ahead along the probability-flow equation dx/dt = speed v."""
    for t, after in pairwise(times):
        x = x + (after - t) * _slope(denoise, x, t, path)
    return x


def heun(denoise: Denoise, x: Tensor, times: Sequence[float], path: Path) -> Tensor:
    """Second order, two calls a step: the mean of the slopes at both ends (arXiv 2206.00364, algorithm 1)."""
    for t, after in pairwise(times):
        slope = _slope(denoise, x, t, path)
        if path.at(after)[1]:  # where no noise is left, nothing tells its direction
            slope = (slope + _slope(denoise, x + (after - t) * slope, after, path)) / 2
        x = x + (after - t) * slope
    return x


def _slope(denoise: Denoise, x: Tensor, t: float, path: Path) -> Tensor:
    return path.speed * path.velocity(x, denoise(x, t), t)


def ddim(
    denoise: Denoise, x: Tensor, times: Sequence[float], path: Path, draw: Draw | None = None, eta: float = 0.0
) -> Tensor:
    """First order (arXiv 2010.02502, eq. 12); a share ``eta`` of the noise that a step leaves is drawn anew."""
    for t, after in pairwise(times):
        sound, fresh = denoise(x, t), eta * _freed(path, t, after)
        (signal, noise), (next_signal, next_noise) = path.at(t), path.at(after)
        x = next_signal * sound + math.sqrt(max(next_noise**2 - fresh**2, 0.0)) * (x - signal * sound) / noise
        if draw is not None and fresh:
            x = x + fresh * draw(x)
    return x


def _freed(path: Path, t: float, after: float) -> float:
    """The standard deviation of the noise at ``after`` that is independent of that at ``t`` in the diffusion."""
    return path.at(after)[1] * math.sqrt(-math.expm1(-2 * (path.log_snr(after) - path.log_snr(t))))


def ping_pong(denoise: Denoise, x: Tensor, times: Sequence[float], path: Path, draw: Draw) -> Tensor:
    """All the way to the sound, then back with noise that is all new; for networks distilled to few steps."""
    for t, after in pairwise(times):
        sound = denoise(x, t)
        x = path.mix(sound, draw(x), after) if after else sound
    return x


def dpm_solver_2m(denoise: Denoise, x: Tensor, times: Sequence[float], path: Path, draw: Draw | None = None) -> Tensor:
    """DPM-Solver++ 2M (arXiv 2211.01095, algorithm 2): second order, one call a step; the call before tells the slope.

    With ``draw``, its stochastic variant (section 5), which forgets its errors on the way.
    """
    before, width_before = None, 0.0
    for t, after in pairwise(times):
        sound, width = denoise(x, t), path.log_snr(after) - path.log_snr(t)
        ahead = sound
        if before is not None and math.isfinite(width):
            ahead = sound + width / (2 * width_before) * (sound - before)
        signal, noise = path.at(after)
        decay = math.exp(-width)
        kept, share = (1.0, decay) if draw is None else (decay, decay**2)
        x = kept * noise / path.at(t)[1] * x + signal * (1 - share) * ahead
        if draw is not None and noise:
            x = x + noise * math.sqrt(1 - share) * draw(x)
        before, width_before = sound, width
    return x
