"""MusicGen's transformer: K code streams in, K distributions out, conditioned on text and a melody.

Shapes: B batch, K codebooks, S pattern steps, V vocabulary, L text tokens, D width, W text width,
T frames, C chroma bins.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.models.musicgen.config import MusicGenConfig
from toccata.nn.attention import KVCache, rotary_table
from toccata.nn.transformer import Block, Blocks


class Condition(NamedTuple):
    """What the decoder is told, computed once for a piece.

    ``layers`` are the text's keys and values of each layer and ``mask_BL`` says which tokens count; ``prefix_BLD`` goes
    before the codes; ``steps_BSD`` (one row where it is the same for all) is added to the codes step by step.
    """

    layers: list[tuple[Tensor, Tensor]]
    mask_BL: Tensor
    prefix_BLD: Tensor | None = None
    steps_BSD: Tensor | None = None

    @property
    def before(self) -> int:
        """How many steps the prefix takes up."""
        return 0 if self.prefix_BLD is None else self.prefix_BLD.shape[1]


def sinusoidal(steps: Tensor, width: int) -> Tensor:
    """Sinusoidal positions as audiocraft lays them out (cosines, then sines): (S, D)."""
    half = width // 2
    frequencies = 10000.0 ** (-torch.arange(half, device=steps.device) / (half - 1))
    angles = steps[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def mean_text(text_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """Mean of each row's tokens (B, D); 0 where there is none."""
    return text_BLD.sum(1) / mask_BL.sum(1, keepdim=True).clamp(min=1)


