"""CSVLogger: its table beside that of Keras; runs that go on; hostile files."""

import csv
import os

import numpy as np
import pytest

from gatewise.callbacks import CSVLogger
from gatewise.errors import CheckpointError, ConfigError, DTypeError, TrainingWarning


def run(
    logger,
    epochs,
    state=None,
    initial_epoch=0,
    logs=lambda epoch: {"loss": epoch / 2, "val_loss": epoch / 4},
):
    logger.set_params({"epochs": 100, "initial_epoch": initial_epoch, "steps": 1, "verbose": 0})
    logger.on_train_begin()
    if state is not None:
        logger.set_state(state)
    for epoch in epochs:
        logger.on_epoch_end(epoch, logs(epoch))
    logger.on_train_end()
    return logger


def rows(path):
    return [int(line.split(",")[0]) for line in path.read_text().splitlines()[1:]]


def keras_tables(folder, cases):
    import os

    import keras

    texts = []
    for number, (options, runs) in enumerate(cases):
        path = os.path.join(folder, f"{number}.csv")
        for epochs in runs:
            logger = keras.callbacks.CSVLogger(path, **options)
            logger.on_train_begin()
            for epoch, logs in epochs:
                logger.on_epoch_end(epoch, logs)
            logger.on_train_end()
        texts.append(open(path, newline="").read())
    return texts


def test_beside_keras(tmp_path, keras_rival):
    epochs = [
        (n, {"loss": 1 / (n + 1), "acc": 0.25, "val_loss": 0.1, "val_acc": float("nan")})
        for n in range(3)
    ]
    bare = [(0, {"loss": 1.5}), (1, {"loss": 2.5, "val_loss": 3.0})]
    cases = [
        ({}, [epochs]),
        ({"separator": ";"}, [epochs]),
        ({}, [bare]),
        ({"append": True}, [epochs[:2], epochs[2:]]),
        ({}, [epochs, bare]),
    ]
    (tmp_path / "keras").mkdir()
    for number, ((options, runs), theirs) in enumerate(
        zip(cases, keras_rival.run(keras_tables, str(tmp_path / "keras"), cases))
    ):
        path = tmp_path / f"{number}.csv"
        for epochs in runs:
            logger = CSVLogger(path, **options)
            run(logger, [epoch for epoch, _ in epochs], logs=dict(epochs).get)
        assert path.read_text() == theirs.replace("\r\n", "\n")


def test_a_row_is_there_at_once(tmp_path):
    path = tmp_path / "log.csv"
    logger = CSVLogger(path)
    logger.set_params({"initial_epoch": 0})
    logger.on_train_begin()
    for epoch in range(3):
        logger.on_epoch_end(epoch, {"loss": 1.0})
        assert rows(path) == list(range(epoch + 1))


def test_arrays_and_other_values(tmp_path):
    path = tmp_path / "log.csv"
    run(
        CSVLogger(path),
        [0],
        logs=lambda epoch: {
            "f1": np.array([0.5, 1]),
            "n": np.float32(2),
            "text": 'a,"b"',
            "none": None,
            "zero": np.array(3.0),
            "val_x": [1, 2],
        },
    )
    header, row = csv.reader(path.read_text().splitlines())
    assert dict(zip(header, row)) == {
        "epoch": "0",
        "f1": "[0.5, 1.0]",
        "n": "2.0",
        "text": 'a,"b"',
        "none": "",
        "zero": "3.0",
        "val_x": "[1, 2]",
    }


@pytest.mark.parametrize("append", [False, True])
def test_resumed_after_a_crash(append, tmp_path):
    """Rows written after the checkpoint are those that come again."""
    path = tmp_path / "log.csv"
    state = run(CSVLogger(path), range(3)).get_state()
    run(CSVLogger(path, append=True), range(3, 6))  # the run goes on, past its checkpoint
    with open(path, "a") as file:
        file.write("6,0.")  # and dies while it writes
    run(CSVLogger(path, append=append), range(3, 5), state, initial_epoch=3)
    assert rows(path) == [0, 1, 2, 3, 4]
    assert path.read_text().count("epoch") == 1


def test_resumed_before_the_first_row(tmp_path):
    path = tmp_path / "log.csv"
    run(CSVLogger(path), range(4))
    again = CSVLogger(path, append=True)
    again.set_params({"initial_epoch": 0})
    again.on_train_begin()
    state = again.get_state()  # in the middle of the first epoch of a second run
    run(CSVLogger(path, append=True), range(2))
    run(CSVLogger(path, append=True), range(3), state)
    assert rows(path) == [0, 1, 2, 3, 0, 1, 2]  # the first run is still there
    run(CSVLogger(path), range(2), {"lines": 0})
    assert rows(path) == [0, 1]


def test_appended_from_a_later_epoch(tmp_path):
    """Without a state, as with weights alone.

    The rows that come again are cut, those of older runs stay.
    """
    path = tmp_path / "log.csv"
    run(CSVLogger(path), range(5))
    run(CSVLogger(path, append=True), range(4))
    run(CSVLogger(path, append=True), range(2, 4), initial_epoch=2)
    assert rows(path) == [0, 1, 2, 3, 4, 0, 1, 2, 3]


def test_resumed_where_the_file_is_gone_or_shorter(tmp_path):
    path = tmp_path / "log.csv"
    run(CSVLogger(path), [7], {"lines": 5}, initial_epoch=7)
    assert rows(path) == [7]
    run(CSVLogger(path), [8], {"lines": 50}, initial_epoch=8)
    assert rows(path) == [7, 8]


def test_columns_of_the_file_stay(tmp_path):
    path = tmp_path / "log.csv"
    run(CSVLogger(path), [0])
    with pytest.warns(
        TrainingWarning, match=r"has the columns \['loss', 'val_loss'\]: mae cannot be added"
    ):
        run(CSVLogger(path, append=True), [1], logs=lambda epoch: {"mae": 3.0, "loss": 2.0})
    assert path.read_text() == "epoch,loss,val_loss\n0,0.0,0.0\n1,2.0,NA\n"


def test_a_logger_can_be_used_again(tmp_path):
    path = tmp_path / "log.csv"
    logger = CSVLogger(path)
    run(logger, range(3))
    run(logger, range(2), logs=lambda epoch: {"acc": 1.0, "val_acc": 1.0})
    assert path.read_text() == "epoch,acc,val_acc\n0,1.0,1.0\n1,1.0,1.0\n"


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot write .*nowhere/log.csv'"):
        run(CSVLogger(tmp_path / "nowhere" / "log.csv"), [0])
    with pytest.raises(CheckpointError, match="cannot write"):
        run(CSVLogger(tmp_path), [0])
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\n")
    with pytest.raises(CheckpointError, match="cannot write"):
        run(CSVLogger(tmp_path / "bytes", append=True), [0])
    if os.path.exists("/dev/full"):
        with pytest.raises(
            CheckpointError, match="cannot write '/dev/full': No space left on device"
        ):
            run(CSVLogger("/dev/full"), [0])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((3,), DTypeError, "filename is 3"),
        (("x", ""), ConfigError, "separator is ''; expected one character"),
        (("x", "ab"), ConfigError, "separator is 'ab'"),
        (("x", "\n"), ConfigError, "separator is"),
        (("x", 3), DTypeError, "separator is 3"),
        (("x", ",", "yes"), DTypeError, "append is 'yes'"),
    ],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        CSVLogger(*arguments)
