"""Calls under a limit on the address space, run by test_memory.py in a process for each family.

``starved`` makes one call again and again, with a little more memory each time, until it succeeds.
"""

import ctypes
import resource
import tempfile
import warnings
from pathlib import Path

import numpy as np

from gatewise import (
    Input,
    SequenceClassifier,
    SequenceEncoder,
    SequenceForecaster,
    SequenceRegressor,
    SequenceTagger,
    Sequential,
    callbacks,
    data,
    layers,
    load_estimator,
    load_model,
    optimizers,
    save_estimator,
    set_num_threads,
    utils,
)
from gatewise.cells import FullGateLSTMCell
from gatewise.errors import SizeError

MIB = 2**20
ROOMS = (0, 0.3, 1, 2, 4, 8, 16, 45, 90, 200)  # MiB, one after the other
PAGE = resource.getpagesize()


def used():
    """Bytes of address space that the process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * PAGE


REFUSED = []  # messages of all calls that failed


def under(room, call):
    """What the call gives, or the exception, with `room` bytes of address space left."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used() + room, before[1]))
    try:
        return call()
    except Exception as error:
        return error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def starved(name, call, intact=lambda: None, says="", fails=True):
    """Raise unless the call raises SizeErrors and changes nothing, until there is enough memory.

    `intact` gives arrays that must be the same before and after a call that failed. `says` is in
    one of the messages, if there are several. With `fails` False the call may find the little that
    it needs in memory that was freed before.
    """
    seen = []
    for room in ROOMS:
        before = [np.array(array) for array in intact() or []]
        found = under(int(room * MIB), call)
        if not isinstance(found, Exception):
            break
        if not isinstance(found, SizeError):
            raise AssertionError(f"{name}, {room} MiB: {type(found).__name__}: {found}") from found
        after = intact() or []
        if len(after) != len(before) or any(
            not np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after)
        ):
            raise AssertionError(
                f"{name}, {room} MiB: a call that failed has changed something: {found}"
            ) from found
        seen.append(str(found))
    else:
        raise AssertionError(f"{name}: fails with {ROOMS[-1]} MiB too: {found}") from found
    REFUSED.extend(seen)
    # What was freed before may be enough for the call; where the first refusal comes is chance
    # then.
    if fails and len(seen) > 2 and not any(says in text for text in seen):
        raise AssertionError(f"{name}: no message has {says!r}: {seen}")
    return found


def held(model):
    """Weights, what the optimizer has accumulated, its steps, and the states of layers."""
    states = [
        array
        for layer in model.layers
        if layer._has_state and layer._state
        for array in layer._state
    ]
    return [
        *model.get_weights(),
        *(model.optimizer.slots().values() if model.optimizer else ()),
        np.array(model.optimizer.iterations if model.optimizer else 0),
        *states,
    ]


X = np.random.default_rng(0).standard_normal((32, 100, 64)).astype(np.float32)  # 0.8 MiB
Y = X[:, 0, :1].copy()
ROWS = len(X)


def small_model(*more, units=128, **options):
    model = Sequential(
        [Input((None, 64)), layers.LSTM(units, name="memory", **options), *more, layers.Dense(1)],
        seed=1,
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def train():
    model = small_model()
    starved(
        "train_on_batch",
        lambda: model.train_on_batch(X, Y),
        lambda: held(model),
        says="Sequential.train_on_batch",
    )
    starved(
        "fit",
        lambda: model.fit(X, Y, batch_size=ROWS, verbose=0),
        lambda: held(model),
        says="Sequential.fit",
    )
    assert len(model.history.history["loss"]) == 1
    stateful = small_model(stateful=True)
    starved("stateful", lambda: stateful.train_on_batch(X, Y), lambda: held(stateful))


def steps():
    model = Sequential(
        [
            Input((1000,)),
            layers.Dense(400, kernel_constraint="unit_norm"),
            layers.BatchNormalization(),
            layers.Dense(1),
        ],
        seed=1,
    )
    optimizer = optimizers.AdamW(clipnorm=0.1, gradient_accumulation_steps=2, use_ema=True)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, "mse")
    x, y = np.random.default_rng(1).standard_normal((8, 1000)), np.zeros((8, 1))
    for number in range(2):  # gradients are held back, then a step is made
        starved(f"call {number}", lambda: model.train_on_batch(x, y), lambda: held(model))


