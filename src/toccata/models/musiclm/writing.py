"""How a stage of MusicLM writes: token after token through a decoder with a cache.

Shapes: B pieces, K levels, T frames, S steps of the line, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toccata.engines.threads import threads, threads_for
from toccata.engines.torch_decoder import TorchDecoder
from toccata.models.musiclm.network import Codes, StageNetwork
from toccata.nn.codebooks import delay
from toccata.sampling.tokens import TokenSampling, Walk, decode_together, guided, sample, sample_each


@dataclass(frozen=True)
class Stage:
    """A network, the decoder that runs its blocks, and how it is sampled."""

    network: StageNetwork
    decoder: TorchDecoder
    sampling: TokenSampling

    @classmethod
    def of(cls, network: StageNetwork, sampling: TokenSampling | None = None) -> "Stage":
        """The network as it is, sampled as its configuration says."""
        config = network.eval().config
        rotary = config.positions == "rotary"
        decoder = TorchDecoder(network.blocks, network.norm, network.heads, rotary, network.distances)
        own = TokenSampling(temperature=config.temperature, top_k=0, guidance=config.guidance)
        return cls(network, decoder, sampling or own)

    @property
    def rate(self) -> float:
        """Frames a second of what it writes."""
        return self.network.config.writes.rate

    @property
    def threads(self) -> int:
        """That a step is worth."""
        return threads_for(self.network.config.width)

    @property
    def window(self) -> int:
        """Frames of what it writes in a window."""
        return self.network.config.writes.frames(self.network.config.seconds)

    @torch.no_grad()
    def write(
        self,
        read: Codes,
        before_BKT: Tensor,
        frames: int,
        generators: Sequence[torch.Generator],
        away: Codes | None = None,
    ) -> Iterator[Tensor]:
        """``frames`` new frames (B, K) that go on from ``before_BKT`` (T may be 0), each as soon as it is there.

        Row b is drawn with ``generators[b]``, so it doesn't depend on the rows beside it. Guidance leads away from the
        streams ``away``, or, without them, from being told nothing.
        """
        network, stream = self.network, self.network.config.writes
        device = network.embedding.weight.device
        read = {name: codes_BKT.to(device) for name, codes_BKT in read.items()}
        away = away and {name: codes_BKT.to(device) for name, codes_BKT in away.items()}
        if network.config.layout == "beside":
            yield from self._write_beside(read, before_BKT, frames, generators, away)
            return
        predict = self._predictor(read, before_BKT.to(device), frames, away)
        first_K = [network.starts[stream.name] + level * stream.vocabulary for level in range(stream.levels)]
        rows_B = None
        for _ in range(frames):
            codes: list[Tensor] = []
            for level in range(stream.levels):
                chosen = [
                    sample(logits_KV[level : level + 1], self.sampling.at_level(level), generator)
                    for logits_KV, generator in zip(predict(rows_B), generators, strict=True)
                ]
                codes.append(torch.cat(chosen))
                rows_B = codes[-1] + first_K[level]
            yield torch.stack(codes, dim=1).cpu()

    def _leads(self, away: Codes | None) -> bool:
        """Whether guidance has anything to lead away from."""
        config = self.network.config
        wanted = self.sampling.guidance_at(0.0) != 1.0
        return wanted and bool(self.network.untold) and bool(away or config.condition_dropout)

    def _write_beside(
        self,
        read: Codes,
        before_BKT: Tensor,
        frames: int,
        generators: Sequence[torch.Generator],
        away: Codes | None,
    ) -> Iterator[Tensor]:
        """``write`` in the layout "beside": all rows go through the delay pattern together."""
        network, stream = self.network, self.network.config.writes
        B, total = len(before_BKT), before_BKT.shape[-1] + frames
        if not frames:
            return
        added = [network.beside(read, total).expand(B, -1, -1)]
        if self._leads(away):
            nothing_B = torch.zeros(B, dtype=torch.bool, device=network.embedding.weight.device)
            other = network.beside({**read, **away}, total) if away else network.beside(read, total, nothing_B)
            added.append(other.expand(B, -1, -1))
        added_BSD = torch.cat(added)
        decoding = self.decoder.begin(len(added_BSD), added_BSD.shape[1])

        def predict(unread: list[Tensor]) -> Tensor:
            steps_BKS = torch.stack(unread).to(added_BSD.device).repeat(len(added), 1, 1)
            start = decoding.length
            hidden = network.steps(steps_BKS) + added_BSD[:, start : start + steps_BKS.shape[-1]]
            with threads(self.threads):
                return decoding(hidden).view(len(added), B, stream.levels, stream.vocabulary)

        def choose(logits: Tensor, asking: list[int]) -> Tensor:
            guided_BKV = guided(logits, self.sampling.guidance_at(0.0)) if len(added) > 1 else logits[0]
            return sample_each(guided_BKV, self.sampling, generators)

        places_KS = delay(stream.levels, total)
        walks = [Walk(before_KT, places_KS, network.filler) for before_KT in before_BKT.cpu()]
        made: list[Tensor] = []
        for _, frame_K in decode_together(predict, choose, walks):
            made.append(frame_K)
            if len(made) == B:  # all rows are as far
                yield torch.stack(made)
                made = []

    def _predictor(
        self, read: Codes, before_BKT: Tensor, frames: int, away: Codes | None
    ) -> Callable[[Tensor | None], Tensor]:
        """``predict(rows_B)`` of the token just written (None: nothing yet) -> logits_BKV of the next one."""
        network, stream = self.network, self.network.config.writes
        guidance, leads = self.sampling.guidance_at(0.0), self._leads(away)
        B = len(before_BKT)
        prompts = [network.prompt(read)]
        if leads:
            nothing_B = torch.zeros(B, dtype=torch.bool, device=before_BKT.device)
            prompts.append(network.prompt({**read, **away}) if away else network.prompt(read, nothing_B))
        before_BS = network.line(before_BKT, stream)
        prompt = torch.cat([torch.cat([one, before_BS], dim=1) for one in prompts])
        decoding = self.decoder.begin(len(prompt), prompt.shape[1] + frames * stream.levels)

        def predict(rows_B: Tensor | None) -> Tensor:
            line_BS = prompt if rows_B is None else rows_B.repeat(len(prompts))[:, None]
            with threads(self.threads):
                logits = decoding(network.embedding(line_BS)).view(len(prompts), B, stream.levels, stream.vocabulary)
            return guided(logits, guidance) if leads else logits[0]

        return predict


def written(
    stage: Stage,
    read: Codes,
    before_BKT: Tensor,
    frames: int,
    generators: Sequence[torch.Generator],
    away: Codes | None = None,
) -> Tensor:
    """All the frames that ``stage`` writes at once: codes_BKT without ``before_BKT``."""
    made = list(stage.write(read, before_BKT, frames, generators, away))
    if not made:
        return before_BKT[..., :0]
    return torch.stack(made, dim=-1)


def drawn_from(seed: int, *place: int) -> torch.Generator:
    """A generator of its own for each place (stage, window, ...) of the piece with that seed."""
    state = np.random.SeedSequence([seed, *place]).generate_state(2, np.uint64)
    return torch.Generator().manual_seed(int(state[0]) >> 1)
