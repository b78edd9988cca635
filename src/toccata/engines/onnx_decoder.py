"""Decoding on a CPU through ONNX Runtime: the fastest way that was measured (benchmarks/musicgen_cpu.py).

Shapes: B rows, S steps, L condition length, D width, H heads, E = D / H, V logits.
"""

from collections.abc import Sequence

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from toccata.engines import pages
from toccata.engines.graph import build
from toccata.nn.attention import KVCache, rotary_table
from toccata.nn.transformer import Blocks

BITS = {"fp32": 32, "int8": 8, "int4": 4}
CACHE_ROOM = 2.0
_KINDS = {torch.float32: np.float32, torch.int32: np.int32, torch.int8: np.int8}


class OnnxDecoder:
    """A stack of causal blocks, a norm and heads, frozen into one graph; weights as ``precision`` says.

    ``precision`` is "fp32", "int8" or "int4". With ``example_BSD``, hidden states such as the blocks will meet, keys
    and values are kept as int8 too, each channel scaled by what it was in the example: at 1,500 steps they would
    outweigh the weights. The modules are read once; later changes to them don't matter.
    """

    def __init__(
        self,
        blocks: Blocks,
        norm: nn.LayerNorm,
        heads: nn.Linear,
        rotary: bool,
        precision: str,
        threads: int,
        example_BSD: Tensor | None = None,
    ) -> None:
        scales = None if example_BSD is None else cache_scales(blocks, example_BSD, rotary)
        graph = build(blocks, norm, heads, rotary, BITS[precision], scales)
        self.cache_dtype = torch.float32 if scales is None else torch.int8
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # The graph is as it should be: what fuses sums and norms would make it slower.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        self.step_bytes = sum(value.nbytes for value in graph.weights.values())
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in graph.weights.values()]
        options.add_external_initializers(list(graph.weights), values)
        self.session = onnxruntime.InferenceSession(graph.model(), options, providers=["CPUExecutionProvider"])
        self.rotary, self.layers, self.outputs = rotary, len(blocks), heads.out_features
        self.heads = next(iter(blocks)).attention.heads
        self.head_width = norm.normalized_shape[0] // self.heads

    def begin(
        self, rows: int, steps: int, condition: Sequence[tuple[Tensor, Tensor]] = (), mask_BL: Tensor | None = None
    ) -> "Decoding":
        """A new piece of up to ``steps`` steps, with each block's keys and values (B, H, L, E) of its condition."""
        return Decoding(self, rows, steps, condition, mask_BL)


class Decoding:
    """One piece as it is decoded: the cache, the condition, and how many steps there are."""

    def __init__(
        self,
        decoder: OnnxDecoder,
        rows: int,
        steps: int,
        condition: Sequence[tuple[Tensor, Tensor]],
        mask_BL: Tensor | None,
    ) -> None:
        self.session, self.length, self.steps = decoder.session, 0, steps
        self.binding = decoder.session.io_binding()
        self.bound: dict[str, Tensor] = {}
        self.last_B = self._bind("last", torch.zeros(rows, dtype=torch.int32))
        self.total = self._bind("total", torch.zeros((), dtype=torch.int32))
        if decoder.rotary:
            cos, sin = rotary_table(steps, decoder.head_width)
            self._bind("cos", cos)
            self._bind("sin", sin)
        for index in range(decoder.layers):
            for kind in ("keys", "values"):
                cache = torch.empty(rows, decoder.heads, steps, decoder.head_width, dtype=decoder.cache_dtype)
                self._bind(f"{kind}.{index}", pages.ask_for(cache))
                self._bind(f"{kind}.{index}.out", cache, output=True)
        for index, told in enumerate(condition):
            for kind, tensor in zip(("keys", "values"), told, strict=True):
                self._bind(f"told.{kind}.{index}", tensor.float().contiguous())
        if condition:
            assert mask_BL is not None
            self._bind("told.mask", mask_BL.to(torch.int32).contiguous())
        self.logits_BV = self._bind("logits", torch.empty(rows, 1, decoder.outputs), output=True)[:, 0]

    def __call__(self, hidden_BSD: Tensor) -> Tensor:
        """The next steps (many only at the start, then one at a time) -> logits_BV after the last of them.

        The logits are overwritten by the next call. Raises ``ValueError`` past the end of the piece.
        """
        self.length += hidden_BSD.shape[1]
        if self.length > self.steps:
            raise ValueError(f"this piece has room for {self.steps} steps, not for {self.length}")
        self.last_B.fill_(self.length - 1)
        self.total.fill_(self.length)
        self._bind("hidden", hidden_BSD.float().contiguous())
        self.session.run_with_iobinding(self.binding)
        return self.logits_BV

    def _bind(self, name: str, tensor: Tensor, output: bool = False) -> Tensor:
        """Let the graph read or write ``tensor`` where it lies."""
        bind = self.binding.bind_output if output else self.binding.bind_input
        bind(name, "cpu", 0, _KINDS[tensor.dtype], list(tensor.shape), tensor.data_ptr())
        self.bound[name] = tensor
        return tensor


@torch.no_grad()
def cache_scales(blocks: Blocks, example_BSD: Tensor, rotary: bool) -> list[tuple[Tensor, Tensor]]:
    """For each block's keys and values, the step from one int8 to the next by channel (H, E).

    They reach to twice the largest of the example. Keys that rotary positions turn may be as long as their pair is.
    """
    B, S, D = example_BSD.shape
    scales, hidden = [], example_BSD
    for block in blocks:
        heads, width = block.attention.heads, D // block.attention.heads
        cache = KVCache(B, heads, S, width, hidden)
        hidden = block(hidden, rotary_2SE=rotary_table(S, width) if rotary else None, cache=cache)
        keys_BHSE = cache.keys_BHSE
        if rotary:
            keys_BHSE = torch.hypot(*keys_BHSE.chunk(2, dim=-1)).repeat(1, 1, 1, 2)
        largest = (seen.abs().amax((0, 2)) for seen in (keys_BHSE, cache.values_BHSE))
        keys_HE, values_HE = (most_HE.float().clamp(min=1e-6) * CACHE_ROOM / 127 for most_HE in largest)
        scales.append((keys_HE, values_HE))
    return scales
