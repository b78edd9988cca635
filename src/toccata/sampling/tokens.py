"""Sampling from distributions over codes: guidance, temperature, top-k, top-p, and the loop over a delayed pattern.

Everything takes callables and tensors, never a model. Shapes: K codebooks, S pattern steps, T frames, V vocabulary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenSampling:
    """``top_k`` 0 and ``top_p`` 1 keep every code; ``guidance`` 1 is none. As published: top-k 250, guidance 3."""

    temperature: float = 1.0
    top_k: int = 250
    top_p: float = 1.0
    guidance: float = 3.0


def guided(logits_2KV: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance: row 0 is with the condition, row 1 without (or with the negative one)."""
    with_text, without = logits_2KV.float()
    return without + guidance * (with_text - without)


def sample(logits_KV: Tensor, options: TokenSampling, generator: torch.Generator) -> Tensor:
    """One code for each codebook: (K,) int64."""
    logits = logits_KV.float() / options.temperature
    if 0 < options.top_k < logits.shape[-1]:
        least = logits.topk(options.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    probabilities = logits.softmax(-1)
    if options.top_p < 1:
        ordered, places = probabilities.sort(dim=-1, descending=True)
        # A code stays while the ones before it sum to less than top_p; so the likeliest always stays.
        ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered >= options.top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, places, ordered)
    # Drawn on the CPU with the sample's own generator, so that a clip doesn't depend on its neighbours.
    return torch.multinomial(probabilities.cpu(), 1, generator=generator)[:, 0].to(logits_KV.device)


def decode_delayed(
    predict: Callable[[Tensor], Tensor],
    choose: Callable[[Tensor], Tensor],
    prefix_KT: Tensor,
    frames: int,
    filler: int,
) -> Iterator[Tensor]:
    """Continue ``prefix_KT`` (T may be 0) to ``frames`` frames under the delay pattern; yields each new frame (K,).

    ``predict(steps_KS) -> logits`` takes the input steps it has not seen yet (all known ones first, then one at a
    time) and gives the logits of the step after the last; ``choose(logits) -> (K,)`` picks its codes.
    """
    codebooks, known = prefix_KT.shape
    levels = torch.arange(codebooks, device=prefix_KT.device)
    codes_KT = torch.cat([prefix_KT, prefix_KT.new_zeros(codebooks, frames - known)], dim=1)
    first = prefix_KT.new_full((codebooks, 1), filler)
    behind_KS = torch.arange(known, device=prefix_KT.device) - levels[:, None]
    delayed_KS = torch.where(behind_KS >= 0, prefix_KT.gather(1, behind_KS.clamp(min=0)), filler)
    steps_KS = torch.cat([first, delayed_KS], dim=1)
    for s in range(known, frames + codebooks - 1):
        chosen_K = choose(predict(steps_KS))
        frame_K = s - levels
        given = (frame_K >= 0) & (frame_K < known)
        chosen_K = torch.where(given, codes_KT[levels, frame_K.clamp(0, frames - 1)], chosen_K)
        inside = (frame_K >= 0) & (frame_K < frames)
        codes_KT[levels[inside], frame_K[inside]] = chosen_K[inside]
        steps_KS = torch.where(inside, chosen_K, filler)[:, None]
        done = s - codebooks + 1
        if done >= known:
            yield codes_KT[:, done]
