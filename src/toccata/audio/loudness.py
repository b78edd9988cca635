"""Levels of sound."""

import numpy as np


def peak_limit(samples: np.ndarray, peak: float = 1.0) -> np.ndarray:
    """``samples``, scaled down as a whole where their largest magnitude is above ``peak``; never scaled up."""
    loudest = float(np.abs(samples).max(initial=0.0))
    return np.clip(samples * np.float32(peak / loudest), -peak, peak) if loudest > peak else samples
