"""A decoder's step as an ONNX graph, built node by node: hidden states in, logits of the last step out.

The graph takes any number of rows and of steps; several steps at once only where the cache is empty. Weights stay out
of it (its file format ends at 2 GiB): they are handed to the session beside it.

Shapes: B rows, S steps, M steps the cache has room for, L condition length, D width, H heads, E = D / H, V logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from toccata.engines.quantise import group_size, pack, quantise
from toccata.nn.transformer import Block, Blocks

Scales = Sequence[tuple[Tensor, Tensor]]
CONTRIB = "com.microsoft"
EPSILON = 1e-5


@dataclass
class Graph:
    """Nodes, inputs and outputs so far, and the weights by name. ``bits`` 32 keeps weights as they are."""

    bits: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    def input(self, name: str, *shape: str | int, kind: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, *shape: str | int, kind: int = TensorProto.FLOAT) -> str:
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def weight(self, name: str, value: Tensor) -> str:
        self.weights[name] = value.detach().cpu().contiguous().numpy()
        return name

    def node(self, kind: str, name: str, inputs: list[str], outputs: list[str] | None = None, **details: Any) -> str:
        """Add a node that makes ``name`` (or ``outputs``, the first of which it returns)."""
        outputs = outputs or [name]
        self.nodes.append(helper.make_node(kind, inputs, outputs, name, **details))
        return outputs[0]

    def norm(self, x: str, module: nn.LayerNorm, name: str) -> str:
        weights = [
            self.weight(f"{name}.weight", module.weight.float()),
            self.weight(f"{name}.bias", module.bias.float()),
        ]
        return self.node("LayerNormalization", name, [x, *weights], epsilon=EPSILON, axis=-1)

    def linear(self, x: str, module: nn.Linear, name: str, least_bits: int = 4) -> str:
        rows, columns = module.weight.shape
        bits = max(self.bits, least_bits)
        if bits == 32:
            return self.node("MatMul", name, [x, self.weight(f"{name}.weight", module.weight.float().T)])
        small = quantise(module.weight, bits)
        weights = [self.weight(f"{name}.weight", pack(small)), self.weight(f"{name}.scale", small.scales_NG)]
        return self.node(
            "MatMulNBits", name, [x, *weights], domain=CONTRIB, K=columns, N=rows, bits=bits,
            block_size=group_size(columns), accuracy_level=4,
        )  # fmt: skip

    def model(self) -> bytes:
        graph = helper.make_graph(self.nodes, "step", self.inputs, self.outputs)
        graph.initializer.extend(_elsewhere(name, value) for name, value in self.weights.items())
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def _elsewhere(name: str, value: np.ndarray) -> TensorProto:
    """A weight whose values the session gets beside the graph."""
    tensor = TensorProto(name=name, dims=value.shape, data_location=TensorProto.EXTERNAL)
    tensor.data_type = helper.np_dtype_to_tensor_dtype(value.dtype)
    for key, entry in {"location": "beside", "offset": "0", "length": str(value.nbytes)}.items():
        tensor.external_data.add(key=key, value=entry)
    return tensor


def build(
    blocks: Blocks, norm: nn.LayerNorm, heads: nn.Linear, rotary: bool, bits: int, scales: Scales | None = None
) -> Graph:
    """``hidden`` (B, S, D) -> ``logits`` (B, 1, V).

    ``keys.i`` and ``values.i`` (B, H, M, E) are each block's cache, which ``keys.i.out`` and ``values.i.out`` may
    share: float32, or int8 with ``scales``, those of each block's keys and values by channel (H, E). ``last`` (B) is
    the place of the last step in it, ``total`` how many it then holds. Blocks with cross-attention read ``told.keys.i``
    and ``told.values.i`` (B, H, L, E) where ``told.mask`` (B, L) is 1. With ``rotary`` positions, ``cos`` and ``sin``
    (M, E / 2) are their angles'.
    """
    graph = Graph(bits)
    hidden = graph.input("hidden", "B", "S", norm.normalized_shape[0])
    graph.input("last", "B", kind=TensorProto.INT32)
    graph.input("total", kind=TensorProto.INT32)
    if rotary:
        graph.input("cos", "M", "E")
        graph.input("sin", "M", "E")
    if any(block.cross is not None for block in blocks):
        graph.input("told.mask", "B", "L", kind=TensorProto.INT32)
    for index, block in enumerate(blocks):
        hidden = _block(graph, block, hidden, index, rotary, scales[index] if scales else None)
    graph.weight("end", torch.tensor([-1]))
    last = graph.node("Gather", "last_step", [hidden, "end"], axis=1)
    graph.output("logits", "B", 1, heads.out_features)
    # The heads are a fiftieth of the weights, and make a quarter of what 4 bits cost.
    logits = graph.linear(graph.norm(last, norm, "norm"), heads, "heads", least_bits=8)
    graph.node("Identity", "logits", [logits])
    return graph


def _block(graph: Graph, block: Block, x: str, index: int, rotary: bool, scales: tuple[Tensor, Tensor] | None) -> str:
    """As ``nn.transformer.Block``. Sums and norms stay apart: the fused operator is six times as slow."""
    name = f"blocks.{index}"
    attended = _attention(graph, block, graph.norm(x, block.norm_self, f"{name}.norm_self"), index, rotary, scales)
    x = graph.node("Add", f"{name}.heard", [x, attended])
    if block.cross is not None:
        assert block.norm_cross is not None
        told = _cross(graph, block, graph.norm(x, block.norm_cross, f"{name}.norm_cross"), index)
        x = graph.node("Add", f"{name}.told", [x, told])
    inner = graph.linear(graph.norm(x, block.norm_inner, f"{name}.norm_inner"), block.up, f"{name}.up")
    inner = graph.node("Gelu", f"{name}.gelu", [inner], domain=CONTRIB)
    return graph.node("Add", f"{name}.out", [x, graph.linear(inner, block.down, f"{name}.down")])


def _attention(
    graph: Graph, block: Block, x: str, index: int, rotary: bool, scales: tuple[Tensor, Tensor] | None
) -> str:
    name, heads = f"blocks.{index}.attention", block.attention.heads
    width = block.attention.out.in_features // heads
    caches = [f"keys.{index}", f"values.{index}"]
    for cache in caches:
        kind = TensorProto.FLOAT if scales is None else TensorProto.INT8
        graph.input(cache, "B", heads, "M", width, kind=kind)
        graph.output(f"{cache}.out", "B", heads, "M", width, kind=kind)
    inputs = [graph.linear(x, block.attention.qkv, f"{name}.qkv"), "", "", *caches, "last", "total"]
    inputs += ["cos", "sin"] if rotary else ["", ""]
    details = {"num_heads": heads, "kv_num_heads": heads, "do_rotary": int(rotary)}
    if scales is not None:
        inputs += ["", "", ""]
        inputs += [
            graph.weight(f"{cache}.scale", scale[None, :, None]) for cache, scale in zip(caches, scales, strict=True)
        ]
        details |= {"k_quant_type": "PER_CHANNEL", "v_quant_type": "PER_CHANNEL", "kv_cache_bit_width": 8}
    outputs = [name, *(f"{cache}.out" for cache in caches)]
    mixed = graph.node("GroupQueryAttention", name, inputs, outputs, domain=CONTRIB, **details)
    return graph.linear(mixed, block.attention.out, f"{name}.out")


def _cross(graph: Graph, block: Block, x: str, index: int) -> str:
    assert block.cross is not None
    name, heads = f"blocks.{index}.cross", block.cross.heads
    told = [
        graph.input(f"told.{kind}.{index}", "B", heads, "L", block.cross.out.in_features // heads)
        for kind in ("keys", "values")
    ]
    query = graph.linear(x, block.cross.query, f"{name}.query")
    inputs = [query, *told, "", "told.mask"]
    mixed = graph.node("MultiHeadAttention", name, inputs, domain=CONTRIB, num_heads=heads)
    return graph.linear(mixed, block.cross.out, f"{name}.out")
