"""scikit-learn estimators for sequences; the attribute `model_` of each is its network."""

try:
    import sklearn  # noqa: F401
except ImportError as _error:
    from gatewise.errors import MissingPackageError

    raise MissingPackageError(
        "gatewise's estimators need scikit-learn 1.6 or later: "
        "python -m pip install 'gatewise[sklearn]'"
    ) from _error

from .classifier import SequenceClassifier
from .display import LearningCurve
from .encoder import SequenceEncoder
from .forecasting.display import ForecastDisplay
from .forecasting.forecaster import SequenceForecaster
from .generator import SequenceGenerator
from .loading import load_estimator
from .registry import register as _register
from .regressor import SequenceRegressor
from .saving import save_estimator
from .scoring import get_scorer
from .tagger import SequenceTagger
from .transcriber import SequenceTranscriber
from .translator import SequenceTranslator

__all__ = [
    "ForecastDisplay",
    "LearningCurve",
    "SequenceClassifier",
    "SequenceEncoder",
    "SequenceForecaster",
    "SequenceGenerator",
    "SequenceRegressor",
    "SequenceTagger",
    "SequenceTranscriber",
    "SequenceTranslator",
    "get_scorer",
    "load_estimator",
    "save_estimator",
]

_register(
    SequenceClassifier,
    SequenceEncoder,
    SequenceForecaster,
    SequenceGenerator,
    SequenceRegressor,
    SequenceTagger,
    SequenceTranscriber,
    SequenceTranslator,
)
