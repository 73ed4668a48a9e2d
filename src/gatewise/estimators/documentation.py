"""The parameters that estimators share, documented once."""

PARAMETERS = """cell : {"lstm", "gru", "rnn"}
        What a recurrent layer computes.
    units : int
        Of each recurrent layer.
    num_layers : int
        Recurrent layers, one above the other.
    bidirectional : bool
        Each layer reads its sequence in both directions.
    dropout : float in [0, 1)
        Part of the outputs of each recurrent layer that is set to zero in training.
    recurrent_dropout : float in [0, 1)
        Part of the state that is, in the recurrent product: one draw a sequence.
    alpha : float
        L2 penalty on kernels: ``alpha / 2`` times their sum of squares, divided by the samples of a batch, is added to the loss.
    optimizer : str or Optimizer
        A name, or an optimizer, of which a copy is used; ``learning_rate_init`` and ``clipnorm`` mean nothing to the latter.
    learning_rate : {"constant", "cosine", "adaptive"}
        "cosine" goes down along half a cosine over ``max_iter`` passes; all of them are run, unless ``early_stopping`` ends
        them. "adaptive" is divided by 5 each time that training would end. ``partial_fit`` has a constant rate.
    learning_rate_init : float
    clipnorm : float, optional
        Largest norm of the whole gradient; a larger one is scaled down.
    batch_size : int or "auto"
        Samples in a batch. "auto": all of up to 32; of more so many that a pass makes 16 steps, at least 8, at most 32.
    max_iter : int
        Most passes over the samples.
    shuffle : bool
        Draw the order of the samples anew for each pass.
    early_stopping : bool
        Hold out part of the samples, end training when their score no longer rises, and keep the best weights.
    validation_fraction : float in (0, 1)
        How many of them.
    n_iter_no_change : int
        Training ends after more passes than these without an improvement by ``tol``.
    tol : float
    warm_start : bool
        ``fit`` goes on from the weights of the last one.
    dtype : {"auto", "float32", "float64"}
        What the model computes in. "auto": float64 where a batch holds all samples, else float32.
    random_state : int, RandomState or None
        Every random draw follows from it: initial weights, held-out samples, order, dropout.
    verbose : bool, 0, 1 or 2
        True, 1: a line a pass, and in a terminal or notebook a bar with the time left, as models show them. 2: lines alone.
    n_jobs : int, optional
        Threads. None: :func:`gatewise.get_num_threads`; -1: all processors. Results are the same bits for any number."""

READING = """embedding : int, optional
        X holds whole numbers, tokens from 0 up, and each becomes a vector of this size that is learned.
    vocabulary_size : int, optional
        How many tokens there are with ``embedding``. None: the largest in ``fit``, and one.
    missing : {"error", "forward_fill", "mean", "mask", "indicator", "decay"}
        What is done about NaN in X. "forward_fill" puts the last value seen in its place, "mean" the feature's mean in training;
        "mask" leaves steps with a missing value out; "indicator" gives the network, beside the value, whether it was seen and how
        long ago; "decay", with ``cell="gru"``, makes the first layer a GRU-D (Che et al. 2018), which learns how fast values
        age."""

POOLING = """pooling : {"last", "mean", "max"}
        What sums up the steps of the last layer: its output at the last step, or the mean or maximum over all steps.
        docs/estimators.md says which for what."""

_NAMES = """
        "recurrent", or None: the layers that the parameters describe. "convolution": before them, one over 5 steps.
        "attention": after them, each step looks at all others (Luong et al. 2015), and the mean, or maximum, sums them up.
        "normalization": after each of them, its outputs are normalised (Ba et al. 2016)."""

NAMED_ARCHITECTURE = f"architecture : str, optional{_NAMES}"

ARCHITECTURE = f"""architecture : str or callable, optional{_NAMES}
        A function makes the layers instead: called with n_steps, n_features and n_outputs, it gives a list of
        :mod:`gatewise.layers` objects that ends in n_outputs scores; the activation of the output is added. With ``embedding`` an
        Embedding is put before them, and n_features is the size of its vectors. The other parameters that describe layers, and
        ``alpha``, mean nothing then."""

ATTRIBUTES = """model_ : Sequential
        The network.
    n_features_in_ : int
        Columns of a table of rows that are sequences, else features of a step.
    feature_names_in_ : ndarray
        Names of the columns, where they are all strings.
    n_outputs_ : int
    out_activation_ : str
    loss_ : float
        Of the last pass.
    loss_curve_ : list of float
        Of each pass.
    best_loss_ : float or None
        The lowest of them; None with early stopping.
    validation_scores_ : list of float or None
        With early stopping: the score of each pass.
    best_validation_score_ : float or None
    n_iter_ : int
        Passes of the last fit.
    t_ : int
        Samples seen in training."""


def documented(cls):
    """Class decorator: puts the shared parameters and attributes into the docstring."""
    if cls.__doc__:  # None under python -OO
        for name, text in (
            ("PARAMETERS", PARAMETERS),
            ("READING", READING),
            ("POOLING", POOLING),
            ("ARCHITECTURE", ARCHITECTURE),
            ("NAMED_ARCHITECTURE", NAMED_ARCHITECTURE),
            ("ATTRIBUTES", ATTRIBUTES),
        ):
            cls.__doc__ = cls.__doc__.replace(f"{{{name}}}", text)
    return cls
