"""Begin an autoencoder that works on frames with what a SoundStream of that kind has learnt of mono sound."""

import math

import torch
from torch import Tensor, nn

from toccata.codecs.autoencoder import Autoencoder
from toccata.codecs.frames import FrameDecoder, SpectrumEncoder, StereoDecoder, StereoEncoder
from toccata.codecs.soundstream import SoundStream
from toccata.errors import InputError

FIRST_SPREAD = 0.3  # of latents of unit variance: about what a quantiser leaves
QUIET = -3.0  # added to log-magnitudes


@torch.no_grad()
def take_over(codec: Autoencoder, trained: SoundStream) -> None:
    """The middle then sounds as from ``trained``'s unquantised latents; its top and the sides are all but silent.

    Raises ``InputError`` where either works on samples, or their frames last another time.
    """
    encoder, decoder = codec.encoder, codec.decoder
    if not (isinstance(encoder, StereoEncoder) and isinstance(decoder, StereoDecoder)):
        raise InputError("this preset does not work on frames, so it can't start from a codec; leave start out")
    if not (isinstance(trained.encoder, SpectrumEncoder) and isinstance(trained.decoder, FrameDecoder)):
        raise InputError("the codec to start from does not work on frames; give one such as soundstream-mini")
    mine, its = decoder.sizes, trained.decoder.sizes
    if any(getattr(mine, name) * its.sample_rate != getattr(its, name) * mine.sample_rate for name in ("n_fft", "hop")):
        raise InputError("the codec to start from has frames of another length")
    _same(encoder, trained.encoder, ("lift", "fine", "merge", "blocks", "norm"))
    _latents(encoder.project, trained.encoder.project, trained.norm)
    _same(decoder, trained.decoder, ("lift", "blocks", "split", "fine", "norm"))
    _spectrum(decoder.head.project, trained.decoder.head.project, math.log(mine.n_fft / its.n_fft))
    if decoder.bank is not None and trained.decoder.bank is not None:
        _oscillators(decoder.bank.project, trained.decoder.bank.project)


def _same(mine: nn.Module, its: nn.Module, names: tuple[str, ...]) -> None:
    for name in names:
        getattr(mine, name).load_state_dict(getattr(its, name).state_dict())


def _latents(mine: nn.Linear, its: nn.Linear, norm: nn.BatchNorm1d) -> None:
    """Means are the latents as the quantiser's norm leaves them; the spread is one and the same for all."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    size_D = (norm.running_var + norm.eps).sqrt()
    (mean_DM, width_DM), (mean_D, width_D) = mine.weight.chunk(2), mine.bias.chunk(2)
    mean_DM.copy_(its.weight / size_D[:, None])
    mean_D.copy_((its.bias - norm.running_mean) / size_D)
    width_DM.zero_()
    width_D.fill_(math.log(math.expm1(FIRST_SPREAD)))


def _spectrum(mine: nn.Linear, its: nn.Linear, louder: float) -> None:
    """Bins are as wide in Hz, so the first ones are the same; longer windows sum to more."""
    bins = its.out_features // 2
    for old, new in ((its.weight, mine.weight), (its.bias, mine.bias)):
        for known, rows in zip(old.chunk(2), new.chunk(2), strict=True):
            rows.mul_(0.1)
            rows[:bins].copy_(known)
    loudness_F: Tensor = mine.bias.chunk(2)[0]
    loudness_F[:bins] += louder
    loudness_F[bins:] += QUIET


def _oscillators(mine: nn.Linear, its: nn.Linear) -> None:
    """The same pitches; those that are new stay silent."""
    for old, new in ((its.weight, mine.weight), (its.bias, mine.bias)):
        for known, rows in zip(old.chunk(2), new.chunk(2), strict=True):
            pitches = min(len(known), len(rows))
            rows[:pitches].copy_(known[:pitches])
