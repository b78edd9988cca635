"""Published MusicGens with random weights: folders as transformers writes them, of any size, made in seconds."""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor

from benchmarks.report import CACHE
from toccata.codecs.encodec import EnCodecConfig, encodec_32khz
from toccata.encoders.t5 import T5Config, t5_base
from toccata.errors import ToccataError
from toccata.models.musicgen.config import MusicGenConfig
from toccata.weights.published import WHOLE

BLOCK = 2**20
TIED = "text_encoder.encoder.embed_tokens.weight"
_DTYPES = {torch.float32: "F32", torch.float16: "F16"}


def decoder_config(config: MusicGenConfig) -> Any:
    """What transformers calls ``config``."""
    import transformers

    transformers.logging.set_verbosity_error()
    return transformers.MusicgenDecoderConfig(
        vocab_size=config.vocabulary, hidden_size=config.width, num_hidden_layers=config.layers,
        num_attention_heads=config.heads, ffn_dim=4 * config.width, num_codebooks=config.codebooks,
        pad_token_id=config.filler, bos_token_id=config.filler,
    )  # fmt: skip


@contextmanager
def random_public(
    config: MusicGenConfig, codec: EnCodecConfig | None = None, text: T5Config | None = None, half: bool = False
) -> Iterator[Path]:
    """A folder with a mono MusicGen of that size, by default with EnCodec at 32 kHz and T5 base, until the scope ends.

    Float32 as most are published, or float16. Raises ``ToccataError`` where the disk lacks the room.
    """
    import transformers

    whole = _whole_config(config, codec or encodec_32khz(), text or t5_base())
    with torch.device("meta"):
        model = transformers.MusicgenForConditionalGeneration(whole)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items() if name != TIED}
    dtype = torch.float16 if half else torch.float32
    CACHE.mkdir(parents=True, exist_ok=True)
    needed, free = sum(map(math.prod, shapes.values())) * dtype.itemsize, shutil.disk_usage(CACHE).free
    if needed * 1.2 > free:
        raise ToccataError(f"{needed / 2**30:.1f} GiB of weights are too much for a disk with {free / 2**30:.1f} free")
    with tempfile.TemporaryDirectory(prefix="public-", dir=CACHE) as name:
        folder = Path(name)
        whole.to_json_file(folder / "config.json", use_diff=False)
        tokeniser = Tokenizer(WordLevel({"<unk>": 2}, unk_token="<unk>"))
        tokeniser.pre_tokenizer = Whitespace()
        tokeniser.save(str(folder / "tokenizer.json"))
        _write(folder / WHOLE, shapes, dtype)
        yield folder


def _whole_config(config: MusicGenConfig, codec: EnCodecConfig, text: T5Config) -> Any:
    import transformers

    reader = transformers.T5Config(
        vocab_size=text.vocabulary, d_model=text.width, d_kv=text.head_width, d_ff=text.inner, num_layers=text.layers,
        num_heads=text.heads,
    )  # fmt: skip
    sound = transformers.EncodecConfig(
        sampling_rate=codec.sample_rate, audio_channels=codec.audio_channels, num_filters=codec.channels,
        hidden_size=codec.latent, codebook_dim=codec.latent, codebook_size=codec.vocabulary,
        upsampling_ratios=list(reversed(codec.strides)), num_lstm_layers=codec.lstm_layers, normalize=codec.normalise,
        target_bandwidths=[codec.levels * codec.level_bandwidth], use_causal_conv=codec.causal,
        use_conv_shortcut=codec.shortcut,
    )  # fmt: skip
    return transformers.MusicgenConfig(
        text_encoder=reader.to_dict(), audio_encoder=sound.to_dict(), decoder=decoder_config(config).to_dict()
    )


def _write(path: Path, shapes: dict[str, torch.Size], dtype: torch.dtype) -> None:
    """One safetensors file, a tensor at a time: the library's own writer wants all of them in memory."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": _DTYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    block_N = torch.randn(BLOCK, generator=torch.Generator().manual_seed(0))
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for name, shape in shapes.items():
            file.write(_weight(name, shape, block_N).to(dtype).numpy().tobytes())
        file.flush()
        os.fsync(file.fileno())  # or the disk would still be at work while the model is timed


def _weight(name: str, shape: torch.Size, block_N: Tensor) -> Tensor:
    """Weights that keep a signal's size: repeated noise for matrices, 1 for gains, 0 for biases."""
    count = math.prod(shape)
    if "bias" in name.rpartition(".")[2]:
        return torch.zeros(shape)
    if len(shape) < 2 or count == shape[0]:
        return torch.ones(shape)
    noise = block_N.repeat(-(-count // len(block_N)))[:count]
    return noise.view(shape) * (shape[0] / count) ** 0.5
