"""``stable-audio``: Stable Audio Open 1.0 at its published size, random weights: speed beside diffusers, and memory.

The same weights in both, two rows for guidance, 128 text tokens; each takes its turn, in bfloat16 where the device is
faster with it, and on a CPU in float32 too. ``python -m benchmarks.stable_audio DEVICE FRAMES TARGET`` measures the
memory of ours in a process of its own.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.load import clocks, foreign
from benchmarks.report import Figure, Options, compared, note
from benchmarks.streaming import CORES, measured, take_cores
from toccata.codecs import autoencoder_names
from toccata.codecs.autoencoder import Autoencoder, AutoencoderConfig, autoencoder_of, full
from toccata.encoders.features import TextFeatures
from toccata.errors import ToccataError
from toccata.models.stable_audio.config import START, TOTAL, StableAudioConfig, open_1_0
from toccata.models.stable_audio.network import StableAudioNetwork
from toccata.models.stable_audio.pipeline import StableAudio
from toccata.models.stable_audio.published import of_diffusers
from toccata.nn.weightnorm import fold
from toccata.training.precision import multiplies_bfloat16
from toccata.weights import checkpoint

HERE = Path("memory")
TEXT_TOKENS = 20
Work = Callable[[], Any]


@dataclass(frozen=True)
class Sizes:
    """Latent ``frames`` of a transformer's step and of what is decoded, ``rounds`` of turns, ``steps`` of a whole clip.

    On a GPU all steps of the published sampling are taken; a CPU is given a quarter of the published window.
    """

    frames: int
    rounds: int
    steps: int


GPU, CPU, QUICK = Sizes(1024, 3, 4), Sizes(256, 2, 4), Sizes(43, 2, 1)


def run(options: Options) -> Iterator[Figure]:
    """A step of the transformer, the decoder, a whole clip, and what it takes in memory."""
    if options.device == "cpu":
        take_cores(CORES)
    before, sizes = clocks(), QUICK if options.quick else CPU if options.device == "cpu" else GPU
    yield from memory(options.device, sizes.frames)  # first, while this process takes little of it
    yield from compared_with_diffusers(open_1_0(), full(), options.device, sizes)
    yield foreign(before)


def dtypes_on(device: str) -> tuple[torch.dtype, ...]:
    """As both are run, one after another: float32 on a CPU, and bfloat16 where that is multiplied faster."""
    wide = () if device.startswith("cuda") else (torch.float32,)
    return (*wide, torch.bfloat16) if multiplies_bfloat16(device) else wide


def compared_with_diffusers(
    config: StableAudioConfig, sound: AutoencoderConfig, device: str, sizes: Sizes
) -> Iterator[Figure]:
    """Seconds that the same takes in both, in turn; then the speed of ours from words to sound."""
    seconds = sizes.frames / sound.frame_rate
    dit, told, vae = theirs(config, sound, device)
    network, codec = ours(dit, told, vae, config)
    for dtype in dtypes_on(device):
        network, dit, vae = network.to(dtype), dit.to(dtype), vae.to(dtype)
        with torch.no_grad():
            pairs = {
                "a step of the transformer": (our_step(network, sizes.frames), their_step(dit, config, sizes.frames)),
                "decoding": our_and_their_decoding(codec, vae, sizes.frames),
            }
            for name, (own, other) in pairs.items():
                found, against = in_turn([own, other], sizes.rounds, device)
                metric = f"{name}, {seconds:.1f} s of music, {str(dtype)[6:]}, against diffusers"
                yield compared(metric, found, "s", against, n=sizes.rounds)
        del pairs
    del dit, told, vae
    yield whole(StableAudio(network, codec, RandomText(config.text_width)), device, seconds, sizes.steps)


def theirs(config: StableAudioConfig, sound: AutoencoderConfig, device: str) -> tuple[Any, Any, Any]:
    """diffusers' transformer, projection model and autoencoder with random weights."""
    import diffusers
    from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel

    sizes = config.dit
    torch.manual_seed(0)
    with torch.device(device):
        dit = diffusers.StableAudioDiTModel(  # type: ignore[attr-defined]
            sample_size=config.window, in_channels=sizes.latent, out_channels=sizes.latent, num_layers=sizes.layers,
            attention_head_dim=sizes.head_width, num_attention_heads=sizes.heads,
            num_key_value_attention_heads=sizes.context // sizes.head_width, cross_attention_dim=sizes.context,
            cross_attention_input_dim=sizes.tokens, global_states_input_dim=sizes.whole,
        )  # fmt: skip
        told = StableAudioProjectionModel(config.text_width, sizes.tokens, 0, config.longest)
        vae = diffusers.AutoencoderOobleck(  # type: ignore[attr-defined]
            encoder_hidden_size=sound.channels, downsampling_ratios=list(sound.strides),
            channel_multiples=list(sound.widths), decoder_channels=sound.decoder_channels,
            decoder_input_channels=sound.latent, audio_channels=sound.audio_channels, sampling_rate=sound.sample_rate,
        )  # fmt: skip
    return tuple(part.eval().requires_grad_(False).to(dtypes_on(device)[0]) for part in (dit, told, vae))  # type: ignore[return-value]


def ours(dit: Any, told: Any, vae: Any, config: StableAudioConfig) -> tuple[StableAudioNetwork, Autoencoder]:
    """The same weights; the transformer's are shared as far as the layouts agree. The decoder runs in float32."""
    with torch.device("meta"):
        network = StableAudioNetwork(config)
    tensors = of_diffusers(dit.state_dict(), told.state_dict(), config, HERE)
    checkpoint.load_into(network, tensors, HERE, assign=True)
    fields = autoencoder_names.config_of_diffusers({**vae.config, "_class_name": "AutoencoderOobleck"}, HERE)
    codec = autoencoder_of(fields, autoencoder_names.of_diffusers(vae.state_dict()), HERE)
    return network.eval().requires_grad_(False), codec.to(dit.device)


