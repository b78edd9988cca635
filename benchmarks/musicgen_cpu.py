"""``musicgen-cpu``: MusicGen of published size on 2 CPU cores, whole models and decoding alone against transformers.

Decoding: guidance on, a text of 20 tokens, random weights whose logits vary by 2, engines in turn. Without ``--quick``
also the memory of every size, and what a precision does to the music of musicgen-mini.

Shapes: B rows, K codebooks, S steps, L text tokens, W its width, V vocabulary.
"""

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.load import clocks, foreign
from benchmarks.musicgen_distance import distances
from benchmarks.musicgen_together import together
from benchmarks.musicgen_whole import WEIGHT_BYTES, whole_models
from benchmarks.random_public import decoder_config
from benchmarks.report import Figure, Options, compared, note
from benchmarks.streaming import CORES, read_bandwidth, step_bytes, take_cores
from toccata.errors import InputError
from toccata.models.musicgen.config import MusicGenConfig
from toccata.models.musicgen.decoders import fast_decoder, loading_dtype
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.public import assigned
from toccata.models.musicgen.published import from_transformers
from toccata.sampling.tokens import TokenSampling, guided, sample

CONFIG = MusicGenConfig(text_width=1024)
PRECISIONS = tuple(WEIGHT_BYTES)
TEXT_TOKENS = 20
GUIDANCE = 3.0
WARM_UP = 3
TARGETS = {"fp32": 12.0, "bf16": 4.0}

Decode = Callable[[Tensor], Tensor]
Begin = Callable[[int], Decode]


def run(options: Options) -> Iterator[Figure]:
    """Whole models, decoding alone, requests together, and how far from fp32 the music is."""
    if options.device != "cpu":
        raise InputError("musicgen-cpu measures a CPU; leave --device out")
    take_cores(CORES)
    before = clocks()
    yield from whole_models(options.quick)  # first, while this process takes little of the memory
    yield from steps(options)
    yield from together(options)
    yield foreign(before)
    if not options.quick:
        yield from distances(60, PRECISIONS, options.model)


def steps(options: Options) -> Iterator[Figure]:
    """Steps a second from the start and at the window's end; how much of the bandwidth that is; what integers cost."""
    theirs, ours = engines(CONFIG)
    bandwidth = read_bandwidth("cpu")
    yield Figure("memory bandwidth, reading", bandwidth / 2**30, "GiB/s", n=1)
    rounds, count = (3, 30) if options.quick else (7, 50)
    window = CONFIG.window_frames
    for place, at in (("from the start", 0), ("at the window's end", window - (rounds + 1) * count)):
        begun = {f"transformers {name}": faster(caches, at, window) for name, caches in theirs.items()}
        begun |= {name: started(begin, at, window) for name, begin in ours.items()}
        yield from speeds(place, in_turn(begun, rounds, count), rounds, bandwidth)
    yield from agreements(theirs["fp32"]["dynamic"], ours, 60 if options.quick else 200)
    yield _sampling()


def engines(config: MusicGenConfig) -> tuple[dict[str, dict[str, Begin]], dict[str, Begin]]:
    """transformers' decoder at fp32 and bf16, with a growing and with a static cache, and ours, on the same weights."""
    peer = random_peer(config)
    network, text_BLW = as_ours(peer, config), random_text(config)
    ours = {name: our_begin(network, name, text_BLW) for name in PRECISIONS}
    peers = {"fp32": peer, "bf16": copy.deepcopy(peer).bfloat16()}
    kinds = ("dynamic", "static")
    return {name: {kind: their_begin(model, kind, text_BLW) for kind in kinds} for name, model in peers.items()}, ours


def random_peer(config: MusicGenConfig, device: str = "cpu") -> Any:
    """A MusicgenForCausalLM of transformers with random weights."""
    import transformers

    torch.manual_seed(0)
    with torch.device(device):
        model = transformers.MusicgenForCausalLM(decoder_config(config)).eval()
    for name, tensor in model.named_parameters():
        if "lm_heads" in name:
            torch.nn.init.normal_(tensor, std=2 * config.width**-0.5)
    return model


def as_ours(peer: Any, config: MusicGenConfig) -> MusicGenNetwork:
    """Our network with the weights of ``peer``, where and in what they are."""
    state = {f"decoder.{name}": tensor for name, tensor in peer.state_dict().items()}
    return assigned(config, from_transformers(state, config, Path("random")), Path("random")).eval()


def random_text(config: MusicGenConfig) -> Tensor:
    """Features of a text, and of none: (2, L, W)."""
    text_BLW = torch.randn(1, TEXT_TOKENS, config.text_width, generator=torch.Generator().manual_seed(1))
    return torch.cat([text_BLW, torch.zeros_like(text_BLW)])


def their_begin(model: Any, kind: str, text_BLW: Tensor, batch: int = 1) -> Begin:
    """Every piece of a ``batch`` reads the same; logits (2 P, K, V) of rows with the text, then of those without."""
    from transformers import DynamicCache, EncoderDecoderCache, StaticCache

    def begin(steps: int) -> Decode:
        own = StaticCache(model.config, max_cache_len=steps) if kind == "static" else DynamicCache()
        cache = EncoderDecoderCache(own, DynamicCache())
        text = text_BLW.to(model.device, model.dtype).repeat_interleave(batch, 0)
        mask = torch.ones(text.shape[:2], device=model.device)

        @torch.no_grad()
        def decode(steps_KS: Tensor) -> Tensor:
            ids = steps_KS.to(model.device).repeat(2 * batch, 1)
            told = {"encoder_hidden_states": text, "encoder_attention_mask": mask}
            out = model(ids, past_key_values=cache, use_cache=True, **told)
            return out.logits[:, -1].view(2 * batch, len(steps_KS), -1)

        return decode

    return begin


