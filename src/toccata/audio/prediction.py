"""How a recording would go on by itself: linear prediction (Makhoul 1975; as concealment: Kauppinen and Roth 2002).

Shapes: C channels, N samples.
"""

import numpy as np

ORDER, HEARD = 1024, 16_384  # coefficients, and samples that they are found in


def foretold(wave_CN: np.ndarray, count: int) -> np.ndarray:
    """``count`` samples that go on from the end of ``wave_CN``: its tones ring on and die away.

    Of each channel, every sample is the sum of those before it by the weights that predict the last ones best, by the
    autocorrelation method. Never louder than the loudest sample there was.
    """
    found_CN = np.zeros((len(wave_CN), count), np.float32)
    for channel, wave_N in enumerate(wave_CN[:, -HEARD:].astype(np.float64)):
        order = min(ORDER, len(wave_N) // 2)
        loudest = np.abs(wave_N).max(initial=0)
        if not (count and order and loudest):
            continue
        weights_P = _weights(wave_N * np.hanning(len(wave_N) + 2)[1:-1], order)[::-1]
        line_N = np.concatenate([wave_N[-order:], np.zeros(count)])
        for place in range(order, order + count):
            line_N[place] = weights_P @ line_N[place - order : place]
        found_CN[channel] = line_N[order:].clip(-loudest, loudest)
    return found_CN


def _weights(wave_N: np.ndarray, order: int) -> np.ndarray:
    """Of the last ``order`` samples, the newest first: solves the normal equations, whose matrix is Toeplitz."""
    spectrum_F = np.fft.rfft(wave_N, 2 * len(wave_N))
    alike_P = np.fft.irfft(np.abs(spectrum_F) ** 2)[: order + 1]
    alike_P[0] *= 1 + 1e-9  # as if of a little noise, so that there is one solution
    apart_PP = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    return np.linalg.solve(alike_P[apart_PP], alike_P[1:])
