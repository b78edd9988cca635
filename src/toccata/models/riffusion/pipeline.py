"""Text to mono music with Riffusion: words to pictures of log-mels by diffusion, pictures to sound by Griffin-Lim.

Shapes: M mel bands, T frames, F frequency bins, C channels (1), N samples.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toccata.audio.mel import mel_filters, mels_of_normal
from toccata.audio.phase import from_mels, griffin_lim
from toccata.encoders.readers import TextReader, load_reader
from toccata.errors import WeightsError
from toccata.models.riffusion.config import RiffusionSampling, read_config
from toccata.models.riffusion.network import RiffusionNetwork, picture_of
from toccata.models.worded import Request, WordedPipeline
from toccata.sampling.diffusion import COSINE
from toccata.sampling.windows import Span, going_on, in_windows
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand
from toccata.weights.device import pick_device, pick_float
from toccata.weights.parts import find_part


class Riffusion(WordedPipeline[RiffusionSampling]):
    """A loaded Riffusion."""

    channels = 1

    def __init__(
        self, network: RiffusionNetwork, text: TextReader, name: str = "riffusion", weights_sha256: str = ""
    ) -> None:
        super().__init__(name, weights_sha256)
        self.network, self.text = network.eval(), text
        config = self.config = network.config
        # Where a recording ends a frame is centred; half a window is enough to go on from.
        self.sampling, self.stride = config.sampling, config.hop
        self.shortest, self.longest = config.n_fft, config.frames * config.hop // 2

    @property
    def sample_rate(self) -> int:
        return self.config.sample_rate

    @torch.no_grad()
    def _waves(self, asked: Request[RiffusionSampling]) -> Iterator[np.ndarray]:
        """A window's picture is drawn before its phases.

        A part is held back as far as the next frames reach into it, and the next part begins with sound that is known.
        """
        generator = torch.Generator().manual_seed(asked.seed)
        hop, reach = self.config.hop, -(-self.config.n_fft // self.config.hop)
        known_BN = torch.from_numpy(np.ascontiguousarray(asked.before_CN)).to(self.network.nothing_LW.device)
        picture_BMT = self._heard(known_BN)
        left = self._total(asked) - picture_BMT.shape[-1]
        for new_BMT in self._pictures(asked, picture_BMT, generator):
            picture_BMT, left = torch.cat([picture_BMT, new_BMT], dim=-1), left - new_BMT.shape[-1]
            frames, old = picture_BMT.shape[-1], known_BN.shape[-1]
            settled = (frames - 1 - (reach if left else 0)) * hop
            if settled <= old:
                continue
            wave_BN = self._sound(picture_BMT, known_BN, asked.sampling.phase_steps, generator)
            yield wave_BN[:, old:settled].clamp(-1, 1).cpu().numpy()
            first = max(frames - 3 * reach, 0)
            picture_BMT, known_BN = picture_BMT[..., first:], wave_BN[:, first * hop : settled]

    def _heard(self, wave_BN: Tensor) -> Tensor:
        """picture_BMT of sound that is gone on from, without the frames that reach beyond its end."""
        whole = wave_BN.shape[-1] - self.config.n_fft // 2
        if whole < 0:
            return torch.zeros(1, self.config.bands, 0, device=wave_BN.device)
        return picture_of(wave_BN, self.config)[:, : whole // self.config.hop + 1].transpose(1, 2)

    def _size(self, asked: Request[RiffusionSampling]) -> int:
        """Frames of a window; a short piece draws no more than it needs."""
        stride = self.config.stride
        return min(self.config.frames, -(-self._frames(asked) // stride) * stride)

    def _total(self, asked: Request[RiffusionSampling]) -> int:
        """Frames that are drawn in all, and known ones."""
        return max(self._frames(asked), self._size(asked))

    def _frames(self, asked: Request[RiffusionSampling]) -> int:
        return -(-asked.samples // self.config.hop) + 1

    def _pictures(
        self, asked: Request[RiffusionSampling], past_BMT: Tensor, generator: torch.Generator
    ) -> Iterator[Tensor]:
        """picture_BMT window by window, what is new of each."""
        config, size, heard = self.config, self._size(asked), past_BMT.shape[-1]
        total = self._total(asked)

        def draw(known_BMT: Tensor, span: Span) -> Tensor:
            text = asked.prompt.text_at((span.made - heard) / config.frame_rate)
            guidance = asked.sampling.guidance
            tokens_BLW = self.network.told_by(self.text, text, asked.prompt.negative, guidance != 1)
            predict = self.network.guided(tokens_BLW, guidance)
            noise_BMT = torch.randn(1, config.bands, size, generator=generator).to(known_BMT)
            done = lambda share: asked.tell(  # noqa: E731
                (span.made - heard + share * (span.until - span.made)) / (total - heard)
            )
            return going_on(predict, known_BMT, noise_BMT, asked.sampling.steps, COSINE, done)

        changes = [heard + round(at * config.frame_rate) for at, _ in asked.prompt.parts]
        yield from in_windows(draw, past_BMT, total, size, changes)

    def _sound(self, picture_BMT: Tensor, known_BN: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """wave_BN of a picture, which begins with ``known_BN``."""
        config = self.config
        filters_MF = mel_filters(config.sample_rate, config.n_fft, config.bands).to(picture_BMT.device)
        magnitude_BFT = from_mels(mels_of_normal(picture_BMT.transpose(1, 2)), filters_MF)
        phase_BFT = 2 * torch.pi * torch.rand(magnitude_BFT.shape, generator=generator).to(magnitude_BFT)
        return griffin_lim(magnitude_BFT, config.hop, phase_BFT, steps, known_BN=known_BN)


def save_riffusion(folder: Path, network: RiffusionNetwork, **card: object) -> None:
    """Write the model in compact form; ``card`` names its text encoder."""
    config = {"family": "riffusion", "riffusion": asdict(network.config), **card}
    checkpoint.save(folder, config, compact(network.state_dict()))


def load_pipeline(folder: Path, device: str = "auto", precision: str = "auto") -> Riffusion:
    """The model in ``folder`` with the text encoder it names, beside it or part of toccata."""
    place, dtype = pick_device(device), pick_float("Riffusion", precision, device)
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "riffusion":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not Riffusion")
    try:
        network = RiffusionNetwork(read_config(config["riffusion"]))
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{folder} does not describe a Riffusion ({error}); train it again") from None
    checkpoint.load_into(network, expand(tensors), folder)
    text = load_reader(find_part(folder, config, "text"))
    return Riffusion(network.to(place, dtype), text, config.get("name", folder.name), checkpoint.sha256(folder))
