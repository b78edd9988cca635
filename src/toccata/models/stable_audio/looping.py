"""Loops: latents on a circle, which every step hears through windows that lie somewhere else.

No frame is the first or the last for long, so there is no seam; the sound is decoded round the circle too.

Shapes: B batch (1), T frames of the circle, D latent width, C channels, N samples.
"""

import torch
from torch import Tensor

from toccata.codecs.autoencoder import Autoencoder
from toccata.models.stable_audio.canvas import OVERLAP
from toccata.sampling.diffusion import Denoise


def around(predict: Denoise, window: int, generator: torch.Generator) -> Denoise:
    """``predict``, which sees ``window`` frames, for a circle of any length.

    A circle that is shorter than the window goes through it several times, a longer one through several windows; where
    they meet, their means count, each with the weight that it has towards its middle. ``generator`` decides where the
    first one lies.
    """

    def predict_all(x_BTD: Tensor, t: float) -> Tensor:
        frames = x_BTD.shape[1]
        first = int(torch.randint(frames, (), generator=generator))
        count = 1 if frames <= window else -int(-frames // (window * (1 - OVERLAP)))
        weight_W = torch.hann_window(window + 2, periodic=False)[1:-1].to(x_BTD)
        total_BTD, weights_T = torch.zeros_like(x_BTD), torch.zeros(frames).to(x_BTD)
        for number in range(count):
            places_W = (first + frames * number // count + torch.arange(window)) % frames
            places_W = places_W.to(x_BTD.device)
            made_BWD = predict(x_BTD[:, places_W], t)
            total_BTD.index_add_(1, places_W, made_BWD * weight_W[:, None])
            weights_T.index_add_(0, places_W, weight_W)
        return total_BTD / weights_T[:, None]

    return predict_all


def decode_around(codec: Autoencoder, latent_BTD: Tensor) -> Tensor:
    """wave_BCN of a circle of latents: each end is decoded in sight of the other.

    The first frame fades from how it sounds after the last: a decoder with oscillators turns their phases with time.
    """
    frames, stride = latent_BTD.shape[1], codec.config.stride
    before, after = codec.decoder.view
    places = torch.arange(-before, frames + 1 + after, device=latent_BTD.device) % frames
    wave_BCN = codec.decode(latent_BTD[:, places])[..., before * stride : (before + frames + 1) * stride]
    round_BCN, again_BCN = wave_BCN[..., :-stride], wave_BCN[..., -stride:]
    fade_N = torch.linspace(0, 1, stride, device=wave_BCN.device)
    return torch.cat([again_BCN.lerp(round_BCN[..., :stride], fade_N), round_BCN[..., stride:]], dim=-1)
