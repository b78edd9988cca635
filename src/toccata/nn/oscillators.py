"""A bank of sinusoids on fixed pitches (additive synthesis as in DDSP, arXiv 2001.04643, section 3.2).

A network that is told of no phase and of no absolute time answers a steady sound with equal frames: overlap-added,
they repeat once a frame, so they hold only multiples of the frame rate. Here time itself turns the phases.
"""

import math

import torch
from torch import Tensor, nn


class OscillatorBank(nn.Module):
    """hidden_BTD -> wave_BN with N = T x hop: a log-magnitude and a phase for every oscillator and frame.

    The oscillators lie ``per_octave`` to the octave from ``lowest`` (Hz) upwards: with a multiple of 12, on the
    tempered pitches from A0. Frames are as long as ``window`` samples and overlap-added under a Hann window; sample n
    depends on frames up to n // hop + window / (2 hop).
    """

    turns_J: Tensor
    basis_JW: Tensor

    def __init__(
        self, width: int, octaves: int, per_octave: int, hop: int, window: int, sample_rate: int, lowest: float = 27.5
    ) -> None:
        super().__init__()
        self.hop, self.window = hop, window
        hertz_J = lowest * 2 ** (torch.arange(octaves * per_octave).double() / per_octave)
        angles = 2 * math.pi * hertz_J[:, None] / sample_rate * (torch.arange(window) - window // 2)
        fade = torch.hann_window(window, dtype=torch.float64) * (2 * hop / window)
        self.register_buffer("turns_J", hertz_J * hop / sample_rate, persistent=False)
        self.register_buffer("basis_JW", torch.cat([angles.cos(), -angles.sin()]).mul(fade).float(), persistent=False)
        self.project = nn.Linear(width, 2 * len(hertz_J))
        with torch.no_grad():  # it begins all but silent, with phases that don't meet in a click
            self.project.weight.mul_(0.1)
            golden_J = torch.arange(len(hertz_J)) * (math.pi * (5**0.5 - 1))
            self.project.bias.copy_(torch.cat([torch.full_like(golden_J, -9.0), golden_J % (2 * math.pi)]))

    def forward(self, hidden_BTD: Tensor, first: int = 0) -> Tensor:
        """``first`` is the frame of the whole sound that hidden_BTD begins with."""
        log_magnitude, phase = self.project(hidden_BTD).float().chunk(2, dim=-1)
        B, T, J = phase.shape
        frame_T = torch.arange(first, first + T, device=phase.device, dtype=torch.float64)
        turned_TJ = (frame_T[:, None] * self.turns_J % 1.0).to(phase.dtype) * (2 * math.pi)
        parts_BTJ = torch.polar(log_magnitude.clamp(max=2.0).exp(), phase + turned_TJ)
        with torch.autocast(phase.device.type, enabled=False):
            frames_BTW = torch.view_as_real(parts_BTJ).transpose(2, 3).reshape(B, T, 2 * J) @ self.basis_JW
        pieces = frames_BTW.view(B, T, self.window // self.hop, self.hop).unbind(2)
        total = sum(nn.functional.pad(piece, (0, 0, k, len(pieces) - 1 - k)) for k, piece in enumerate(pieces))
        assert isinstance(total, Tensor)
        start = self.window // 2
        return total.flatten(1)[:, start : start + T * self.hop]
