"""Sampling from distributions over codes: guidance, temperature, top-k, top-p, and the loop over a pattern.

Everything takes callables and tensors, never a model. Shapes: B clips, K codebooks, S pattern steps,
T frames, V vocabulary.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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

    def hotter(self, by: float) -> "TokenSampling":
        """With every temperature ``by`` times as high."""
        known = self.temperature
        return replace(self, temperature=known * by if isinstance(known, float | int) else tuple(t * by for t in known))

    def at_level(self, level: int) -> "TokenSampling":
        """For the codes of one codebook alone."""
        known = self.temperature
        return self if isinstance(known, float | int) else replace(self, temperature=known[level])

    def guidance_at(self, share: float) -> float:
        """Guidance where ``share`` of the clip, 0 to 1, is made."""
        if isinstance(self.guidance, float | int):
            return self.guidance
        first, last = self.guidance
        return first + (last - first) * share


def guided(logits_2KV: Tensor, guidance: float | Tensor) -> Tensor:
    """Classifier-free guidance: row 0 is with the condition, row 1 without (or with the negative one)."""
    with_text, without = logits_2KV.float()
    return without + guidance * (with_text - without)


def sample(logits_KV: Tensor, options: TokenSampling, generator: torch.Generator) -> Tensor:
    """One code for each codebook: (K,) int64."""
    return sample_each(logits_KV[None], options, [generator])[0]


def sample_each(logits_BKV: Tensor, options: TokenSampling, generators: Sequence[torch.Generator]) -> Tensor:
    """``sample`` for several clips, each with its own generator: (B, K) int64.

    It is drawn where the generators are: all on one device. A clip's numbers don't depend on its neighbours.
    """
    probabilities = kept(logits_BKV, options).to(generators[0].device)
    # By the race that torch.multinomial runs, without its checks: the first of exponential times wins.
    times = torch.empty_like(probabilities)
    for times_KV, generator in zip(times, generators, strict=True):
        times_KV.exponential_(generator=generator)
    return (probabilities / times).argmax(-1).to(logits_BKV.device)


def kept(logits_BKV: Tensor, options: TokenSampling) -> Tensor:
    """The probabilities to draw from: 0 for what top-k and top-p leave out; not all of them sum to 1."""
    temperature = options.temperature
    if not isinstance(temperature, float | int):
        temperature = torch.tensor(temperature, device=logits_BKV.device)[:, None]
    logits = logits_BKV.float() / temperature
    if 0 < options.top_k < logits.shape[-1]:
        least = logits.kthvalue(logits.shape[-1] - options.top_k + 1, dim=-1, keepdim=True).values
        logits = logits.masked_fill(logits < least, -torch.inf)
    probabilities = logits.softmax(-1)
    if options.top_p < 1:
        ordered, places = probabilities.sort(dim=-1, descending=True)
        # A code stays while the ones before it sum to less than top_p; so the likeliest always stays.
        ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered >= options.top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, places, ordered)
    return probabilities


class Walk:
    """One piece on its way through a pattern (see ``nn.codebooks``): ``prefix_KT`` (T may be 0) is there already.

    ``unread_KS`` are the input steps that the model has not read: all known ones first, then one at a time.
    """

    def __init__(self, prefix_KT: Tensor, places_KS: Tensor, filler: int) -> None:
        (codebooks, self.known), frames = prefix_KT.shape, int(places_KS.max()) + 1
        codes_KT = torch.cat([prefix_KT, prefix_KT.new_zeros(codebooks, frames - self.known)], dim=1)
        laid_KS = torch.where(places_KS >= 0, codes_KT.gather(1, places_KS.clamp(min=0)), filler)
        unknown_S = (places_KS >= self.known).any(0)
        self.step = int(unknown_S.int().argmax()) if unknown_S.any() else len(unknown_S)
        self.unread_KS = torch.cat([prefix_KT.new_full((codebooks, 1), filler), laid_KS[:, : self.step]], dim=1)
        # From here on in lists: tensors of a few numbers cost more time than a small model's step leaves.
        self.codes, self.places, self.filler = codes_KT.tolist(), places_KS.T.tolist(), filler
        self.complete = completed(places_KS)

    @property
    def done(self) -> bool:
        return self.step == len(self.places)

    @property
    def asks(self) -> bool:
        """Whether this step has codes to choose."""
        return any(t >= self.known for t in self.places[self.step])

    def take(self, chosen_K: Sequence[int]) -> list[Tensor]:
        """Go on with the codes chosen for this step (any where it asks for none) -> the frames (K,) now complete."""
        places_K = self.places[self.step]
        for k, t in enumerate(places_K):
            if t >= self.known:
                self.codes[k][t] = chosen_K[k]
        column = [self.codes[k][t] if t >= 0 else self.filler for k, t in enumerate(places_K)]
        self.unread_KS = torch.tensor(column)[:, None]
        whole = [t for t in self.complete[self.step] if t >= self.known]
        self.step += 1
        return [torch.tensor([row[t] for row in self.codes]) for t in whole]


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

    def choose_one(logits_1: Tensor, asking: list[int]) -> Tensor:
        return choose(logits_1[0])[None]

    walk = Walk(prefix_KT, places_KS, filler)
    for _, frame_K in decode_together(lambda unread: predict(unread[0])[None], choose_one, [walk]):
        yield frame_K


def decode_together(
    predict: Callable[[list[Tensor]], Tensor],
    choose: Callable[[Tensor, list[int]], Tensor],
    walks: Sequence[Walk],
) -> Iterator[tuple[int, Tensor]]:
    """``decode_pattern`` for several pieces, step by step together; yields (piece, frame (K,)).

    ``predict(unread) -> logits`` takes the steps_KS that each piece has not seen yet, S = 0 for one that is done, and
    gives a row for each; ``choose(logits, asking) -> (len(asking), K)`` picks codes for the rows ``asking``.
    """
    while not all(walk.done for walk in walks):
        logits = predict([walk.unread_KS[:, :0] if walk.done else walk.unread_KS for walk in walks])
        going = [piece for piece, walk in enumerate(walks) if not walk.done]
        asking = [piece for piece in going if walks[piece].asks]
        chosen = dict(zip(asking, choose(logits, asking).tolist(), strict=True)) if asking else {}
        for piece in going:
            for frame_K in walks[piece].take(chosen.get(piece, ())):
                yield piece, frame_K


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
