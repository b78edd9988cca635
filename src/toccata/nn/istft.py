"""A head that predicts a short-time spectrum and turns it into sound (Vocos, arXiv 2306.00814).

A network that hears no chance makes none: it answers steady noise with equal frames, which hum. So a part of the
spectrum may be noise whose loudness alone is predicted (filtered noise as in DDSP, arXiv 2001.04643, section 3.3).
"""

import torch
from torch import Tensor, nn

NOISE_FRAMES = 1499


class ISTFTHead(nn.Module):
    """hidden_BTD -> wave_BN with N = T x hop: log-magnitude and phase a bin, overlap-added under a Hann window.

    With ``noise``, each bin also has the log-magnitude of noise that is always the same at the same frame of the whole
    sound, so that a sound is the same in parts and at once, and comes again after ``NOISE_FRAMES`` frames.
    Sample n depends on frames up to n // hop + n_fft / (2 hop): that is the head's lookahead.
    """

    window: Tensor
    noise_PF: Tensor

    def __init__(self, width: int, n_fft: int, hop: int, noise: bool = False) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.project = nn.Linear(width, n_fft + 2)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.noise = nn.Linear(width, n_fft // 2 + 1) if noise else None
        if self.noise is not None:
            with torch.no_grad():  # it begins all but silent
                self.noise.weight.mul_(0.1)
                self.noise.bias.fill_(-6.0)
            always = torch.Generator().manual_seed(0)
            table_PF = torch.randn(NOISE_FRAMES, n_fft // 2 + 1, dtype=torch.complex64, generator=always)
            self.register_buffer("noise_PF", table_PF, persistent=False)

    def forward(self, hidden_BTD: Tensor, first: int = 0) -> Tensor:
        """``first`` is the frame of the whole sound that hidden_BTD begins with."""
        log_magnitude, phase = self.project(hidden_BTD).float().transpose(1, 2).chunk(2, dim=1)
        spectrum = torch.polar(log_magnitude.clamp(max=7.0).exp(), phase)
        frames = spectrum.shape[-1]
        if self.noise is not None:
            loudness_BFT = self.noise(hidden_BTD).float().clamp(max=7.0).exp().transpose(1, 2)
            frame_T = torch.arange(first, first + frames, device=hidden_BTD.device) % NOISE_FRAMES
            spectrum = spectrum + loudness_BFT * self.noise_PF[frame_T].T
        # One frame of padding at the end gives torch.istft (centred) the full length of T hops.
        spectrum = torch.cat([spectrum, torch.zeros_like(spectrum[..., :1])], dim=-1)
        return torch.istft(spectrum, self.n_fft, self.hop, window=self.window, center=True, length=frames * self.hop)