def our_begin(network: MusicGenNetwork, precision: str, text_BLW: Tensor) -> Begin:
    """As ``MusicGen.predictor`` does it."""
    config = network.config
    network = copy.deepcopy(network).to(loading_dtype(precision))
    decoder = fast_decoder(network, precision)
    with torch.no_grad():
        mask_BL = torch.ones(text_BLW.shape[:2], dtype=torch.bool)
        condition = network.condition(text_BLW.to(network.norm.weight.dtype), mask_BL)

    def begin(steps: int) -> Decode:
        decoding = decoder.begin(2, steps, condition.layers, condition.mask_BL)

        @torch.no_grad()
        def decode(steps_KS: Tensor) -> Tensor:
            hidden_BSD = network.inputs(steps_KS.expand(2, -1, -1), condition, decoding.length)
            return decoding(hidden_BSD).view(2, config.codebooks, config.vocabulary)

        return decode

    return begin


def codes(steps: int, seed: int = 0) -> Tensor:
    """Random steps_KS."""
    shape = (CONFIG.codebooks, steps)
    return torch.randint(CONFIG.vocabulary, shape, generator=torch.Generator().manual_seed(seed))


def started(begin: Begin, at: int, steps: int) -> Decode:
    """A decoding of ``steps`` steps that has ``at`` behind it."""
    decode = begin(steps)
    decode(codes(max(at, 1)))
    return decode


def faster(kinds: dict[str, Begin], at: int, steps: int) -> Decode:
    """The cache that decodes faster there."""
    begun = {kind: started(begin, at, steps) for kind, begin in kinds.items()}
    times = {kind: min(timed(decode, 1) for _ in range(4)) for kind, decode in begun.items()}
    best = min(times, key=lambda kind: times[kind])
    note(f"after {at} steps transformers is fastest with its {best} cache")
    return begun[best]


def timed(decode: Decode, count: int) -> float:
    """Seconds a step."""
    steps_KS = codes(count)
    began = time.perf_counter()
    for s in range(count):
        decode(steps_KS[:, s : s + 1])
    return (time.perf_counter() - began) / count


def in_turn(begun: dict[str, Decode], rounds: int, count: int) -> dict[str, float]:
    """Steps a second of each: the median of rounds in which every engine takes its turn."""
    return turns({name: partial(timed, decode) for name, decode in begun.items()}, rounds, count)


def turns(timers: dict[str, Callable[[int], float]], rounds: int, count: int) -> dict[str, float]:
    """``in_turn`` for what times itself: a number of steps -> seconds a step."""
    times: dict[str, list[float]] = {name: [] for name in timers}
    for timer in timers.values():
        timer(WARM_UP)
    for _ in range(rounds):
        for name, timer in timers.items():
            times[name].append(timer(count))
    return {name: 1 / statistics.median(seconds) for name, seconds in times.items()}


def speeds(place: str, found: dict[str, float], rounds: int, bandwidth: float) -> Iterator[Figure]:
    for name, speed in found.items():
        if name not in PRECISIONS:
            yield Figure(f"{name}, {place}", speed, "steps/s", n=rounds)
            continue
        for peer in TARGETS:
            against = found[f"transformers {peer}"]
            yield compared(f"{name} against transformers {peer}, {place}", speed, "steps/s", against, n=rounds)
        floor = bandwidth / (weights() * WEIGHT_BYTES[name])
        yield compared(f"{name} against reading the weights alone, {place}", speed, "steps/s", floor, n=rounds)


def weights() -> float:
    """How many weights a step reads."""
    with torch.device("meta"):
        return step_bytes(MusicGenNetwork(CONFIG)) / 4


def agreements(reference: Begin, ours: dict[str, Begin], steps: int) -> Iterator[Figure]:
    """How often the likeliest code of the guided distribution is the reference's, and the KL divergence from it."""
    expected = guided_logits(reference, steps)
    p = expected.log_softmax(-1)
    for name, begin in ours.items():
        made = guided_logits(begin, steps)
        q = made.log_softmax(-1)
        same = (made.argmax(-1) == expected.argmax(-1)).float().mean().item()
        yield Figure(f"{name}, same likeliest code as fp32", same, "share", n=steps * CONFIG.codebooks)
        divergence = (p.exp() * (p - q)).sum(-1).mean().item()
        yield Figure(f"{name}, KL from fp32", divergence, "nats a code", n=steps * CONFIG.codebooks)


def guided_logits(begin: Begin, steps: int) -> Tensor:
    """Logits (S, K, V) with guidance 3 after each of the same random steps."""
    decode, steps_KS = begin(steps), codes(steps, seed=1)
    return torch.stack([guided(decode(steps_KS[:, s : s + 1]), GUIDANCE) for s in range(steps)])


def _sampling(repeats: int = 200) -> Figure:
    logits_2KV = torch.randn(2, CONFIG.codebooks, CONFIG.vocabulary, generator=torch.Generator().manual_seed(0))
    options, generator = TokenSampling(), torch.Generator().manual_seed(0)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        sample(guided(logits_2KV, GUIDANCE), options, generator)
        times.append(time.perf_counter() - began)
    return Figure("guidance and sampling of a step", statistics.median(times) * 1e3, "ms", n=repeats)
