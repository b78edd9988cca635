"""A linear probe on embeddings that others made: a judge of one label, calibrated on pieces with known labels."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


class Probe:
    """Logistic regression that tells whether something is there; both answers weigh the same."""

    def __init__(self, features_ND: np.ndarray, truth_N: np.ndarray) -> None:
        """Calibrate on N pieces, of which at least five have it and five don't.

        ``accuracy`` is the mean of both hit rates in five-fold cross-validation: 0.5 is a guess, 1 is perfect.
        """
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        guesses = cross_val_predict(_machine(), features_ND, truth_N, cv=folds)
        self.accuracy = float(balanced_accuracy_score(truth_N, guesses))
        self._fitted = _machine().fit(features_ND, truth_N)

    def __call__(self, features_D: np.ndarray) -> bool:
        return bool(self._fitted.predict(features_D[None])[0])


def _machine() -> Pipeline:
    # Strong regularisation: there are about as many features as pieces.
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=500))