def infer():
    """Inference, and gradients without a step."""
    model, x = small_model(return_sequences=True), X.astype(np.float64)
    Y = X[:, :, :1]
    y = model.predict(X)
    for name, call in [
        ("predict", lambda: model.predict(X, batch_size=ROWS)),
        ("predict of float64", lambda: model.predict(x)),
        ("evaluate", lambda: model.evaluate(X, Y, batch_size=ROWS)),
        ("a call", lambda: model(X)),
        ("test_on_batch", lambda: model.test_on_batch(X, Y)),
        ("compute_gradients", lambda: model.compute_gradients(X, Y)),
    ]:
        starved(
            name,
            call,
            lambda: held(model),
            says="memory does not hold" if "64" in name else "layer 'memory'",
        )
    assert np.array_equal(model.predict(X), y)


def blas():
    """Layers so wide that SciPy's BLAS makes the products of the backward pass."""
    warnings.simplefilter("ignore", RuntimeWarning)  # threads may be refused as well
    x, y = np.zeros((64, 600), np.float32), np.zeros((64, 1), np.float32)
    for threads in (2, 1):
        set_num_threads(threads)
        model = Sequential([Input((600,)), layers.Dense(700, name="wide"), layers.Dense(1)], seed=1)
        model.compile("sgd", "mse")
        if threads == 2:
            under(0, lambda: model.train_on_batch(x, y))
            starved(
                "first",
                lambda: model.train_on_batch(x, y),
                lambda: held(model),
                says="in training: unable to allocate",
            )
        else:
            assert not isinstance(under(8 * MIB, lambda: model.train_on_batch(x, y)), Exception)
    wide = Sequential([Input((None, 8)), layers.LSTM(600), layers.Dense(1)], seed=1)
    wide.compile("sgd", "mse")
    x, y = np.zeros((256, 8, 8)), np.zeros((256, 1))
    starved("recurrent", lambda: wide.train_on_batch(x, y), lambda: held(wide))


def numpy_blas():
    """Cells that are written in NumPy."""
    x = np.random.default_rng(0).standard_normal((64, 20, 32)).astype(np.float32)
    layer = layers.RNN(FullGateLSTMCell(128))
    layer.build((None, None, 32))
    starved(
        "forward", lambda: layer.forward(x, training=True), layer.get_weights, says="RNN.forward"
    )
    layer.backward(np.ones((64, 128), np.float32))


def build():
    def make():
        model = Sequential([layers.LSTM(150), layers.Dense(1)], seed=1)
        model.build((None, None, 64))
        return model

    starved("build", make, says="Sequential.build")
    model = Sequential([layers.LSTM(150), layers.Dense(1)], seed=1)
    starved("build again", lambda: model.build((None, None, 64)))
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), make().get_weights()))
    weights = [np.array(w, np.float64) + 1 for w in model.get_weights()]
    starved(
        "set_weights",
        lambda: model.set_weights(weights),
        model.get_weights,
        says="Sequential.set_weights",
    )
    starved("get_weights", model.get_weights, model.get_weights)
    layer = layers.GRU(150)
    starved("layer build", lambda: layer.build((None, None, 64)), says="GRU.build")


def alone():
    for layer in [
        layers.LSTM(128, return_sequences=True),
        layers.GRU(128),
        layers.Dense(200),
        layers.Conv1D(64, 5),
        layers.LayerNormalization(),
        layers.BatchNormalization(),
        layers.Attention(),
        layers.Bidirectional(layers.GRU(64)),
        layers.Dropout(0.5),
        layers.MaxPooling1D(2),
        layers.TimeDistributed(layers.Dense(64)),
    ]:
        name = type(layer).__name__
        x = [X, X] if name == "Attention" else X
        y = starved(
            f"{name} forward", lambda: layer.forward(x, training=True), says=f"{name}.forward"
        )
        dy = np.ones_like(y)

        def again_and_back(layer=layer, x=x, dy=dy):
            layer.forward(x, training=True)
            resource.setrlimit(
                resource.RLIMIT_AS,
                (used() + int(0.3 * MIB), resource.getrlimit(resource.RLIMIT_AS)[1]),
            )
            return layer.backward(dy)

        found = under(200 * MIB, again_and_back)  # the backward pass alone has too little
        assert isinstance(found, SizeError) or not isinstance(found, Exception), found
        layer.forward(x, training=True)
        layer.backward(dy)


