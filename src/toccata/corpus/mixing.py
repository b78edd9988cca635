"""The band's mixing desk: tone, place, room, bus compression, loudness. Linear up to one gain over time, so that stems
and room still add up to the mix.

Waves are float32 (2, samples).
"""

from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal import lfilter

CEILING = 0.97
_BLOCK = 2048


class Channel(NamedTuple):
    """A strip of the desk: ``loudness`` in LUFS against the other stems, ``pan`` -1 to 1, ``width`` 0 (mono) upward,
    ``treble_db`` against bass, ``send_db`` into the room."""

    loudness: float
    pan: float
    width: float
    treble_db: float
    send_db: float


class Room(NamedTuple):
    """A reverberation: seconds until 60 dB down, pre-delay in seconds, and how fast its treble dies (0-1)."""

    seconds: float
    predelay: float
    damping: float


def place(wave_CN: np.ndarray, channel: Channel, sample_rate: int) -> np.ndarray:
    """One stem through its strip; silence stays silence."""
    measured = loudness(wave_CN, sample_rate, every=2)
    gain = 10 ** ((channel.loudness - measured) / 20) if measured > -70 else 0.0
    side, angle = channel.width, (channel.pan + 1) * np.pi / 4
    spread = np.array([[1 + side, 1 - side], [1 - side, 1 + side]]) / 2
    balance = np.array([[np.cos(angle)], [np.sin(angle)]]) * np.sqrt(2)
    # Two taps make the gentlest of shelves: treble against bass by ``treble_db``, unchanged half-way up.
    share = (1 - 10 ** (channel.treble_db / 20)) / (1 + 10 ** (channel.treble_db / 20))
    placed_CN = (gain * balance * spread).astype(np.float32) @ wave_CN
    shelved_CN = placed_CN.copy()
    shelved_CN[:, 1:] += np.float32(share) * placed_CN[:, :-1]
    return shelved_CN


