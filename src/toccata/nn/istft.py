"""A head that predicts a short-time spectrum and turns it into sound (Vocos, arXiv 2306.00814)."""

import torch
from torch import Tensor, nn


class ISTFTHead(nn.Module):
    """hidden_BTD -> wave_BN with N = T x hop: log-magnitude and phase a bin, overlap-added under a Hann window.

    Sample n depends on frames up to n // hop + n_fft / (2 hop): that is the head's lookahead.
    """

    window: Tensor

    def __init__(self, width: int, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.project = nn.Linear(width, n_fft + 2)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        log_magnitude, phase = self.project(hidden_BTD).float().transpose(1, 2).chunk(2, dim=1)
        spectrum = torch.polar(log_magnitude.clamp(max=7.0).exp(), phase)
        frames = spectrum.shape[-1]
        # One frame of padding at the end gives torch.istft (centred) the full length of T hops.
        spectrum = torch.cat([spectrum, torch.zeros_like(spectrum[..., :1])], dim=-1)
        return torch.istft(spectrum, self.n_fft, self.hop, window=self.window, center=True, length=frames * self.hop)
