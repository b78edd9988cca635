"""Which engine decodes MusicGen at which precision, as benchmarks/musicgen_cpu.py measured it."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor

from toccata.engines import pages
from toccata.engines.threads import SMALL, threads_for
from toccata.engines.torch_decoder import TorchDecoder, lay_out, pack
from toccata.errors import InputError
from toccata.models.musicgen.network import Condition, MusicGenNetwork

EXAMPLE_STEPS = 64


class Decoding(Protocol):
    """One piece: the next hidden states -> the logits after the last of them; ``length`` steps are done."""

    @property
    def length(self) -> int: ...

    def __call__(self, hidden_BSD: Tensor, /) -> Tensor: ...


class Decoder(Protocol):
    """Starts pieces of up to ``steps`` steps."""

    def begin(
        self,
        rows: int,
        steps: int,
        condition: Sequence[tuple[Tensor, Tensor]] = (),
        mask_BL: Tensor | None = None,
    ) -> Decoding: ...


def pick_precision(precision: str, device: torch.device, width: int) -> str:
    """What ``precision`` means for a model of that width here: fp32, bf16, int8 or int4.

    Raises ``InputError`` for what cannot run here.

    auto is bf16 on a GPU. On a CPU it is fp32 for a small model, so that a seed gives the same with or without
    the extra "fast"; for a large one int8 where that is there, else bf16, or fp32 where the processor has no bf16.
    """
    if precision not in ("auto", "fp32", "bf16", "int8", "int4"):
        raise InputError(f"this model does not run in {precision!r}; choose auto, fp32, bf16, int8 or int4")
    if precision in ("int8", "int4"):
        if device.type != "cpu":
            raise InputError(f"{precision} runs on a CPU only; choose bf16 or fp32, or --device cpu")
        if not _fast():
            raise InputError(f"{precision} needs the extra 'fast'; pip install 'toccata[fast]', or choose bf16 or fp32")
    if precision != "auto":
        return precision
    if device.type != "cpu":
        return "bf16"
    if width <= SMALL:
        return "fp32"
    if _fast():
        return "int8"
    return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"


def loading_dtype(precision: str) -> torch.dtype:
    """What weights are to be read as before ``fast_decoder``: 4 bits are too coarse to tell bfloat16 from float32."""
    return torch.bfloat16 if precision in ("bf16", "int4") else torch.float32


def _fast() -> bool:
    """Whether the extra is there."""
    return all(find_spec(name) is not None for name in ("onnx", "onnxruntime"))


def plain_decoder(network: MusicGenNetwork) -> Decoder:
    """``network`` itself, wherever and in whatever precision it is."""
    return TorchDecoder(network.blocks, network.norm, network.heads, network.config.positions == "rotary")


def fast_decoder(network: MusicGenNetwork, precision: str) -> Decoder:
    """The fastest decoder for ``precision``, which takes the decoding weights over from ``network``.

    What ``network`` keeps: embeddings, and what reads texts and melodies.
    """
    config = network.config
    if precision in ("int8", "int4"):
        from toccata.engines.onnx_decoder import OnnxDecoder

        decoder = OnnxDecoder(
            network.blocks, network.norm, network.heads, config.positions == "rotary", precision,
            threads_for(config.width), example(network),
        )  # fmt: skip
        _let_go(network)
        network.float()
        if config.width > SMALL:  # what is smaller lies in the processor's caches anyway
            pages.gather()
        return decoder
    if network.norm.weight.device.type == "cpu":
        if config.width > SMALL:
            pack(network)
        elif precision == "fp32":
            lay_out(network)
    return plain_decoder(network)


@torch.no_grad()
def example(network: MusicGenNetwork) -> Tensor:
    """Hidden states (B, S, D) of random codes at the start, in the middle and at the end of the window."""
    generator = torch.Generator().manual_seed(0)
    config = network.config
    none = Condition([], torch.ones(1, 1, dtype=torch.bool))
    rows = []
    for start in (0, config.window_frames // 2, max(config.window_frames - EXAMPLE_STEPS, 0)):
        steps_BKS = torch.randint(config.vocabulary, (1, config.codebooks, EXAMPLE_STEPS), generator=generator)
        rows.append(network.inputs(steps_BKS, none, start))
    return torch.cat(rows)


def _let_go(network: MusicGenNetwork) -> None:
    """Free the weights that only decoding reads."""
    for block in network.blocks:
        spent = [block.attention, block.up, block.down]
        if block.cross is not None:
            spent += [block.cross.query, block.cross.out]
        for module in spent:
            module.to("meta")
    network.heads.to("meta")