def loudness(wave_CN: np.ndarray, sample_rate: int, every: int = 1) -> float:
    """Loudness in LUFS, within about half a unit of ITU-R BS.1770-4: blocks are weighted by frequency, and blocks more
    than 10 below the mean of the audible ones don't count. -inf for silence. Only ``every``-th block is looked at.
    """
    blocks = max(wave_CN.shape[1] // _BLOCK, 1)
    framed_CBN = np.pad(wave_CN, ((0, 0), (0, max(_BLOCK - wave_CN.shape[1], 0))))[:, : blocks * _BLOCK]
    framed_CBN = framed_CBN.reshape(2, blocks, _BLOCK)[:, ::every]
    spectrum = np.abs(np.asarray(rfft(framed_CBN))) ** 2
    energy_B = (spectrum @ _weighting(sample_rate)).sum(0) * (2 / _BLOCK**2)
    level_B = -0.691 + 10 * np.log10(energy_B + 1e-12)
    audible = level_B > -70
    if not audible.any():
        return float("-inf")
    gate = -0.691 + 10 * np.log10(energy_B[audible].mean()) - 10
    return float(-0.691 + 10 * np.log10(energy_B[audible & (level_B > gate)].mean()))


def _weighting(sample_rate: int) -> np.ndarray:
    """Power gain of the K curve per bin: its high-pass at 38 Hz and its shelf of 4 dB above 1.7 kHz."""
    hertz = rfftfreq(_BLOCK, 1 / sample_rate)
    highpass = hertz**4 / (hertz**2 + 38.0**2) ** 2
    shelf = 1 + (10**0.4 - 1) * hertz**4 / (hertz**4 + 1500.0**4)
    return (highpass * shelf).astype(np.float32)


def reverberate(send_N: np.ndarray, room: Room, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """What the room answers to a mono send: (2, samples), as long as the send.

    Computed at half the rate: a room swallows the top octave anyway.
    """
    frames = len(send_N)
    send_N = np.pad(send_N, (0, frames % 2)).reshape(-1, 2).mean(1)
    answer_CN = _impulse(room, rng, sample_rate // 2)
    size = next_fast_len(len(send_N) + answer_CN.shape[1] - 1, real=True)
    answered = np.asarray(rfft(send_N, size)) * np.asarray(rfft(answer_CN, size))
    half_CN = np.asarray(irfft(answered, size), np.float32)[:, : len(send_N) + 1]
    out_CN = np.empty((2, 2 * len(send_N)), np.float32)
    out_CN[:, ::2] = half_CN[:, :-1]
    out_CN[:, 1::2] = (half_CN[:, :-1] + half_CN[:, 1:]) / 2
    return out_CN[:, :frames]


def _impulse(room: Room, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """A synthetic impulse response of unit energy: noise that decays, its treble faster than its bass."""
    frames = int(room.seconds * sample_rate)
    noise_CN = rng.standard_normal((2, frames), dtype=np.float32)
    pole = np.float32(0.2 + 0.6 * room.damping)
    dark_CN = lfilter(np.array([1 - pole], np.float32), np.array([1, -pole], np.float32), noise_CN)
    seconds_N = np.arange(frames, dtype=np.float32) / sample_rate
    slow_N = np.exp(-6.9 * seconds_N / room.seconds)
    fast_N = np.exp(-6.9 * seconds_N / (room.seconds * (1 - 0.7 * room.damping)))
    answer_CN = np.roll(noise_CN * fast_N * 0.5 + dark_CN * slow_N, int(room.predelay * sample_rate), axis=1)
    answer_CN[:, : int(room.predelay * sample_rate)] = 0
    return answer_CN / np.sqrt((answer_CN**2).sum(1, keepdims=True))


def master_gain(mix_CN: np.ndarray, target: float, ratio: float, fade: int, sample_rate: int) -> np.ndarray:
    """The gain over time (samples,) that compresses a mix by ``ratio``, brings it to ``target`` LUFS and keeps every
    peak under ``CEILING``, closing with a fade of ``fade`` samples."""
    hop = sample_rate // 100
    peak_N = np.maximum(np.abs(mix_CN[0]), np.abs(mix_CN[1]))
    level_T = np.maximum(_block_maximum(peak_N, hop), 1e-5)
    coarse_T = _compression(level_T, ratio)
    gain_N = _between(coarse_T, hop, mix_CN.shape[1])
    gain_N *= 10 ** ((min(target - loudness(mix_CN * gain_N, sample_rate), 60.0)) / 20)
    over_T = _block_maximum(peak_N * gain_N, hop)
    limit_T = np.minimum(CEILING / np.maximum(over_T, CEILING), 1.0)
    gain_N *= _between(_lowest_around(limit_T), hop, mix_CN.shape[1])
    gain_N[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
    return gain_N


def _compression(level_T: np.ndarray, ratio: float) -> np.ndarray:
    """Gain per block: what stands above the usual level is held back, recovering over about 0.2 s."""
    smooth = lfilter([0.08], [1, -0.92], level_T)
    held = np.maximum(smooth, level_T * 0.5)
    threshold = max(float(np.percentile(held, 60)), 1e-4)
    return (np.maximum(held / threshold, 1.0) ** (1 / ratio - 1)).astype(np.float32)


def _block_maximum(wave_N: np.ndarray, hop: int) -> np.ndarray:
    padded = np.pad(wave_N, (0, -len(wave_N) % hop))
    return padded.reshape(-1, hop).max(1)


def _lowest_around(gain_T: np.ndarray) -> np.ndarray:
    padded = np.pad(gain_T, 2, mode="edge")
    return np.minimum.reduce([padded[k : k + len(gain_T)] for k in range(5)])


def _between(gain_T: np.ndarray, hop: int, frames: int) -> np.ndarray:
    """Straight lines through gains per block: never above the higher of two neighbours' lower ends in a block."""
    edges = np.minimum(np.append(gain_T, gain_T[-1]), np.insert(gain_T, 0, gain_T[0])).astype(np.float32)
    slope = np.diff(edges)[:, None] * (np.arange(hop, dtype=np.float32) / hop)
    return (edges[:-1, None] + slope).reshape(-1)[:frames]
