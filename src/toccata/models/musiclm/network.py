"""A stage of MusicLM: streams of tokens in one line, read and gone on with by a decoder-only transformer.

Shapes: B pieces, K levels, T frames, S steps of the line, V vocabulary, D width.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from toccata.models.musiclm.config import StageConfig, Stream
from toccata.nn.attention import RelativeBias, rotary_at
from toccata.nn.transformer import Block, Blocks

Codes = Mapping[str, Tensor]


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
        self.untold = {stream.name: rows + i for i, stream in enumerate(config.reads) if stream.name in config.told}
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
        nn.init.normal_(self.heads.weight, std=0.02)  # all codes about equally likely
        for block in self.blocks:
            # Every block starts as the identity, so that depth does not disturb the first steps.
            nn.init.zeros_(block.attention.out.weight)
            nn.init.zeros_(block.down.weight)

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

    def places(self, read: Codes, frames: int) -> Tensor:
        """Where each token of the line stands, with so many frames written: (S,), counted in tokens of what is written.

        Where positions are "moments", what has a rate stands beside what is written of the same time, and all else
        before the beginning; otherwise one token is after another.
        """
        config, writes = self.config, self.config.writes
        sizes = {stream: read[stream.name].shape[1:].numel() for stream in config.reads if stream.name in read}
        untold = sum(name not in read for name in self.untold)
        written_S = torch.arange(1 + frames * writes.levels)  # with the token that begins it
        if config.positions != "moments":
            return torch.arange(untold + sum(sizes.values()) + len(written_S))
        timeless = untold + sum(size for stream, size in sizes.items() if not stream.rate)
        before = iter(torch.arange(-timeless, 0).split([untold, *(n for s, n in sizes.items() if not s.rate)]))
        parts = [next(before)]
        for stream, size in sizes.items():
            tokens = writes.rate * writes.levels / (stream.rate * stream.levels) if stream.rate else 0.0
            parts.append(1 + torch.arange(size) * tokens if stream.rate else next(before))
        return torch.cat([*parts, written_S])

    def states(self, line_BS: Tensor, places_S: Tensor) -> Tensor:
        """Rows of the embedding, and their places -> hidden_BSD after the last norm."""
        hidden = self.embedding(line_BS)
        if torch.is_autocast_enabled(hidden.device.type):  # the sums between blocks too: half the memory to move
            hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
        S = line_BS.shape[1]
        head_width = self.config.width // self.config.heads
        rotary_2SE = None if self.distances else rotary_at(places_S, head_width).to(hidden.device)
        bias_HSL = self.distances(0, S) if self.distances else None
        for block in self.blocks:
            hidden = block(hidden, rotary_2SE=rotary_2SE, bias_HSL=bias_HSL)
        return self.norm(hidden)

    def forward(self, read: Codes, written_BKT: Tensor, told_B: Tensor | None = None) -> Tensor:
        """logits_BKTV of every code of ``written_BKT``, each from all that stands before it in the line."""
        stream = self.config.writes
        prompt_BS = self.prompt(read, told_B)
        line_BS = torch.cat([prompt_BS, self.line(written_BKT, stream)[:, :-1]], dim=1)
        places_S = self.places(read, written_BKT.shape[-1])[: line_BS.shape[1]]
        hidden_BTKD = self.states(line_BS, places_S)[:, prompt_BS.shape[1] - 1 :].unflatten(1, (-1, stream.levels))
        heads_KVD = self.heads.weight.view(stream.levels, stream.vocabulary, -1).to(hidden_BTKD.dtype)
        return torch.einsum("btkd,kvd->bktv", hidden_BTKD, heads_KVD)
