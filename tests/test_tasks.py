"""The tasks run on made-up data.

Their readers, their figure of chunks, and the peer that is the same network.
"""

import io
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.tasks import __main__ as command
from benchmarks.tasks import (
    contenders,
    data,
    gun_point,
    japanese_vowels,
    snips_slots,
    surnames,
    task,
)

# ---- the command


# Those that are quick enough for every run; what they share is tested by them.
QUICK = {"japanese_vowels", "gun_point", "surnames", "snips_slots", "snips_joint", "spoken_letters"}
TASKS = [
    pytest.param(name, marks=[] if name in QUICK else pytest.mark.long) for name in command.NAMES
]


@pytest.mark.parametrize("name", TASKS)
def test_quick_run(name, monkeypatch):
    """Without any data; a contender that is not installed is named."""
    monkeypatch.setenv("GATEWISE_DATA", "/nowhere")
    chosen, out = command.load(name).TASK, io.StringIO()
    found = task.report(chosen, quick=True, out=out)
    assert task.OURS in found and all(math.isfinite(figure) for figure in found.values())
    lines = out.getvalue().splitlines()
    assert all(f"  {contender} " in out.getvalue() for contender in chosen.contenders)
    assert sum("left out" in line for line in lines) == len(chosen.contenders) - len(found)
    assert "figures mean nothing" in lines[0] and "reached" not in out.getvalue()


def test_a_seed_gives_the_same_figure_again():
    first, again = (
        task.report(surnames.TASK, (3,), True, task.OURS, io.StringIO()) for _ in range(2)
    )
    assert first == again and list(first) == [task.OURS]


def test_a_peer_that_is_missing_is_left_out():
    def missing(network, seed):
        raise ImportError("No module named 'torch'")

    chosen, out = japanese_vowels.TASK, io.StringIO()
    found = task.report(
        replace(chosen, contenders={**chosen.contenders, "PyTorch": missing}),
        quick=True,
        only="PyTorch",
        out=out,
    )
    assert "PyTorch" not in found and "left out: No module named 'torch'" in out.getvalue()


def test_verdict():
    assert "NOT" not in task.verdict(japanese_vowels.TASK, 0.95) and "NOT reached" in task.verdict(
        japanese_vowels.TASK, 0.949
    )


def test_list(capsys):
    command.main(["--list"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(command.NAMES)


@pytest.mark.parametrize(
    ("arguments", "words"), [(["chess"], "no task is called 'chess'"), ([], "say which")]
)
def test_what_does_not_exist(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert words in str(caught.value) + capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["gun_point", "spoken_digits", "surnames", "movie_reviews", "snips_slots"]
)
def test_missing_data_are_named(name, monkeypatch, tmp_path):
    monkeypatch.setenv("GATEWISE_DATA", str(tmp_path))
    with pytest.raises(
        SystemExit,
        match=r"is missing: set GATEWISE_DATA to a folder that holds .*tasks/README.md.*--quick",
    ):
        command.main([name])


# ---- data and figures


def test_reader_of_ts(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text("#words\n@data\n1,2,3:4,5,6:left\n\n7:8:right\n", encoding="utf-8")
    samples, labels = data.read_ts(path)
    assert [sample.tolist() for sample in samples] == [[[1, 4], [2, 5], [3, 6]], [[7, 8]]]
    assert labels.tolist() == ["left", "right"]


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O O", set()),
        ("B-a I-a O B-b", {("a", 0, 2), ("b", 3, 4)}),
        ("B-a B-a I-a", {("a", 0, 1), ("a", 1, 3)}),
        ("B-a I-b I-b", {("a", 0, 1), ("b", 1, 3)}),  # goes on with nothing: begins
        ("O I-c O", {("c", 1, 2)}),
    ],
)
def test_chunks(tags, found):
    assert snips_slots.chunks(tags.split()) == found


def test_f1_of_chunks():
    truth = [["B-a", "I-a", "O"], ["B-b", "O", "B-a"]]
    assert snips_slots.chunk_f1(truth, truth) == 1
    guess = [["B-a", "O", "O"], ["B-b", "O", "B-a"]]
    assert snips_slots.chunk_f1(truth, guess) == pytest.approx(2 / 3)  # 2 of 3 found, 2 of 3 right
    assert snips_slots.chunk_f1(truth, [["O"] * 3] * 2) == 0


def test_stacked_tracks_hold_each_step_once():
    (stack,) = gun_point.stacked([np.arange(1, 21, dtype=np.float32)[:, None]])
    assert stack[1:].ravel().tolist() == list(range(2, 17)) and stack.shape == (4, 5)


def test_held_out_names_keep_their_shares():
    (_, y), (test_x, test_y) = surnames.data(0, True)
    assert len(test_x) == len(test_y) == 8 and sum(test_y == "a") == 4 and sum(y == "a") == 16


# ---- the same network

NETWORK = task.Network(
    units=5, epochs=1, batch_size=4, bidirectional=True, pooling="max", num_layers=2
)


@pytest.fixture
def peer():
    pytest.importorskip("torch")
    pytest.importorskip("skorch")
    from benchmarks.tasks import pytorch

    return pytorch


def ragged(rng, embedding):
    lengths = rng.permutation(np.arange(8) % 6 + 1)
    return [
        rng.integers(1, 9, steps) if embedding else rng.normal(size=(steps, 3)).astype(np.float32)
        for steps in lengths
    ]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("embedding", [None, 4])
@pytest.mark.filterwarnings("ignore:training ended")
def test_as_many_weights_as_ours(peer, cell, embedding, rng):
    """But for the second vector of biases, which PyTorch's LSTM has and ours has not.

    The GRU has two in both.
    """
    network, X, y = (
        replace(NETWORK, cell=cell, embedding=embedding),
        ragged(rng, embedding),
        list("abcabcab"),
    )
    ours = contenders.classifier(network, 0).fit(X, y).model_.count_params()
    theirs = sum(p.numel() for p in peer.Estimator(network).fit(X, y).net_.module_.parameters())
    assert theirs == ours + (4 * 4 * 5 if cell == "lstm" else 0)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_does_not_matter_to_the_peer(peer, pooling, bidirectional, rng):
    network, X = replace(NETWORK, pooling=pooling, bidirectional=bidirectional), ragged(rng, None)
    estimator = peer.Estimator(network).fit(X, list("abcabcab"))
    together = estimator.net_.forward(estimator._padded(X)).numpy()
    alone = [estimator.net_.forward(estimator._padded([row])).numpy()[0] for row in X]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_peer_that_tags(peer, rng):
    X = ragged(rng, None)
    y = [np.where(row[:, 0] > 0, "up", "down") for row in X]
    network = replace(NETWORK, epochs=25, rate=0.1)
    predicted = peer.Estimator(network, per_step=True).fit(X, y).predict(X)
    assert [len(row) for row in predicted] == [len(row) for row in X]
    assert np.mean(np.concatenate(predicted) == np.concatenate(y)) > 0.95
