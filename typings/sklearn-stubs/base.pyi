# Types of the scikit-learn classes that gatewise derives from, for `pyright --verifytypes` in
# .ci/lint alone: scikit-learn has no types, and with unknown bases the check knows no estimator.
# They are not installed, because users have more without them: their pyright reads scikit-learn's
# own source, in which an estimator of gatewise is a BaseEstimator, and their mypy knows what
# gatewise annotates. The package scikit-learn-stubs 0.0.3 leaves these bases unknown, and a class
# of our own in their place would not be accepted where scikit-learn's is expected.
from typing import Any, Self

class BaseEstimator:
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...

class ClassifierMixin:
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...

class RegressorMixin:
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...

class TransformerMixin:
    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any: ...
    def set_output(self, *, transform: str | None = None) -> Self: ...

class ClassNamePrefixFeaturesOutMixin:
    def get_feature_names_out(self, input_features: Any = None) -> Any: ...
