"""A model with two inputs and three outputs, and its training: the same program for Keras."""

EPOCHS = 4
LOSSES = {
    "tag": "sparse_categorical_crossentropy",
    "score": "mse",
    "spam": "binary_crossentropy",
}
METRICS = {"tag": ["accuracy"], "score": ["mae", "mse"], "spam": ["binary_accuracy"]}


def model_of(layers, Model, case):
    """The model of a case, of the layers of either library."""
    words, scene = layers.Input((None, 3), name="words"), layers.Input((4,), name="scene")
    read = layers.Masking(9.0)(words) if case.get("masked") else words
    states = layers.LSTM(5, return_sequences=True, name="states")(read)
    last = layers.GRU(4, name="last")(states)
    joined = layers.Concatenate(name="joined")([last, scene])
    outputs = {
        "tag": layers.Dense(3, "softmax", name="tag")(states),
        "score": layers.Dense(1, name="score")(joined),
        "spam": layers.Dense(1, "sigmoid", name="spam")(joined),
    }
    return Model([words, scene], outputs if case.get("as_dict") else list(outputs.values()))


def trained(model, optimizers, case, given):
    """Logs of each epoch, what evaluate returns, and predictions by name of the output."""
    losses = {name: None if name == case.get("without") else LOSSES[name] for name in LOSSES}
    metrics = {name: used for name, used in METRICS.items() if losses[name] is not None}
    optimizer = case.get("optimizer", optimizers.SGD(0.3, momentum=0.5))
    if optimizer == "adamw":
        optimizer = optimizers.AdamW(
            0.01, weight_decay=0.5, use_ema=True, ema_overwrite_frequency=3
        )
    model.compile(optimizer, losses, metrics=metrics, loss_weights=case.get("loss_weights"))
    x = {name: given[name] for name in ("words", "scene")}
    y = {name: given[name] for name in LOSSES}
    part = tuple({name: array[:9] for name, array in arrays.items()} for arrays in (x, y))
    if not case.get("as_dict"):
        y, part = list(y.values()), (part[0], list(part[1].values()))
    options = {"batch_size": 22 if case.get("masked") else 8, "verbose": 0}
    weights = [given[f"weights of {name}"] for name in LOSSES]
    history = model.fit(
        x,
        y,
        epochs=EPOCHS,
        shuffle=False,
        validation_data=part,
        sample_weight=weights if case.get("weighted") else None,
        **options,
    ).history
    logs = {name: [float(value) for value in values] for name, values in history.items()}
    found = model.evaluate(x, y, return_dict=True, **options)
    values = {name: float(value) for name, value in found.items()}
    outputs = model.predict(x, verbose=0)
    return logs, values, outputs if isinstance(outputs, dict) else dict(zip(LOSSES, outputs))
