"""Sampling from distributions over codes: guidance, temperature, top-k, top-p, and the loop over a pattern.

Everything takes callables and tensors, never a model. Shapes: K codebooks, S pattern steps, T frames, V vocabulary.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenSampling:
    """``top_k`` 0 and ``top_p`` 1 keep every code; ``guidance`` 1 is none. As published: top-k 250, guidance 3.

    ``guidance`` may be a pair: it then goes evenly from the first to the second over the clip. ``temperature`` may be
    one for each codebook.
    """

    temperature: float | tuple[float, ...] = 1.0
    top_k: int = 250
    top_p: float = 1.0
    guidance: float | tuple[float, float] = 3.0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "TokenSampling":
        """What a model's config.json says of its own choices, where pairs are lists."""
        chosen: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}
        return cls(**chosen)

    def guidance_at(self, share: float) -> float:
        """Guidance where ``share`` of the clip, 0 to 1, is made."""
        if isinstance(self.guidance, float | int):
            return self.guidance
        first, last = self.guidance
        return first + (last - first) * share


def guided(logits_2KV: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance: row 0 is with the condition, row 1 without (or with the negative one)."""
    with_text, without = logits_2KV.float()
    return without + guidance * (with_text - without)


def sample(logits_KV: Tensor, options: TokenSampling, generator: torch.Generator) -> Tensor:
    """One code for each codebook: (K,) int64."""
    temperature = options.temperature
    if not isinstance(temperature, float | int):
        temperature = torch.tensor(temperature, device=logits_KV.device)[:, None]
    logits = logits_KV.float() / temperature
    if 0 < options.top_k < logits.shape[-1]:
        least = logits.kthvalue(logits.shape[-1] - options.top_k + 1, dim=-1, keepdim=True).values
        logits = logits.masked_fill(logits < least, -torch.inf)
    probabilities = logits.softmax(-1)
    if options.top_p < 1:
        ordered, places = probabilities.sort(dim=-1, descending=True)
        # A code stays while the ones before it sum to less than top_p; so the likeliest always stays.
        ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered >= options.top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, places, ordered)
    # Drawn on the CPU with the sample's own generator, so that a clip doesn't depend on its neighbours.
    # By the race that torch.multinomial runs, without its checks: the first of exponential times wins.
    probabilities = probabilities.cpu()
    times = torch.empty_like(probabilities).exponential_(generator=generator)
    return (probabilities / times).argmax(-1).to(logits_KV.device)


def decode_pattern(
    predict: Callable[[Tensor], Tensor],
    choose: Callable[[Tensor], Tensor],
    prefix_KT: Tensor,
    places_KS: Tensor,
    filler: int,
) -> Iterator[Tensor]:
    """Continue ``prefix_KT`` (T may be 0) to all frames of a pattern (see ``nn.codebooks``); yields new frames (K,).

    ``predict(steps_KS) -> logits`` takes the input steps it has not seen yet (all known ones first, then one at a
    time) and gives the logits of the step after the last; ``choose(logits) -> (K,)`` picks its codes. A frame is
    yielded as soon as its last code is there.
    """
    (codebooks, known), frames = prefix_KT.shape, int(places_KS.max()) + 1
    codes_KT = torch.cat([prefix_KT, prefix_KT.new_zeros(codebooks, frames - known)], dim=1)
    laid_KS = torch.where(places_KS >= 0, codes_KT.gather(1, places_KS.clamp(min=0)), filler)
    unknown_S = (places_KS >= known).any(0)
    first = int(unknown_S.int().argmax()) if unknown_S.any() else len(unknown_S)
    steps_KS = torch.cat([prefix_KT.new_full((codebooks, 1), filler), laid_KS[:, :first]], dim=1)
    # From here on in lists: tensors of a few numbers cost more time than a small model's step leaves.
    codes, places, complete = codes_KT.tolist(), places_KS.T.tolist(), completed(places_KS)
    for s in range(first, len(places)):
        logits = predict(steps_KS)
        new = [(k, t) for k, t in enumerate(places[s]) if t >= known]
        if new:
            chosen = choose(logits).tolist()
            for k, t in new:
                codes[k][t] = chosen[k]
        steps_KS = torch.tensor([[codes[k][t] if t >= 0 else filler] for k, t in enumerate(places[s])])
        for t in complete[s]:
            if t >= known:
                yield torch.tensor([row[t] for row in codes])


def completed(places_KS: Tensor) -> list[list[int]]:
    """For each step, the frames whose last code it brings."""
    frames: list[list[int]] = [[] for _ in range(places_KS.shape[1])]
    for t, s in enumerate(last_step(places_KS).tolist()):
        frames[s].append(t)
    return frames


def last_step(places_KS: Tensor) -> Tensor:
    """The step at which each frame's last code is there: (T,)."""
    step_KS = torch.arange(places_KS.shape[1]).expand(places_KS.shape)
    there_KS = places_KS >= 0
    last_T = torch.zeros(int(places_KS.max()) + 1, dtype=torch.int64)
    return last_T.scatter_reduce(0, places_KS[there_KS], step_KS[there_KS], "amax")
