"""What a clip does over time: when it ends, whether it comes back to something, whether it moves on.

Shapes: N samples, T frames, M mel bands.
"""

import numpy as np
import torch

from toccata.audio.mel import log_mel

FRAME_RATE = 4.0
_N_FFT, _BANDS, _PER_FRAME = 2048, 32, 4
_SILENCE = 10 ** (-60 / 20)
_SHORTEST_LAG = 2.0


def sounding_seconds(wave_N: np.ndarray, sample_rate: int) -> float:
    """Until when it sounds: the end of the last 50 ms whose root mean square is above -60 dBFS; 0 for silence."""
    size = max(sample_rate // 20, 1)
    padded = np.pad(wave_N.astype(np.float64), (0, -len(wave_N) % size)).reshape(-1, size)
    heard = np.flatnonzero(np.sqrt(np.square(padded).mean(1)) > _SILENCE)
    return min(float(heard[-1] + 1) * size, len(wave_N)) / sample_rate if len(heard) else 0.0


def frames_of(wave_N: np.ndarray, sample_rate: int) -> np.ndarray:
    """Natural logarithms of 32 mel bands, four frames a second: (T, M). At least a quarter of a second of sound."""
    hop = round(sample_rate / FRAME_RATE / _PER_FRAME)
    mel_MT = log_mel(torch.from_numpy(wave_N)[None], sample_rate, _N_FFT, hop, _BANDS)[0].numpy()
    count = mel_MT.shape[1] // _PER_FRAME
    return mel_MT[:, : count * _PER_FRAME].reshape(_BANDS, count, _PER_FRAME).mean(2).T


def returns(frames_TM: np.ndarray, frame_rate: float = FRAME_RATE) -> float:
    """How well the clip repeats itself: the best mean cosine of its frames with those a fixed time before.

    Frames less their mean (Foote 1999's self-similarity, along a diagonal), lags from 2 s to half of the clip. 1 for an
    exact loop, about 0 for noise and for what never comes back; 0 where the clip is shorter than 4 s.
    """
    away_TM = frames_TM - frames_TM.mean(0)
    length_T = np.linalg.norm(away_TM, axis=1)
    if length_T.max(initial=0.0) < 1e-6:
        return 0.0
    unit_TM = away_TM / np.maximum(length_T, 1e-9)[:, None]
    lags = range(round(_SHORTEST_LAG * frame_rate), len(unit_TM) // 2 + 1)
    return max((float((unit_TM[lag:] * unit_TM[:-lag]).sum(1).mean()) for lag in lags), default=0.0)


def change(frames_TM: np.ndarray) -> float:
    """How far the last quarter is from the first: the mean absolute difference of their mean spectra, in dB."""
    quarter = max(len(frames_TM) // 4, 1)
    apart_M = frames_TM[:quarter].mean(0) - frames_TM[-quarter:].mean(0)
    return float(np.abs(apart_M).mean() * 20 / np.log(10))


def fingerprint(frames_TM: np.ndarray, seconds: float = 8.0) -> np.ndarray:
    """The beginning as one vector of unit length (zeros for silence): the cosine of two is 1 for copies, however loud.

    Each band less its own mean, so that two clips of one timbre are not alike for that.
    """
    frames = round(seconds * FRAME_RATE)
    first_TM = np.zeros((frames, frames_TM.shape[1]))
    heard_TM = frames_TM[:frames]
    first_TM[: len(heard_TM)] = heard_TM - heard_TM.mean(0)
    length = np.linalg.norm(first_TM)
    return (first_TM.ravel() / length if length > 1e-6 else first_TM.ravel()).astype(np.float32)
