"""How a listening test plays its clips, so that nothing but the music tells them apart: equal loudness, rate, channels
and length, in a file without a name.

Shapes: C channels, N samples.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from toccata.audio.io import encode
from toccata.audio.loudness import loudness, peak_limit
from toccata.audio.resample import resample, to_channels
from toccata.clip import FADE_SECONDS, Clip, fade_out
from toccata.errors import InputError, ToccataError
from toccata.evaluation.matching import Material
from toccata.evaluation.sets import Item

TARGET_LUFS = -14.0  # MusicGen's (arXiv 2306.05284, section 4)
_QUIETEST_TARGET = -30.0
_HEADROOM_DB = 1.0
_HIGHEST_RATE = 48_000
_DAMAGE_DB = 10.0
_NOISY = 0.1


@dataclass(frozen=True)
class Playback:
    """How to play: every clip at ``lufs`` and ``rate`` in Hz, in stereo; those of a prompt as long as its shortest.

    ``plain`` are (prompt, set) of clips that noise would spoil: neither silent nor noise themselves.
    """

    lufs: float
    rate: int
    seconds: tuple[float, ...]
    plain: tuple[tuple[int, int], ...]

    def sound(self, item: Item, prompt: int) -> bytes:
        """The clip as a .wav: of one length and size for all clips of the prompt, without tags."""
        return self._encoded(self._whole(item, prompt), prompt)

    def damaged(self, item: Item, prompt: int, rng: np.random.Generator) -> bytes:
        """The clip under white noise 10 dB louder than it is, as loud in all as any other."""
        samples_CN = self._whole(item, prompt)
        level = 10 ** (_DAMAGE_DB / 20) * np.sqrt(np.square(samples_CN, dtype=np.float64).mean())
        noise_CN = rng.normal(0, max(level, 1e-3), samples_CN.shape)
        return self._encoded(peak_limit((samples_CN + noise_CN).astype(np.float32)), prompt)

    def _whole(self, item: Item, prompt: int) -> np.ndarray:
        clip = item.load()
        return resample(_stereo(clip, self.seconds[prompt]), clip.sample_rate, self.rate)

    def _encoded(self, samples_CN: np.ndarray, prompt: int) -> bytes:
        wave_CN = np.zeros((2, round(self.seconds[prompt] * self.rate)), np.float32)
        heard = min(wave_CN.shape[1], samples_CN.shape[1])
        wave_CN[:, :heard] = samples_CN[:, :heard]
        if np.isfinite(now := loudness(wave_CN, self.rate)):
            wave_CN = peak_limit(wave_CN * np.float32(10 ** ((self.lufs - now) / 20)))
        fade_out(wave_CN, 0, int(FADE_SECONDS * self.rate))
        return encode(wave_CN, self.rate, ".wav", {})


@dataclass(frozen=True)
class _Heard:
    lufs: float
    headroom: float
    rate: int
    plain: bool


def prepare(
    material: Material, longest: float, progress: Callable[[float, float], None] = lambda done, total: None
) -> tuple[Material, Playback, list[str]]:
    """Hear every clip once: what can be played, how, and what there is to tell.

    A clip that can't be decoded takes its prompt out of the test. ``longest`` in seconds cuts longer clips. Loudness is
    -14 LUFS, or less where peaks would not fit. Raises ``InputError`` where nothing is left.
    """
    kept, seconds, heard, notes, cut = [], [], [], [], 0
    for prompt, row in enumerate(material.clips):
        try:
            clips = [item.load() for item in row]
        except ToccataError as error:
            notes.append(f"left out, with its prompt: {error}")
        else:
            shortest = min([longest, *(clip.seconds for clip in clips)])
            cut += sum(clip.seconds > shortest + 0.01 for clip in clips)
            heard.append([_hear(clip, shortest) for clip in clips])
            seconds.append(shortest)
            kept.append(prompt)
        progress(prompt + 1, len(material.clips))
    if not kept:
        raise InputError(f"none of the prompts has clips that can all be played: {notes[0].partition(': ')[2]}")
    if cut:
        notes.append(f"{cut} clips are longer than their prompt's shortest or --seconds, and are played up to there")
    everyone = [one for row in heard for one in row]
    reach = [one.lufs + one.headroom for one in everyone if np.isfinite(one.lufs)]
    lufs = max(_QUIETEST_TARGET, min([TARGET_LUFS, *reach]))
    if lufs < TARGET_LUFS:
        notes.append(f"all clips are played at {lufs:.1f} LUFS: at {TARGET_LUFS:g} the peaks of some would not fit")
    if short := sum(most < lufs for most in reach):
        notes.append(f"{short} clips have such peaks that they stay quieter than the others")
    if silent := len(everyone) - len(reach):
        notes.append(f"{silent} clips are silent; listeners will hear that")
    plain = tuple((p, s) for p, row in enumerate(heard) for s, one in enumerate(row) if one.plain)
    left = replace(
        material,
        prompts=tuple(material.prompts[p] for p in kept),
        clips=tuple(material.clips[p] for p in kept),
    )
    rate = min(_HIGHEST_RATE, max(one.rate for one in everyone))
    return left, Playback(lufs, rate, tuple(seconds), plain), notes


def _stereo(clip: Clip, seconds: float) -> np.ndarray:
    return to_channels(clip.samples[:, : round(seconds * clip.sample_rate)], 2)


def _hear(clip: Clip, seconds: float) -> _Heard:
    wave_CN = _stereo(clip, seconds)
    lufs, peak = loudness(wave_CN, clip.sample_rate), float(np.abs(wave_CN).max(initial=1e-9))
    headroom = -20 * np.log10(peak) - _HEADROOM_DB
    flat = _flatness(wave_CN.mean(0), clip.sample_rate)
    return _Heard(lufs, headroom, clip.sample_rate, bool(np.isfinite(lufs)) and flat < _NOISY)


def _flatness(wave_N: np.ndarray, sample_rate: int) -> float:
    """Geometric over arithmetic mean of the power from 100 Hz to 8 kHz: .56 for white noise, below .05 for music."""
    power = np.square(np.abs(np.fft.rfft(wave_N.astype(np.float64))))
    hertz = np.fft.rfftfreq(len(wave_N), 1 / sample_rate)
    band = power[(hertz >= 100) & (hertz <= 8000)] + 1e-12
    return float(np.exp(np.log(band).mean()) / band.mean()) if band.size else 1.0