class MusicGenNetwork(nn.Module):
    def __init__(self, config: MusicGenConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embeddings = nn.ModuleList(nn.Embedding(config.vocabulary + 1, width) for _ in range(config.codebooks))
        self.text_in = nn.Linear(config.text_width, width)
        self.text_blocks = Blocks(
            Block(width, config.heads, 2 * width, cross=False, causal=False) for _ in range(config.text_layers)
        )
        self.text_norm = nn.LayerNorm(width) if config.text_sum else None
        self.text_sum = nn.Linear(width, width, bias=False) if config.text_sum else None
        crosses = config.conditioning == "cross"
        self.chroma_in = None
        if config.chroma_bins:  # step by step, another input says that there is a melody, even where it rests
            inputs = config.chroma_bins + crosses
            self.chroma_in = nn.Linear(inputs, width, bias=not crosses)
        self.blocks = Blocks(
            Block(width, config.heads, 4 * width, cross=crosses, dropout=config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, config.codebooks * config.vocabulary, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=self.config.codebooks**-0.5)
        nn.init.normal_(self.heads.weight, std=0.02)  # all codes about equally likely
        # Every block starts as the identity, so that depth does not disturb the first steps.
        for name, parameter in self.named_parameters():
            if name.endswith(("out.weight", "down.weight", "chroma_in.weight")):
                nn.init.zeros_(parameter)

    def rotary(self, start: int, steps: int, device: torch.device) -> Tensor | None:
        """The angles of ``steps`` steps from ``start``; None with sinusoidal positions."""
        if self.config.positions != "rotary":
            return None
        return rotary_table(steps, self.config.width // self.config.heads, start=start).to(device)

    def encode_text(self, text_BLW: Tensor, mask_BL: Tensor) -> Tensor:
        """Mixed text features (B, L, D), zero where there is no token, so that dropped text adds nothing."""
        hidden = self.text_in(text_BLW)
        safe_BL = mask_BL | ~mask_BL.any(1, keepdim=True)
        rotary = self.rotary(0, hidden.shape[1], hidden.device) if len(self.text_blocks) else None
        for block in self.text_blocks:
            hidden = block(hidden, rotary_2SE=rotary, mask_BS=safe_BL)
        if self.text_norm is not None:  # what is added to every step must not drown the codes
            hidden = self.text_norm(hidden)
        return hidden * mask_BL[..., None]

    def condition(self, text_BLW: Tensor, mask_BL: Tensor, chroma_BTC: Tensor | None = None) -> Condition:
        """Text features of an encoder, and a melody -> what the decoder reads. A row without any token is "no text".

        ``chroma_BTC`` is one-hot by frame (zero where the melody rests); a row of NaN is "no melody", as is None.
        """
        text_BLD = self.encode_text(text_BLW, mask_BL)
        safe_BL = mask_BL | ~mask_BL.any(1, keepdim=True)
        if self.config.conditioning == "prefix":
            prefix = (
                text_BLD
                if self.chroma_in is None
                else torch.cat([self._melody_prefix(chroma_BTC, text_BLD), text_BLD], 1)
            )
            return Condition([], safe_BL, prefix_BLD=prefix)
        layers = [block.condition(text_BLD) for block in self.blocks]
        added = None if self.text_sum is None else self.text_sum(mean_text(text_BLD, mask_BL))[:, None]
        if self.chroma_in is not None and chroma_BTC is not None:
            melody_BSD = self._melody_steps(chroma_BTC)
            added = melody_BSD if added is None else added + melody_BSD
        return Condition(layers, safe_BL, steps_BSD=added)

    def _melody_prefix(self, chroma_BTC: Tensor | None, text_BLD: Tensor) -> Tensor:
        """The melody over ``chroma_frames`` frames, repeated where it is shorter; "no melody" is all C."""
        assert self.chroma_in is not None
        if chroma_BTC is None:
            chroma_BTC = text_BLD.new_full((len(text_BLD), 1, self.config.chroma_bins), torch.nan)
        none_C = F.one_hot(torch.tensor(0), self.config.chroma_bins).to(chroma_BTC)
        chroma_BTC = torch.where(chroma_BTC.isnan(), none_C, chroma_BTC)
        frames = self.config.chroma_frames
        repeats = -(-frames // chroma_BTC.shape[1])
        return self.chroma_in(chroma_BTC.repeat(1, repeats, 1)[:, :frames])

    def _melody_steps(self, chroma_BTC: Tensor) -> Tensor:
        """The melody where the pattern places the first codebook's frames: (B, S, D), 0 elsewhere."""
        assert self.chroma_in is not None
        there = ~chroma_BTC.isnan().any(-1, keepdim=True)
        told = torch.cat([chroma_BTC.nan_to_num(), there.to(chroma_BTC)], dim=-1)
        melody_BTD = self.chroma_in(told)
        frame_S = self.config.places(chroma_BTC.shape[1])[0].to(melody_BTD.device)
        return melody_BTD[:, frame_S.clamp(min=0)] * (frame_S >= 0)[:, None]

    def embed(self, steps_BKS: Tensor) -> Tensor:
        hidden = self.embeddings[0](steps_BKS[:, 0])
        for k in range(1, self.config.codebooks):
            hidden = hidden + self.embeddings[k](steps_BKS[:, k])
        return hidden

    def forward(self, steps_BKS: Tensor, condition: Condition, caches: list[KVCache] | None = None) -> Tensor:
        """Input steps -> logits_BKSV of the step that follows each.

        With ``caches`` the steps go on from those cached: many at once only at the start, then one at a time.
        """
        return self.logits(self.states(steps_BKS, condition, caches))

    def states(self, steps_BKS: Tensor, condition: Condition, caches: list[KVCache] | None = None) -> Tensor:
        """``forward`` up to the heads: hidden_BSD."""
        start = caches[0].length if caches else 0
        hidden = self.inputs(steps_BKS, condition, start)
        if torch.is_autocast_enabled(hidden.device.type):  # the sums between blocks too: half the memory to move
            hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
        rotary = self.rotary(start, hidden.shape[1], hidden.device)
        for index, block in enumerate(self.blocks):
            cache = caches[index] if caches else None
            layer = condition.layers[index] if condition.layers else None
            hidden = block(hidden, layer, condition.mask_BL, rotary, cache)
        return self.norm(hidden[:, -steps_BKS.shape[2] :])

    def inputs(self, steps_BKS: Tensor, condition: Condition, start: int = 0) -> Tensor:
        """What the blocks read after ``start`` steps (a prefix counts): hidden_BSD, at the start with the prefix."""
        hidden = self.embed(steps_BKS)
        if condition.steps_BSD is not None:
            first = max(start - condition.before, 0)
            whole = condition.steps_BSD.shape[1] == 1
            hidden = hidden + (
                condition.steps_BSD if whole else condition.steps_BSD[:, first : first + hidden.shape[1]]
            )
        if condition.prefix_BLD is not None and start == 0:
            hidden = torch.cat([condition.prefix_BLD.to(hidden.dtype), hidden], dim=1)
        positions_SD = self.positions(start, hidden.shape[1], hidden)
        if positions_SD is not None:
            hidden = hidden + positions_SD
        return hidden

    def positions(self, start: int, steps: int, like: Tensor) -> Tensor | None:
        """What is added to the inputs of ``steps`` steps from ``start``: (S, D); None with rotary positions."""
        if self.config.positions != "sinusoidal":
            return None
        place_S = torch.arange(start, start + steps, device=like.device)
        return sinusoidal(place_S, self.config.width).to(like.dtype)

    def logits(self, hidden_BSD: Tensor) -> Tensor:
        """``forward`` from the hidden states on: logits_BKSV."""
        B, S, _ = hidden_BSD.shape
        return self.heads(hidden_BSD).view(B, S, self.config.codebooks, self.config.vocabulary).transpose(1, 2)

    def caches(self, batch: int, steps: int) -> list[KVCache]:
        """Empty caches for ``steps`` steps."""
        like = self.heads.weight
        head_width = self.config.width // self.config.heads
        return [KVCache(batch, self.config.heads, steps, head_width, like) for _ in self.blocks]
