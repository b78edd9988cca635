"""Levels of sound."""

import numpy as np

_TAIL_SECONDS = 0.5
_HIGH_PASS_GAIN = 1.0049949  # the standard's at 48 kHz, whose numerator is not scaled


def peak_limit(samples: np.ndarray, peak: float = 1.0) -> np.ndarray:
    """``samples``, scaled down as a whole where their largest magnitude is above ``peak``; never scaled up."""
    loudest = float(np.abs(samples).max(initial=0.0))
    return np.clip(samples * np.float32(peak / loudest), -peak, peak) if loudest > peak else samples


def loudness(samples_CN: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness in LUFS of one or two channels (ITU-R BS.1770-4); -inf for silence.

    Blocks of 400 ms, a quarter of that apart, count where they are louder than -70 LUFS and than the mean of those less
    10 LU. What is shorter than a block is one.
    """
    filtered_CN = _k_weighted(samples_CN, sample_rate)
    block = max(1, min(round(0.4 * sample_rate), filtered_CN.shape[1]))
    energy_N = np.concatenate([[0.0], np.cumsum(np.square(filtered_CN).sum(0))])
    starts_B = np.round(np.arange(0, len(energy_N) - block, max(block / 4, 1))).astype(int)
    power_B = (energy_N[starts_B + block] - energy_N[starts_B]) / block
    loud_B = power_B > _power(-70.0)
    if not loud_B.any():
        return -np.inf
    loud_B &= power_B > power_B[loud_B].mean() / 10
    return float(10 * np.log10(power_B[loud_B].mean()) - 0.691)


def _power(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)


def _k_weighted(samples_CN: np.ndarray, sample_rate: int) -> np.ndarray:
    """The standard's two filters, a shelf for the head and a high-pass, at any rate: their analogue prototypes through
    the bilinear transform. Applied to the spectrum; both have died away before the end of the silence added."""
    count = samples_CN.shape[1]
    padded = 2 ** int(np.ceil(np.log2(count + _TAIL_SECONDS * sample_rate)))
    z = np.exp(-2j * np.pi * np.arange(padded // 2 + 1) / padded)
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    k, q = np.tan(np.pi * 1681.974450955533 / sample_rate), 0.7071752369554196
    shelf = _quadratic(z, k, q, high, band, 1.0) / _quadratic(z, k, q)
    k, q = np.tan(np.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    cut = _HIGH_PASS_GAIN * _quadratic(z, k, q, 1.0, 0.0, 0.0) / _quadratic(z, k, q)
    return np.fft.irfft(np.fft.rfft(samples_CN.astype(np.float64), padded) * shelf * cut, padded)[:, :count]


def _quadratic(z: np.ndarray, k: float, q: float, high: float = 1.0, band: float = 1.0, low: float = 1.0) -> np.ndarray:
    """high s^2 + band s k/q + low k^2 at s = (1 - z) / (1 + z), times (1 + z)^2; z is a delay of one sample."""
    return high * np.square(1 - z) + band * k / q * (1 - z) * (1 + z) + low * k * k * np.square(1 + z)
