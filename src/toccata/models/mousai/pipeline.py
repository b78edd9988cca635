"""Text to stereo music with Moûsai: words to latents by one diffusion model, latents to sound by another.

Shapes: T latent frames, D latent width, C channels, N samples.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toccata.codecs.diffusion import DiffusionCodec
from toccata.codecs.magnitude import load_magnitude
from toccata.encoders.readers import TextReader, load_reader
from toccata.errors import WeightsError
from toccata.models.mousai.config import MousaiSampling, read_config
from toccata.models.mousai.network import MousaiNetwork
from toccata.models.worded import Request, WordedPipeline
from toccata.sampling.diffusion import COSINE
from toccata.sampling.windows import Span, going_on, in_windows
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand
from toccata.weights.device import pick_device, pick_float
from toccata.weights.parts import find_part

DECODING = 0.5  # of the progress, that decoding is told to be


class Mousai(WordedPipeline[MousaiSampling]):
    """A loaded Moûsai; ``steps`` are those of the latents."""

    def __init__(
        self,
        network: MousaiNetwork,
        codec: DiffusionCodec,
        text: TextReader,
        name: str = "mousai",
        weights_sha256: str = "",
    ) -> None:
        super().__init__(name, weights_sha256)
        self.network, self.codec, self.text = network.eval(), codec.eval(), text
        self.config, self.sampling = network.config, network.config.sampling
        # Where a recording ends a frame ends; what lies before the first whole frame is not heard.
        self.channels, self.stride = codec.config.audio_channels, codec.config.stride
        self.shortest, self.longest = self.stride, codec.config.window * self.stride // 2

    @property
    def sample_rate(self) -> int:
        return self.codec.config.sample_rate

    def _waves(self, asked: Request[MousaiSampling]) -> Iterator[np.ndarray]:
        """The latents' chance comes first."""
        generator = torch.Generator().manual_seed(asked.seed)
        device = next(self.codec.parameters()).device
        before_BCN = torch.from_numpy(np.ascontiguousarray(asked.before_CN))[None].to(device)
        latent_BTD = self._latents(asked, before_BCN, generator)
        tell = lambda share: asked.tell(1 - DECODING * (1 - share))  # noqa: E731
        parts = self.codec.decode_stream(latent_BTD, [generator], tell=tell, known_BCN=before_BCN)
        for wave_BCN in parts:
            yield wave_BCN[0].float().cpu().numpy()

    @torch.no_grad()
    def _latents(self, asked: Request[MousaiSampling], before_BCN: Tensor, generator: torch.Generator) -> Tensor:
        """latent_BTD of the whole piece, window by window; those of what it goes on from are in front."""
        config, stride = self.codec.config, self.config.unet.stride
        frames = -(-asked.samples // config.stride)
        past_BDT = torch.zeros(1, config.latent, 0, device=before_BCN.device)
        if before_BCN.shape[-1]:
            past_BDT = self.codec.encode(before_BCN).transpose(1, 2)
        heard, size = past_BDT.shape[-1], min(self.config.window, -(-frames // stride) * stride)
        total = max(frames, size)

        def draw(known_BDT: Tensor, span: Span) -> Tensor:
            text = asked.prompt.text_at((span.made - heard) / config.frame_rate)
            guidance = asked.sampling.guidance
            tokens_BLW = self.network.told_by(self.text, text, asked.prompt.negative, guidance != 1)
            predict = self.network.guided(tokens_BLW, guidance)
            noise_BDT = torch.randn(1, config.latent, size, generator=generator).to(known_BDT)
            done = lambda share: asked.tell(  # noqa: E731
                (1 - DECODING) * (span.made - heard + share * (span.until - span.made)) / (total - heard)
            )
            return going_on(predict, known_BDT, noise_BDT, asked.sampling.steps, COSINE, done)

        changes = [heard + round(at * config.frame_rate) for at, _ in asked.prompt.parts]
        new_BDT = torch.cat(list(in_windows(draw, past_BDT, total, size, changes)), dim=-1)
        return torch.cat([past_BDT, new_BDT], dim=-1).transpose(1, 2)[:, :frames]


def save_mousai(folder: Path, network: MousaiNetwork, **card: object) -> None:
    """Write the diffusion model in compact form; ``card`` names its codec and text encoder."""
    config = {"family": "mousai", "mousai": asdict(network.config), **card}
    checkpoint.save(folder, config, compact(network.state_dict()))


def load_pipeline(folder: Path, device: str = "auto", precision: str = "auto") -> Mousai:
    """The model in ``folder`` with the autoencoder and text encoder it names, beside it or part of toccata."""
    place, dtype = pick_device(device), pick_float("Moûsai", precision, device)
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "mousai":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not Moûsai")
    try:
        network = MousaiNetwork(read_config(config["mousai"]))
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{folder} does not describe a Moûsai ({error}); train it again") from None
    checkpoint.load_into(network, expand(tensors), folder)
    codec = load_magnitude(find_part(folder, config, "codec"))
    text = load_reader(find_part(folder, config, "text"))
    name, sha256 = config.get("name", folder.name), checkpoint.sha256(folder)
    return Mousai(network.to(place, dtype), codec.to(place), text, name, sha256)
