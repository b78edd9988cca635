"""Draws a window of latents: noise, a solver and the network, with guidance, kept frames and a sound to begin from.

Shapes: B batch (1, or 2 with guidance), T frames, D latent width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from toccata.models.stable_audio.config import DiffusionSampling
from toccata.models.stable_audio.looping import around
from toccata.models.stable_audio.network import Condition, StableAudioNetwork
from toccata.sampling.diffusion import (
    PATHS,
    Denoise,
    begun,
    ddim,
    denoiser,
    dpm_solver_2m,
    euler,
    even,
    even_log_snr,
    exponential,
    guided,
    heun,
    karras,
    keeping,
    ping_pong,
)

SOLVERS = {
    "euler": lambda denoise, x, times, path, draw: euler(denoise, x, times, path),
    "heun": lambda denoise, x, times, path, draw: heun(denoise, x, times, path),
    "ddim": lambda denoise, x, times, path, draw: ddim(denoise, x, times, path),
    "dpm-2m": lambda denoise, x, times, path, draw: dpm_solver_2m(denoise, x, times, path),
    "dpm-2m-sde": dpm_solver_2m,
    "ping-pong": ping_pong,
}
SCHEDULES: dict[str, Callable[[DiffusionSampling], list[float]]] = {
    "even": lambda chosen: even(chosen.steps),
    "even-log-snr": lambda chosen: even_log_snr(chosen.steps),
    "exponential": lambda chosen: exponential(chosen.steps, chosen.low, chosen.high),
    "karras": lambda chosen: karras(chosen.steps, chosen.low, chosen.high),
}


@dataclass(frozen=True)
class Start:
    """What a window begins from: ``sound_TD`` (zeros: nothing), of which ``keep_T`` stays as it is.

    ``strength``, above 0 and up to 1, is how far the rest is turned to noise first. A ``circle`` has no ends, and any
    length.
    """

    sound_TD: Tensor
    keep_T: Tensor
    strength: float = 1.0
    circle: bool = False


@torch.no_grad()
def draw_latents(
    network: StableAudioNetwork,
    condition: Condition,
    start: Start,
    sampling: DiffusionSampling,
    generator: torch.Generator,
    tell: Callable[[float], None] = lambda share: None,
) -> Tensor:
    """latent_TD, float32 on the CPU, of ``condition``, whose second row is what guidance leads away from.

    ``tell`` is called with the share that is done. All chance comes from ``generator``, on the CPU.
    """
    path, full = PATHS[network.config.objective], SCHEDULES[sampling.schedule](sampling)
    times = begun(full, full[0] * start.strength)
    device = network.device

    def noise(like_BTD: Tensor) -> Tensor:
        return torch.randn(like_BTD.shape, generator=generator).to(device)

    sound_BTD, keep_BT1 = start.sound_TD[None].to(device), start.keep_T[None, :, None].to(device)
    predict = _predict(network, condition, sampling)
    denoise = denoiser(around(predict, network.config.window, generator) if start.circle else predict, path)
    x_BTD = path.mix(sound_BTD, noise(sound_BTD), times[0])
    told = _telling(keeping(denoise, sound_BTD, keep_BT1), times, tell)
    return SOLVERS[sampling.solver](told, x_BTD, times, path, noise)[0].cpu()


def _predict(network: StableAudioNetwork, condition: Condition, sampling: DiffusionSampling) -> Denoise:
    rows = condition.rows

    def predict(x_BTD: Tensor, t: float) -> Tensor:
        both_BTD = x_BTD.expand(rows, -1, -1).to(network.dtype)
        v_BTD = network(both_BTD, torch.full((rows,), t, device=x_BTD.device), condition).float()
        return v_BTD if rows == 1 else guided(v_BTD[:1], v_BTD[1:], sampling.guidance, sampling.rescale)

    return predict


def _telling(denoise: Denoise, times: list[float], tell: Callable[[float], None]) -> Denoise:
    """How far ``denoise`` has come is told after each call, by the place of its time among ``times``."""

    def told(x: Tensor, t: float) -> Tensor:
        made = denoise(x, t)
        tell((times.index(t) + 1) / (len(times) - 1))
        return made

    return told
