"""Sound from pictures without phase: mels back to magnitudes, magnitudes to waves (checked against librosa).

Shapes: B batch, N samples, T frames, M mel bands, F frequency bins.
"""

import torch
from torch import Tensor

_TINY = 1e-12


def from_mels(mel_BMT: Tensor, filters_MF: Tensor, steps: int = 50) -> Tensor:
    """Magnitudes (B, F, T) that are not negative and whose mels are ``mel_BMT``, as nearly as least squares find.

    By multiplicative updates (Lee and Seung 2001, theorem 1) from each band spread over its bins; bins that no filter
    hears stay 0.
    """
    heard_FM, weight_F1 = filters_MF.T, filters_MF.sum(0)[:, None]
    # Of equal areas, filters of high bands are low: undo that before a band is spread.
    level_BMT = mel_BMT / filters_MF.sum(1)[:, None]
    found = (heard_FM @ level_BMT) / weight_F1.clamp(min=_TINY)
    wanted = heard_FM @ mel_BMT
    for _ in range(steps):
        found = found * wanted / (heard_FM @ (filters_MF @ found)).clamp(min=_TINY)
    return found


def griffin_lim(
    magnitude_BFT: Tensor,
    hop: int,
    phase_BFT: Tensor,
    steps: int = 32,
    momentum: float = 0.99,
    known_BN: Tensor | None = None,
) -> Tensor:
    """wave_BN, N = (T - 1) x hop, whose STFT (Hann, centred) has these magnitudes, as nearly as ``steps`` find.

    The fast algorithm (Perraudin et al. 2013): what one step changes is added again, ``momentum`` / (1 + ``momentum``)
    times. It begins with ``phase_BFT``, in radians. A wave that is ``known_BN`` at its beginning stays as it is there,
    and what follows joins it.
    """
    n_fft = 2 * (magnitude_BFT.shape[1] - 1)
    window = torch.hann_window(n_fft, device=magnitude_BFT.device)

    def wave(spectrum_BFT: Tensor) -> Tensor:
        made_BN = torch.istft(spectrum_BFT, n_fft, hop, window=window)
        return made_BN if known_BN is None else torch.cat([known_BN, made_BN[:, known_BN.shape[1] :]], dim=1)

    spectrum, before = torch.polar(magnitude_BFT, phase_BFT), torch.zeros((), device=magnitude_BFT.device)
    for _ in range(steps):
        rebuilt = torch.stft(
            wave(spectrum), n_fft, hop, window=window, center=True, pad_mode="constant", return_complex=True
        )
        ahead = rebuilt - momentum / (1 + momentum) * before
        spectrum, before = magnitude_BFT * ahead / ahead.abs().clamp(min=_TINY), rebuilt
    return wave(spectrum)
