"""Does a clip fit its text? N clips with a text each, D dimensions, T frames, C pitch classes."""

from collections.abc import Sequence

import numpy as np


def text_fit(audio_ND: np.ndarray, text_ND: np.ndarray) -> np.ndarray:
    """Cosine of each clip's embedding with that of its own text: (N,), from -1 to 1.

    By a CLAP its mean is the CLAP score, by a MuLan it is MuLan cycle consistency (arXiv 2301.11325, section 5.2).
    """
    return (_unit(audio_ND) * _unit(text_ND)).sum(1)


def other_text_fit(audio_ND: np.ndarray, text_ND: np.ndarray, texts: Sequence[str]) -> float:
    """The mean cosine of every clip with every text that is not its own: all shuffles of the prompts at once.

    0 where all texts are one.
    """
    near_NN = _unit(audio_ND) @ _unit(text_ND).T
    words = np.array(texts)
    others_NN = words[:, None] != words[None]
    return float(near_NN[others_NN].mean()) if others_NN.any() else 0.0


def chroma_cosine(target_TC: np.ndarray, generated_TC: np.ndarray) -> float:
    """Mean cosine of both clips' pitch classes, frame by frame, as far as both last; a silent frame counts 0.

    Of one-hot frames (MusicGen's chroma cosine similarity, arXiv 2306.05284, table 3) it is the share that agree, 1/12
    by chance.
    """
    frames = min(len(target_TC), len(generated_TC))
    return float((_unit(target_TC[:frames]) * _unit(generated_TC[:frames])).sum(1).mean()) if frames else 0.0


def _unit(rows_ND: np.ndarray) -> np.ndarray:
    rows = rows_ND.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
