"""What scores, the output of a model before its last activation, say of classes. Scores are (..., outputs)."""

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax


def decided(scores, classes, several=False):
    """Class numbers (...,), or with `several` labels a sample 0 and 1 (..., classes)."""
    if several:
        return (scores > 0).astype(np.intp)
    if classes == 2:
        return (scores[..., 0] > 0).astype(np.intp)
    return scores.argmax(axis=-1)


def probabilities(scores, classes, several=False, *, log=False):
    """float64 (..., classes): probabilities, or their logarithms, which do not underflow."""
    scores = scores.astype(np.float64)
    if several or classes == 2:
        both = scores if several else np.concatenate([-scores, scores], axis=-1)
        return log_expit(both) if log else expit(both)
    return log_softmax(scores, axis=-1) if log else softmax(scores, axis=-1)
