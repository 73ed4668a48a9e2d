"""Every metric over two batches."""

import numpy as np

from gatewise import metrics

from .registry import case

METRICS = {
    "AUC": ("binary", [{}, {"curve": "PR"}, {"num_thresholds": None}, {"multi_label": True}]),
    "Accuracy": ("rounded", [{}]),
    "BinaryAccuracy": ("binary", [{}, {"threshold": 0.3}]),
    "CategoricalAccuracy": ("one hot", [{}]),
    "CosineSimilarity": ("numbers", [{}]),
    "F1Score": ("one hot", [{}, {"average": "macro"}, {"average": "micro", "threshold": 0.4}]),
    "FBetaScore": ("one hot", [{"beta": 2.0}, {"average": "weighted", "beta": 0.5}]),
    "MeanAbsoluteError": ("numbers", [{}]),
    "MeanAbsolutePercentageError": ("positive", [{}]),
    "MeanSquaredError": ("numbers", [{}]),
    "MeanSquaredLogarithmicError": ("positive", [{}]),
    "Perplexity": ("classes", [{}, {"from_logits": True}]),
    "Precision": ("binary", [{}, {"thresholds": [0.3, 0.6]}, {"class_id": 1}, {"top_k": 2}]),
    "R2Score": ("numbers", [{}, {"class_aggregation": None}, {"num_regressors": 2}]),
    "Recall": ("binary", [{}, {"thresholds": [0.3, 0.6]}, {"class_id": 1}]),
    "RootMeanSquaredError": ("numbers", [{}]),
    "SparseCategoricalAccuracy": ("classes", [{}]),
    "SparseTopKCategoricalAccuracy": ("classes", [{"k": 2}]),
    "SymmetricMeanAbsolutePercentageError": ("positive", [{}]),
    "TopKCategoricalAccuracy": ("one hot", [{"k": 2}]),
}


def _batch(kind, seed):
    rng = np.random.default_rng(seed)
    y, p = rng.normal(size=(9, 3)), rng.normal(size=(9, 3))
    if kind == "positive":
        return abs(y) + 0.1, abs(p)
    if kind == "rounded":
        return y.round(), p.round()
    if kind == "binary":
        return (y > 0) * 1.0, rng.random((9, 3))
    if kind == "one hot":
        return np.eye(3)[rng.integers(0, 3, 9)], rng.dirichlet(np.ones(3), 9)
    if kind == "classes":
        return rng.integers(0, 3, 9), rng.dirichlet(np.ones(3), 9)
    return y, p


def _run(name, kind, options, dtype):
    metric = getattr(metrics, name)(**options)
    found = {}
    for seed in range(2):
        y, p = _batch(kind, seed)
        metric.update_state(y, p.astype(dtype))
        found[f"after {seed}"] = metric.result()
    if name != "R2Score":
        weights = np.random.default_rng(5).uniform(0, 1, 9) * (np.arange(9) != 4)
        metric.update_state(*_batch(kind, 2), weights)
        found["weighted"] = metric.result()
    metric.reset_state()
    found["alone"] = metric(*_batch(kind, 3))
    return found


for _name, (_kind, _choices) in METRICS.items():
    for _number, _options in enumerate(_choices):
        for _dtype in ("float32", "float64"):
            case(
                f"metrics/{_name}/{_number}/{_dtype}",
                lambda n=_name, k=_kind, o=_options, d=_dtype: _run(n, k, o, d),
            )


@case("metrics/LabelErrorRate")
def _label_error_rate():
    p = np.random.default_rng(0).dirichlet(np.ones(4), (3, 6))
    metric = metrics.LabelErrorRate(beam_width=2)
    return {"value": metric([[1, 2], [3], [2, 1, 1]], p), "name": metric.name}
