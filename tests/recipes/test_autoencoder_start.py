"""An autoencoder on frames begins as the mono codec whose weights it takes over."""

from dataclasses import replace

import pytest
import torch

from toccata.codecs import soundstream
from toccata.codecs.autoencoder import Autoencoder, AutoencoderConfig, mini
from toccata.codecs.frames import FrameSizes
from toccata.codecs.soundstream import SoundStream, SoundStreamConfig
from toccata.errors import InputError
from toccata.recipes.autoencoder_start import FIRST_SPREAD, take_over

SMALL = SoundStreamConfig(
    kind="frames", stride=960, latent=6, levels=2, vocabulary=4, encoder_width=16, encoder_depth=1, decoder_width=16,
    decoder_depth=1, synthesis_width=12, synthesis_depth=1, octaves=3, per_octave=12,
)  # fmt: skip


def trained() -> SoundStream:
    torch.manual_seed(0)
    codec = SoundStream(SMALL).eval()
    codec.norm.get_buffer("running_mean").normal_(std=0.5)
    codec.norm.get_buffer("running_var").uniform_(0.5, 2.0)
    torch.nn.init.normal_(codec.decoder.get_parameter("bank.project.bias"), std=2.0)
    return codec


def begun(**sizes) -> Autoencoder:
    torch.manual_seed(1)
    frames = replace(SMALL.frames, **sizes)
    return Autoencoder(AutoencoderConfig(sample_rate=frames.sample_rate, latent=6, frames=frames)).eval()


@torch.no_grad()
def test_the_middle_is_the_codecs_and_the_sides_are_quiet():
    codec, autoencoder = trained(), begun(octaves=4)
    take_over(autoencoder, codec)
    mono_BCN = torch.randn(1, 1, 24_000) * 0.2
    mean_BTD, spread_BTD = autoencoder.distribution(mono_BCN.expand(-1, 2, -1))
    assert torch.allclose(mean_BTD, codec.latents(mono_BCN), atol=1e-4)
    assert torch.allclose(spread_BTD, torch.full_like(spread_BTD, FIRST_SPREAD), atol=1e-3)
    middle_BCN = autoencoder.synthesise(mean_BTD).mean(1, keepdim=True)
    sound_BCN = codec.synthesise(mean_BTD)
    assert (middle_BCN - sound_BCN).norm() < 0.01 * sound_BCN.norm()  # the octave that is new is at -78 dB
    left_BN, right_BN = autoencoder.synthesise(mean_BTD).unbind(1)
    assert (left_BN - right_BN).norm() < 0.2 * (left_BN + right_BN).norm()


@torch.no_grad()
def test_at_another_rate_the_same_bins_sound_as_loud():
    codec = trained()
    autoencoder = begun(sample_rate=48_000, stride=1920, hop=480, n_fft=1920, mel_fft=2048, low_fft=8192)
    take_over(autoencoder, codec)
    latent_BTD = torch.randn(1, 20, 6)
    slow, fast = codec.synthesise(latent_BTD)[0, 0], autoencoder.synthesise(latent_BTD).mean(1)[0]
    spectra = [torch.stft(wave, n, n // 4, window=torch.hann_window(n), return_complex=True).abs().mean(1) / n
               for wave, n in ((slow, 960), (fast, 1920))]  # fmt: skip
    assert (spectra[0][2:400] - spectra[1][2:400]).norm() < 0.1 * spectra[0][2:400].norm()


def test_what_does_not_work_on_frames_is_refused():
    samples = Autoencoder(AutoencoderConfig(channels=4, decoder_channels=4, widths=(1, 2), strides=(4, 4), latent=6))
    with pytest.raises(InputError, match="leave start out"):
        take_over(samples, trained())
    with pytest.raises(InputError, match="does not work on frames"):
        take_over(begun(), SoundStream(replace(soundstream.full(), channels=2, latent=6, levels=2, vocabulary=4)))
    with pytest.raises(InputError, match="another length"):
        take_over(begun(sample_rate=48_000), trained())


def test_the_mini_can_start_from_the_codec_that_ships():
    sizes = mini().frames
    assert isinstance(sizes, FrameSizes)
    shipped = soundstream.load_soundstream(None)
    take_over(Autoencoder(mini()), shipped)
