"""A stage of MusicLM: streams of tokens, read and gone on with by a decoder-only transformer.

Shapes: B pieces, K levels, T frames, S steps of the line, V vocabulary, D width.
"""

from collections.abc import Mapping, Set

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.models.musiclm.config import StageConfig, Stream
from toccata.nn.attention import RelativeBias, rotary_table
from toccata.nn.codebooks import delay, interleave, steps_of
from toccata.nn.transformer import Block, Blocks

Codes = Mapping[str, Tensor]
NEW_HEARD = 0.5


def in_line(codes_BKT: Tensor) -> Tensor:
    """Frame by frame, and level by level within a frame: (B, T * K)."""
    return codes_BKT.transpose(1, 2).flatten(1)


class StageNetwork(nn.Module):
    """Tokens of every stream and level have their own embeddings; what is written, its own head for each level."""

    def __init__(self, config: StageConfig) -> None:
        super().__init__()
        self.config = config
        self.starts: dict[str, int] = {}
        rows = 0
        for stream in (*config.reads, config.writes):
            self.starts[stream.name] = rows
            rows += stream.rows
        self.begin, rows = rows, rows + 1
        # One more token for each stream that can be left untold.
        told = [stream.name for stream in config.reads if stream.name in config.told]
        self.untold = {name: rows + i for i, name in enumerate(told)}
        self.embedding = nn.Embedding(rows + len(self.untold), config.width)
        self.blocks = Blocks(
            Block(config.width, config.heads, config.inner, cross=False, dropout=config.dropout, gated=config.gated)
            for _ in range(config.layers)
        )
        self.distances = RelativeBias(config.heads) if config.positions == "relative" else None
        self.norm = nn.LayerNorm(config.width)
        self.heads = nn.Linear(config.width, config.writes.rows, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        nn.init.normal_(self.embedding.weight)
        if self.config.layout == "beside":  # sums of all levels are then as large as one token
            with torch.no_grad():
                for stream in (*self.config.reads, self.config.writes):
                    first = self.starts[stream.name]
                    self.embedding.weight[first : first + stream.rows] *= stream.levels**-0.5
        nn.init.normal_(self.heads.weight, std=0.02)  # all codes about equally likely
        for block in self.blocks:
            # Every block starts as the identity, so that depth does not disturb the first steps.
            nn.init.zeros_(block.attention.out.weight)
            nn.init.zeros_(block.down.weight)

    @torch.no_grad()
    def begin_with(self, vectors: Mapping[str, Tensor]) -> None:
        """Let each token begin as what it stands for: ``vectors`` holds the codebooks (K, V, E) of streams.

        Tokens that mean nearly the same are then nearly the same from the start. Where all levels of a stream are
        summed, the sum is of unit size; the levels of what is written stay equally large.
        """
        for stream in (*self.config.reads, self.config.writes):
            if stream.name not in vectors:
                continue
            codes_KVE = vectors[stream.name].to(self.embedding.weight)
            turn_ED = torch.randn(codes_KVE.shape[-1], self.config.width, device=codes_KVE.device)
            rows_KVD = (codes_KVE - codes_KVE.mean(1, keepdim=True)) @ turn_ED
            size_K11 = rows_KVD.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-9)
            if self.config.layout == "line":
                rows_KVD = rows_KVD / size_K11
            elif stream is self.config.writes:
                rows_KVD = rows_KVD / size_K11 * stream.levels**-0.5
            else:
                rows_KVD = rows_KVD / size_K11.square().sum().sqrt()
            first = self.starts[stream.name]
            self.embedding.weight[first : first + stream.rows] = rows_KVD.flatten(0, 1)

    @torch.no_grad()
    def begin_as(self, other: "StageNetwork", new: Set[str] = frozenset(), heard: float = NEW_HEARD) -> None:
        """Take the weights of another network of this configuration, but for the tokens of streams ``new`` to it.

        Those begin around the token that says that nothing is told of their stream, ``heard`` of their size away from
        it; in ``other`` there may be more or fewer of them, or none, where that token is silent.
        """
        known, own = other.embedding.weight, self.embedding.weight.clone()
        for name, row in self.untold.items():
            own[row] = known[other.untold[name]] if name in other.untold else 0.0
        for stream in (*self.config.reads, self.config.writes):
            rows = slice(self.starts[stream.name], self.starts[stream.name] + stream.rows)
            if stream.name in new:
                own[rows] = own[self.untold[stream.name]] + heard * own[rows]
            else:
                own[rows] = known[other.starts[stream.name] :][: stream.rows]
        own[self.begin] = known[other.begin]
        self.load_state_dict({**other.state_dict(), "embedding.weight": own})

    def line(self, codes_BKT: Tensor, stream: Stream) -> Tensor:
        """A stream's codes as rows of the embedding: (B, S)."""
        level_K = torch.arange(codes_BKT.shape[1], device=codes_BKT.device)
        return in_line(codes_BKT + (self.starts[stream.name] + level_K * stream.vocabulary)[:, None])

    def prompt(self, read: Codes, told_B: Tensor | None = None) -> Tensor:
        """All that is read, and the token that begins what is written: (B, S).

        A stream that can be left untold and isn't in ``read``, or of a row that isn't ``told_B``, is one token.
        """
        lines = []
        for stream in self.config.reads:
            codes_BKT = read.get(stream.name)
            if codes_BKT is None:
                continue
            line_BS = self.line(codes_BKT, stream)
            if told_B is not None and stream.name in self.untold:
                line_BS = torch.where(told_B[:, None], line_BS, self.untold[stream.name])
            lines.append(line_BS)
        rows = {len(line_BS) for line_BS in lines}
        B = rows.pop() if rows else 1
        device = self.embedding.weight.device
        untold = [torch.full((B, 1), row, device=device) for name, row in self.untold.items() if name not in read]
        begin_B1 = torch.full((B, 1), self.begin, device=device)
        return torch.cat([*untold, *lines, begin_B1], dim=1)

    @property
    def filler(self) -> int:
        """What stands in the delay pattern where no code is."""
        return self.config.writes.vocabulary

    def steps(self, steps_BKS: Tensor) -> Tensor:
        """The codes of each step of the delay pattern, summed: (B, S, D)."""
        stream = self.config.writes
        level_K1 = torch.arange(stream.levels, device=steps_BKS.device)[:, None]
        rows_BKS = steps_BKS + self.starts[stream.name] + level_K1 * stream.vocabulary
        return self.embedding(rows_BKS.where(steps_BKS != self.filler, self.begin)).sum(1)

    def beside(self, read: Codes, frames: int, told_B: Tensor | None = None) -> Tensor:
        """What is read, added to the steps that write so many frames: (B, S, D).

        What has no rate is added to every step. As in ``prompt``, what is not told is one token, here at every step.
        """
        writes, table = self.config.writes, self.embedding.weight
        steps = frames + writes.levels - 1
        added_BSD = table.new_zeros(1, steps, table.shape[1])
        for stream in self.config.reads:
            codes_BKT = read.get(stream.name)
            untold_D = table[self.untold[stream.name]] if stream.name in self.untold else None
            if codes_BKT is None:
                added_BSD = added_BSD if untold_D is None else added_BSD + untold_D
                continue
            level_K1 = torch.arange(stream.levels, device=codes_BKT.device)[:, None]
            sum_BTD = self.embedding(codes_BKT + self.starts[stream.name] + level_K1 * stream.vocabulary).sum(1)
            if stream.rate:
                frame_S = torch.arange(steps, device=table.device) * stream.rate / writes.rate
                sum_BTD = sum_BTD[:, frame_S.long().clamp(max=sum_BTD.shape[1] - 1)]
            if told_B is not None and untold_D is not None:
                sum_BTD = torch.where(told_B[:, None, None], sum_BTD, untold_D)
            added_BSD = added_BSD + sum_BTD
        return added_BSD

    def states(self, hidden: Tensor) -> Tensor:
        """Embedded steps (B, S, D) -> hidden_BSD after the last norm."""
        if torch.is_autocast_enabled(hidden.device.type):  # the sums between blocks too: half the memory to move
            hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
        S = hidden.shape[1]
        head_width = self.config.width // self.config.heads
        rotary_2SE = None if self.distances else rotary_table(S, head_width).to(hidden.device)
        bias_HSL = self.distances(0, S) if self.distances else None
        for block in self.blocks:
            hidden = block(hidden, rotary_2SE=rotary_2SE, bias_HSL=bias_HSL)
        return self.norm(hidden)

    def forward(self, read: Codes, written_BKT: Tensor, told_B: Tensor | None = None) -> Tensor:
        """logits_BKTV of every code of ``written_BKT``, each from all that comes before it."""
        stream = self.config.writes
        heads_KVD = self.heads.weight.view(stream.levels, stream.vocabulary, -1)
        if self.config.layout == "beside":
            places_KS = delay(stream.levels, written_BKT.shape[-1])
            steps_BKS = F.pad(interleave(written_BKT, places_KS, self.filler), (1, 0), value=self.filler)[..., :-1]
            hidden_BSD = self.states(self.steps(steps_BKS) + self.beside(read, written_BKT.shape[-1], told_B))
            at_KT = steps_of(places_KS).to(hidden_BSD.device)
            return torch.einsum("bktd,kvd->bktv", hidden_BSD[:, at_KT], heads_KVD.to(hidden_BSD.dtype))
        prompt_BS = self.prompt(read, told_B)
        line_BS = torch.cat([prompt_BS, self.line(written_BKT, stream)[:, :-1]], dim=1)
        hidden_BSD = self.states(self.embedding(line_BS))
        hidden_BTKD = hidden_BSD[:, prompt_BS.shape[1] - 1 :].unflatten(1, (-1, stream.levels))
        return torch.einsum("btkd,kvd->bktv", hidden_BTKD, heads_KVD.to(hidden_BTKD.dtype))
