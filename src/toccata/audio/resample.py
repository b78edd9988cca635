"""Rates and channels."""

import numpy as np
import soxr


def resample(samples_CN: np.ndarray, rate: int, to_rate: int) -> np.ndarray:
    """(channels, samples) at ``rate`` Hz as float32 at ``to_rate`` Hz, by soxr's high-quality filter."""
    if rate == to_rate:
        return samples_CN
    return np.ascontiguousarray(soxr.resample(samples_CN.T, rate, to_rate, quality="HQ").T, dtype=np.float32)


def resample_loop(samples_CN: np.ndarray, length: int) -> np.ndarray:
    """One turn of a loop (channels, samples) as ``length`` samples, float32: by Fourier series, which have no ends."""
    count = samples_CN.shape[1]
    below_half = (min(length, count) + 1) // 2  # of the lower rate
    spectrum_CF = np.fft.rfft(samples_CN.astype(np.float64))[:, :below_half]
    return (np.fft.irfft(spectrum_CF, length) * (length / count)).astype(np.float32)


def to_channels(samples_CN: np.ndarray, channels: int) -> np.ndarray:
    """(channels, samples) as 1 channel, their mean, or as ``channels`` copies of it."""
    if len(samples_CN) == channels:
        return samples_CN
    return np.repeat(samples_CN.mean(axis=0, keepdims=True), channels, axis=0)