def files():
    model = small_model(units=150)
    model.train_on_batch(X[:2], Y[:2])
    with tempfile.TemporaryDirectory() as folder:
        path, other = Path(folder) / "a.safetensors", Path(folder) / "b.safetensors"
        model.save(path)
        before = path.read_bytes()
        starved("save", lambda: model.save(path), lambda: held(model))
        assert path.read_bytes() == before
        starved("load_model", lambda: load_model(path))
        starved("save_weights", lambda: model.save_weights(other), lambda: held(model), fails=False)
        starved("load_weights", lambda: model.load_weights(path), lambda: held(model), fails=False)
        model.fit(X[:4], Y[:4], verbose=0, callbacks=[callbacks.ModelCheckpoint(path)], epochs=1)
        warnings.simplefilter("ignore")
        starved(
            "resume",
            lambda: model.fit(
                X[:4],
                Y[:4],
                verbose=0,
                epochs=2,
                resume_from=path,
                callbacks=[callbacks.ModelCheckpoint(other)],
            ),
            lambda: held(model),
        )


def prepare():
    rows = list(np.zeros((64, 500, 16)))
    for transformer in [
        data.SequenceScaler(),
        data.SequencePadder(),
        data.FrameStacker(4),
        data.Windower(10),
    ]:
        name = type(transformer).__name__
        starved(f"{name} transform", lambda: transformer.fit(rows).transform(rows), says=f"{name}.")
    series, sound, numbers = np.zeros((50000, 4)), np.zeros(16000 * 60), np.arange(3000)
    starved("windows", lambda: data.windows(series, 20), says="windows")
    starved(
        "pad_sequences",
        lambda: utils.pad_sequences(rows, dtype="float64"),
        says="of shape (64, 500, 16)",
    )
    starved(
        "to_categorical",
        lambda: utils.to_categorical(numbers, 3000),
        says="3000 labels of 3000 classes",
    )
    values = np.full((64, 500, 32), np.nan)
    values[:, ::2] = 0
    starved("fill_forward", lambda: data.fill_forward(values, None), says="fill_forward")
    data.log_mel(sound[:16000], 16000)  # what is loaded on first use is there
    starved("log_mel", lambda: data.log_mel(sound, 16000), says="log_mel")


def estimator(kind, targets):
    rows, y = list(X), targets(np.arange(ROWS) % 2)
    made = kind(units=64, max_iter=1, random_state=0, batch_size=ROWS)
    warnings.simplefilter("ignore")  # of training that has not converged
    starved("fit", lambda: made.fit(rows, y), says=f"{kind.__name__}.fit")
    for method in ("partial_fit", "predict", "predict_proba", "transform", "score"):
        if hasattr(made, method):
            arguments = (rows, y) if method in ("partial_fit", "score") else (rows,)
            starved(
                method,
                lambda: getattr(made, method)(*arguments),
                lambda: held(made.model_),
                says=f"{kind.__name__}.{method}",
            )
    return made


def classifier():
    made = estimator(SequenceClassifier, lambda labels: labels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        save_estimator(made, path)
        starved("save_estimator", lambda: save_estimator(made, path), lambda: held(made.model_))
        starved("load_estimator", lambda: load_estimator(path))


def regressor():
    estimator(SequenceRegressor, lambda labels: labels * 1.0)


def tagger():
    estimator(SequenceTagger, lambda labels: [np.repeat(label, X.shape[1]) for label in labels])


def encoder():
    estimator(SequenceEncoder, lambda labels: labels)


def forecaster():
    warnings.simplefilter("ignore")  # of training that has not converged
    y = np.sin(np.arange(5000) / 5)
    made = SequenceForecaster(
        window=50,
        horizon=5,
        strategy="recursive",
        units=8,
        max_iter=1,
        random_state=0,
        batch_size=256,
        distribution="gaussian",
    )
    starved("fit", lambda: made.fit(y), says="SequenceForecaster.fit")
    more = np.sin(np.arange(400000) / 5)
    for method, arguments, options in [
        ("predict", (), {"horizon": 200}),
        ("predict_interval", (), {"n_paths": 20000}),
        ("score", (y,), {}),
        ("backtest", (y,), {"initial": 4000, "step": 500}),
        ("update", (more,), {}),
    ]:
        call = lambda: getattr(made, method)(*arguments, **options)  # noqa: E731
        if method == "predict":  # takes next to nothing
            under(0, call)
        else:
            starved(method, call, lambda: held(made.model_), says=f"SequenceForecaster.{method}")


def run(family):
    ctypes.CDLL(None).mallopt(
        -3, 2**16
    )  # M_MMAP_THRESHOLD: what is freed is given back, and an array takes its size
    warnings.simplefilter("error")
    set_num_threads(1)
    globals()[family]()
    if not REFUSED:
        raise AssertionError(f"{family}: no call needed memory: the test has nothing to show")
