"""How far a copy is from its original: log-mel distance, scale-invariant signal-to-distortion ratio, pitch classes."""

import librosa
import numpy as np

_FLOOR = 1e-5
_CHROMA_HOP = 2048


def log_mel_distance(original_N: np.ndarray, copy_N: np.ndarray, sample_rate: int, bands: int = 100) -> float:
    """Mean absolute difference of the natural logarithms of both mel spectrograms (nepers; 1 neper is 8.7 dB).

    Mono waves of equal length. Magnitudes of a 1,024-sample Hann window every 256 samples, no lower than 1e-5.
    """
    return float(np.abs(_log_mel(original_N, sample_rate, bands) - _log_mel(copy_N, sample_rate, bands)).mean())


def _log_mel(wave_N: np.ndarray, sample_rate: int, bands: int) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=wave_N, sr=sample_rate, n_fft=1024, hop_length=256, n_mels=bands, power=1.0, center=True
    )
    return np.log(np.maximum(mel, _FLOOR))


def si_sdr(original_N: np.ndarray, copy_N: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019, arXiv 1811.02508); both are centred first.

    A copy that is a scaled original gives infinity; one that shares nothing with it, minus infinity.
    """
    original = original_N.astype(np.float64) - original_N.mean(dtype=np.float64)
    copy = copy_N.astype(np.float64) - copy_N.mean(dtype=np.float64)
    target = original * (copy @ original / max(original @ original, 1e-20))
    error = copy - target
    with np.errstate(divide="ignore"):
        return float(10 * (np.log10(target @ target) - np.log10(error @ error)))


def chroma_correlation(original_N: np.ndarray, copy_N: np.ndarray, sample_rate: int) -> float:
    """Do the same pitch classes sound at the same time? Correlation of both chromas over the 12 classes, -1 to 1.

    Mono waves of equal length; librosa's constant-Q chroma. The mean over the frames of the original that are at most
    40 dB below its loudest one; 0 where there is none.
    """
    original_CT, copy_CT = (_centred_chroma(wave_N, sample_rate) for wave_N in (original_N, copy_N))
    loudness_T = librosa.feature.rms(y=original_N, frame_length=2 * _CHROMA_HOP, hop_length=_CHROMA_HOP)[0]
    heard_T = loudness_T > max(1e-2 * loudness_T.max(initial=0.0), 1e-6)
    return float((original_CT * copy_CT).sum(0)[heard_T].mean()) if heard_T.any() else 0.0


def _centred_chroma(wave_N: np.ndarray, sample_rate: int) -> np.ndarray:
    chroma_CT = librosa.feature.chroma_cqt(y=wave_N, sr=sample_rate, hop_length=_CHROMA_HOP, tuning=0.0)
    centred_CT = chroma_CT - chroma_CT.mean(0)
    return centred_CT / np.maximum(np.linalg.norm(centred_CT, axis=0), 1e-9)
