"""How far the labels that a classifier hears in one clip are from those it hears in another. N pairs, V labels."""

import numpy as np

_LEAST = 1e-6


def softmax_kl(target_NV: np.ndarray, generated_NV: np.ndarray) -> np.ndarray:
    """KL(target || generated) of each pair's label distributions, the softmax of these logits: (N,), in nats.

    As audiocraft and audioldm_eval have it: 1e-6 is added to the generated probabilities, so it is at most about 14.
    """
    return _kl(_softmax(target_NV), _softmax(generated_NV))


def sigmoid_kl(target_NV: np.ndarray, generated_NV: np.ndarray) -> np.ndarray:
    """The same with each label's own probability, as audioldm_eval's second figure has it: (N,).

    These don't sum to 1, so it is no divergence and may be negative; it is here to compare with published numbers.
    """
    return _kl(_sigmoid(target_NV), _sigmoid(generated_NV))


def _kl(target_NV: np.ndarray, generated_NV: np.ndarray) -> np.ndarray:
    ratio_NV = np.log(np.maximum(target_NV, 1e-300)) - np.log(generated_NV + _LEAST)
    return (target_NV * ratio_NV).sum(-1)


def _softmax(logits_NV: np.ndarray) -> np.ndarray:
    raised_NV = np.exp(logits_NV.astype(np.float64) - logits_NV.max(-1, keepdims=True))
    return raised_NV / raised_NV.sum(-1, keepdims=True)


def _sigmoid(logits_NV: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(logits_NV.astype(np.float64) / 2)
