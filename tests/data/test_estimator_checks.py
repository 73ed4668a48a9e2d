"""scikit-learn's own checks of the transformers; those of Vocabulary are in test_text.py."""

from scikit_checks import with_scikit_checks

from gatewise.data import FrameStacker, SequencePadder, SequenceScaler, Windower

TRANSFORMERS = [
    SequenceScaler(),
    SequenceScaler("robust"),
    SequenceScaler("minmax"),
    SequenceScaler("minmax", clip=True),
    SequencePadder(),
    SequencePadder(7, padding="pre", truncating="pre", value=-1.0),
    FrameStacker(),
    FrameStacker(2, stride=2, fill="zero"),
    Windower(1),
    Windower(),
]

_FEWER = "a window is made of several steps, so there are fewer windows than steps"
_ORDER = "steps in another order are another series"
_ONE = "one step is no window"
EXPECTED = {
    "check_transformer_general": _FEWER,
    "check_transformer_data_not_an_array": _FEWER,
    "check_methods_sample_order_invariance": _ORDER,
    "check_methods_subset_invariance": _ONE,
}


def expected_failed_checks(estimator):
    """None but of windows longer than a step, which by their nature do not give a row for a row."""
    return EXPECTED if isinstance(estimator, Windower) and estimator.window > 1 else {}


@with_scikit_checks(TRANSFORMERS, expected_failed_checks=expected_failed_checks)
def test_check_estimator(estimator, check):
    check(estimator)
