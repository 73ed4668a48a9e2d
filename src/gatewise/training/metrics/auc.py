"""Area under the ROC and the precision-recall curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from ..targets import ROUNDING, YesOrNo
from .sums import SummedMetric, chosen, one_hot, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, Config

EPSILON = 1e-7  # how far the outermost thresholds lie beyond 0 and 1, as in Keras


class AUC(SummedMetric):
    """Area under a curve of decisions ``y_pred > threshold`` over all thresholds.

    With thresholds, the area is that of Keras: weights are summed between thresholds, and memory
    does not grow. ``num_thresholds=None`` takes every score that occurs for a threshold: the ROC
    area is then exact (that of scikit-learn), memory grows with the number of different scores, and
    they need not lie in [0, 1].

    Parameters
    ----------
    num_thresholds : int or None, default 200
        At least 2, evenly spaced in [0, 1].
    curve : {"ROC", "PR"}, default "ROC"
        Which curve.
    summation_method : {"interpolation", "minoring", "majoring"}, default "interpolation"
        Between thresholds the curve is interpolated, or taken at its lower or upper end.
        Interpolation of PR is that of Davis and Goadrich (2006).
    name : str, optional
        Default "auc".
    thresholds : list of float, optional
        In [0, 1], instead of evenly spaced ones.
    multi_label : bool, default False
        True: a curve for each output, and the mean of their areas. False: all outputs make one
        curve.
    num_labels : int, optional
        The number of outputs that is expected, with `multi_label`. None: any.
    label_weights : list of float, optional
        A weight for each output. None: all weigh the same.
    from_logits : bool, default False
        Whether predictions are scores before a sigmoid.

    Raises
    ------
    ConfigError
        Two options exclude each other.

    Examples
    --------
    >>> from gatewise.metrics import AUC
    >>> AUC(num_thresholds=None)([[0], [0], [1], [1]], [[0.1], [0.4], [0.35], [0.8]])
    0.75
    """

    num_labels: int | None
    exact: bool
    multi_label: bool
    label_weights: list[float] | None
    curve: str
    thresholds: list[float] | None
    summation_method: str
    from_logits: bool
    num_thresholds: int | None
    default_name = "auc"
    direction: str | None = "up"
    _sparse = None
    _takes = YesOrNo(soft=False)
    _elementwise = True

    def __init__(
        self,
        num_thresholds: int | None = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        self.num_thresholds = (
            None
            if num_thresholds is None
            else checks.whole_number(num_thresholds, "num_thresholds", 2)
        )
        self.thresholds = (
            None
            if thresholds is None
            else sorted(
                checks.number(value, "thresholds", 0.0, 1.0)
                for value in checks.listed(thresholds, "thresholds", "numbers")
            )
        )
        self.exact = self.num_thresholds is None and self.thresholds is None
        self._parts = ("positives", "negatives", *(("scores",) if self.exact else ()))
        super().__init__(name)
        self.curve = chosen(
            curve.upper() if isinstance(curve, str) else curve, "curve", ("ROC", "PR")
        )
        self.summation_method = chosen(
            summation_method, "summation_method", ("interpolation", "minoring", "majoring")
        )
        self.multi_label = checks.flag(multi_label, "multi_label")
        self.num_labels = (
            None if num_labels is None else checks.whole_number(num_labels, "num_labels")
        )
        self.label_weights = (
            None
            if label_weights is None
            else [
                checks.number(value, "label_weights", 0.0)
                for value in checks.listed(label_weights, "label_weights", "numbers")
            ]
        )
        self.from_logits = checks.flag(from_logits, "from_logits")
        self._check_labels()
        if self.thresholds is not None:
            self._limits = np.array([-EPSILON, *self.thresholds, 1 + EPSILON])
        elif self.num_thresholds is not None:
            last = self.num_thresholds - 1
            self._limits = np.array([-EPSILON, *(np.arange(1, last) / last), 1 + EPSILON])

    def _check_labels(self) -> None:
        if self.label_weights == []:
            raise ConfigError("label_weights is empty; expected a number for each output, or None")
        if self.num_labels is not None and not self.multi_label:
            raise ConfigError("num_labels is given without multi_label=True; leave it out")
        if self.exact and self.multi_label:
            raise ConfigError(
                "num_thresholds is None and multi_label is True: the exact area is there for one"
                " curve; give num_thresholds, or an AUC for each output"
            )
        count = None if self.label_weights is None else len(self.label_weights)
        if None not in (self.num_labels, count) and count != self.num_labels:
            raise ConfigError(f"label_weights has {count} entries, num_labels is {self.num_labels}")

    # ---- sums

    def _add(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        outputs = y_pred.shape[-1]
        expected = self.num_labels or (
            None if self.label_weights is None else len(self.label_weights)
        )
        if expected not in (None, outputs):
            raise ShapeError(
                f"metric {self.name} is made for {expected} outputs, y_pred has {outputs}"
            )
        broken = np.isnan(y_pred)
        if broken.any():
            # NaN is above no threshold
            y_pred = np.where(broken, y_pred.dtype.type(-np.inf), y_pred)
        truth = (one_hot(y_true, outputs, self.name) if y_true.ndim == 1 else y_true) > 0.5
        weights = np.broadcast_to(1.0 if weights is None else weights[:, None], truth.shape)
        if self.label_weights is not None and not self.multi_label:
            weights = weights * self.label_weights
        if self.exact:
            self._merge(truth.ravel(), y_pred.ravel().astype(np.float64), weights.ravel())
        else:
            positives, negatives = self._histograms(truth, self._probabilities(y_pred), weights)
            self._accumulate(positives=positives, negatives=negatives)

    def _probabilities(self, y_pred: Array) -> Array:
        if not self.from_logits:
            inside = np.clip(y_pred, 0, 1)
            off = np.abs(inside - y_pred) > ROUNDING
            if off.any() and np.isfinite(y_pred[off]).any():
                checks.warn(
                    f"y_pred holds numbers below 0 or above 1, which metric {self.name} takes for 0"
                    " and 1: for scores use AUC(from_logits=True), or AUC(num_thresholds=None),"
                    " which takes any numbers"
                )
            return inside
        return 0.5 * (1 + np.tanh(0.5 * y_pred.astype(np.float64)))  # the sigmoid, without overflow

    def _histograms(self, truth: Array, y_pred: Array, weights: Array) -> list[Array]:
        """Weights of true and of false targets, by the number of thresholds below the prediction.

        Each is (buckets,), with `multi_label` (buckets, labels).
        """
        buckets = len(self._limits) + 1
        limits = self._limits.astype(np.float32) if y_pred.dtype == np.float32 else self._limits
        place = np.searchsorted(limits, y_pred, side="left")
        labels = truth.shape[-1] if self.multi_label else 1
        if self.multi_label:
            place = place * labels + np.arange(labels)
        sums = [
            _weights_at(place[side], weights[side], buckets * labels) for side in (truth, ~truth)
        ]
        return [values.reshape(buckets, labels) if self.multi_label else values for values in sums]

    def _merge(self, truth: Array, scores: Array, weights: Array) -> None:
        """Add scores to the sorted ones, equal ones to one entry."""
        fresh, place = np.unique(scores, return_inverse=True)
        sums = [_weights_at(place, weights * side, len(fresh)) for side in (truth, ~truth)]
        if not np.ndim(self._sums["scores"]):
            self._sums = {"scores": fresh, "positives": sums[0], "negatives": sums[1]}
            return
        known = self._sums["scores"]
        at = np.searchsorted(known, fresh)
        there = at < len(known)
        there[there] = known[at[there]] == fresh[there]
        merged = {"scores": np.insert(known, at[~there], fresh[~there])}
        for name, values in zip(("positives", "negatives"), sums):
            before = self._sums[name].copy()
            before[at[there]] += values[there]
            merged[name] = np.insert(before, at[~there], values[~there])
        self._sums = merged

    # ---- area

    def result(self) -> float:
        """The area so far; 0.0 before any batch.

        Returns
        -------
        float
            In [0, 1].
        """
        positives, negatives = self._sums["positives"], self._sums["negatives"]
        if not np.ndim(positives):
            return 0.0
        all_true, all_false = positives.sum(axis=0), negatives.sum(axis=0)
        # Entry i: what lies above threshold i; the lowest threshold of the exact curve lies below
        # all scores.
        above = [np.cumsum(values[::-1], axis=0)[::-1] for values in (positives, negatives)]
        if self.exact:
            tp, fp = (np.append(values, 0.0) for values in above)
        else:
            tp, fp = (values[1:] for values in above)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated_precision(tp, fp, all_true)
        elif self.curve == "PR":
            areas = self._area(ratio(tp, all_true), ratio(tp, tp + fp))
        else:
            areas = self._area(ratio(fp, all_false), ratio(tp, all_true))
        if not self.multi_label:
            return float(areas)
        weights = (
            np.ones(len(areas)) if self.label_weights is None else np.array(self.label_weights)
        )
        return ratio((areas * weights).sum(), weights.sum())

    def _area(self, x: Array, y: Array) -> Any:
        """Area under y over x, which fall along the first axis."""
        ends = y[:-1], y[1:]
        heights: dict[str, Any] = {
            "interpolation": lambda a, b: (a + b) / 2,
            "minoring": np.minimum,
            "majoring": np.maximum,
        }
        return ((x[:-1] - x[1:]) * heights[self.summation_method](*ends)).sum(axis=0)

    # ---- state and configuration

    def _state_fits(self, sums: dict[str, Any]) -> bool:
        shapes = {np.shape(value) for value in sums.values()}
        if len(shapes) > 1:
            return False
        shape = shapes.pop()
        if shape == ():
            return True
        if self.exact:
            return len(shape) == 1 and bool(np.all(sums["scores"][:-1] < sums["scores"][1:]))
        labels = () if not self.multi_label else (self.num_labels or shape[-1],)
        return shape == (len(self._limits) + 1, *labels)

    def get_config(self) -> Config:
        return super().get_config() | {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "thresholds": self.thresholds,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }


def _weights_at(places: Array, weights: Array, count: int) -> Array:
    """Sums of the weights at each of `count` places, float64.

    bincount alone would make integers of an empty batch.
    """
    return np.bincount(places, weights, count).astype(np.float64, copy=False)


def _interpolated_precision(tp: Array, fp: Array, all_true: Any) -> Any:
    """Area under precision over recall, interpolated.

    Between thresholds true positives rise linearly with all positives.

    In an interval from A to B, precision is (TP_B + slope (P - P_B)) / P, whose integral over TP is
    ``slope (TP_A - TP_B + (TP_B - slope P_B) log(P_A / P_B))``; constant precision where P_B is 0.
    """
    found = tp + fp
    rise, width = tp[:-1] - tp[1:], np.maximum(found[:-1] - found[1:], 0)
    slope = ratio(rise, width)
    intercept = tp[1:] - slope * found[1:]
    growth = np.where(
        (found[:-1] > 0) & (found[1:] > 0), ratio(found[:-1], np.maximum(found[1:], 0)), 1.0
    )
    return ratio(
        slope * (rise + intercept * np.log(growth)), np.broadcast_to(all_true, slope.shape)
    ).sum(axis=0)