def our_step(network: StableAudioNetwork, frames: int) -> Work:
    """What guidance asks of the network at each step; the text is read once for all of them."""
    config, device, dtype = network.config, network.device, network.dtype
    text_BLW = torch.randn(2, TEXT_TOKENS, config.text_width, device=device, dtype=dtype)
    timing = {START: torch.zeros(2, device=device), TOTAL: torch.full((2,), 30.0, device=device)}
    condition = network.condition(text_BLW, torch.ones(2, TEXT_TOKENS, dtype=torch.bool, device=device), timing)
    latent_BTD = torch.randn(2, frames, config.dit.latent, device=device, dtype=dtype)
    t_B = torch.full((2,), 0.5, device=device, dtype=dtype)
    return lambda: network(latent_BTD, t_B, condition)


def their_step(dit: Any, config: StableAudioConfig, frames: int) -> Work:
    from diffusers.models.embeddings import get_1d_rotary_pos_embed

    sizes, told = config.dit, {"device": dit.device, "dtype": dit.dtype}
    tokens_BLW = torch.randn(2, config.text_tokens + len(config.timing), sizes.tokens, **told)
    whole_B1W, latent_BDT = torch.randn(2, 1, sizes.whole, **told), torch.randn(2, sizes.latent, frames, **told)
    turns = get_1d_rotary_pos_embed(sizes.head_width // 2, frames + 1, use_real=True, repeat_interleave_real=False)
    rotary = tuple(part.to(dit.device) for part in turns)
    t_B = torch.full((2,), 0.5, **told)
    return lambda: dit(latent_BDT, t_B, tokens_BLW, whole_B1W, rotary_embedding=rotary).sample


def our_and_their_decoding(codec: Autoencoder, vae: Any, frames: int) -> tuple[Work, Work]:
    latent_BTD = torch.randn(1, frames, codec.config.latent, device=vae.device)
    turned = latent_BTD.transpose(1, 2).to(vae.dtype)
    return lambda: codec.decode(latent_BTD), lambda: vae.decode(turned).sample


def in_turn(works: list[Work], rounds: int, device: str) -> list[float]:
    """Seconds of each, the median of ``rounds`` in which all take turns, after one round to warm up."""
    times: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):
        for found, work in zip(times, works, strict=True):
            seconds = timed(work, device)
            if number:
                found.append(seconds)
    return [statistics.median(found) for found in times]


def timed(work: Work, device: str) -> float:
    _finish(device)
    began = time.perf_counter()
    work()
    _finish(device)
    return time.perf_counter() - began


def _finish(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


class RandomText:
    """Stands in for T5, whose part of the work is small: any text is the same twenty random tokens."""

    def __init__(self, width: int) -> None:
        self.width = width

    def encode(self, texts: list[str]) -> TextFeatures:
        tokens_BLD = torch.randn(1, TEXT_TOKENS, self.width, generator=torch.Generator().manual_seed(0))
        rows = tokens_BLD.expand(len(texts), -1, -1)
        return TextFeatures(rows, torch.ones(rows.shape[:2], dtype=torch.bool), rows[:, 0])


def whole(model: StableAudio, device: str, seconds: float, steps: int) -> Figure:
    """A clip against real time; text features are there already."""
    steps = model.config.sampling.steps if device.startswith("cuda") else steps
    length = max(min(seconds, model.config.window / model.codec.config.frame_rate), 1.0)
    if device.startswith("cuda"):
        model.generate("warm up", length, 0, steps=1)
    took = timed(lambda: model.generate("piano", length, 1, steps=steps), device)
    return compared(f"music per second of work, {steps} steps of whole windows", length / took, "s/s", 1.0, n=1)


def memory(device: str, frames: int) -> Iterator[Figure]:
    """Peak of a process that makes a window, against the weights alone."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "memory.json"
        command = [sys.executable, "-m", "benchmarks.stable_audio", device, str(frames), str(target)]
        try:
            _, peak = measured(command, dict(os.environ), target)
        except ToccataError as error:
            note(f"no figure for memory: {error}")
            return
        said = json.loads(target.read_text())
    peak = said["peak"] or peak
    yield compared("peak memory of a process that makes a window", peak, "GiB", said["weights"], n=1)


def alone(config: StableAudioConfig, sound: AutoencoderConfig, device: str, frames: int, target: Path) -> None:
    """Make a window with random weights; write how many GiB they are, and a GPU's peak."""
    with torch.device(device):
        network, codec = StableAudioNetwork(config).to(dtypes_on(device)[-1]), Autoencoder(sound)
    fold(codec)
    model = StableAudio(network.requires_grad_(False), codec.requires_grad_(False), RandomText(config.text_width))
    seconds = max(frames / sound.frame_rate, 1.0)
    model.generate("piano", min(seconds, config.window / sound.frame_rate), 0, steps=1)
    weights = sum(part.numel() * part.element_size() for each in (network, codec) for part in each.parameters())
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.startswith("cuda") else None
    target.write_text(json.dumps({"weights": weights / 2**30, "peak": peak}))


if __name__ == "__main__":
    if sys.argv[1] == "cpu":
        take_cores(CORES)
    alone(open_1_0(), full(), sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
