"""The benchmarks run: published experiments on made-up data, their helpers, the training table."""

import io
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import jobs, streaming  # noqa: E402
from benchmarks.published import __main__ as command  # noqa: E402
from benchmarks.published import (  # noqa: E402
    adding,
    addition,
    characters,
    data,
    experiment,
    piano_rolls,
)

# ---- the command


def test_what_steps_leave_behind(capsys):
    """A short run: the figures of docs/streaming.md come from ten million steps."""
    streaming.memory(2000)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    assert [line for line in lines if "tracemalloc" in line and "+0 bytes" not in line] == []


EXPERIMENTS = [
    pytest.param(name, marks=pytest.mark.long if name == "jsb" else []) for name in command.NAMES
]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_quick_run(name, monkeypatch):
    """Without any data, in well under a second; every network has a published figure."""
    monkeypatch.setenv("GATEWISE_DATA", "/nowhere")
    module, out = command.load(name), io.StringIO()
    found = experiment.report(module.EXPERIMENT, quick=True, out=out)
    assert found.keys() == module.EXPERIMENT.published.keys()
    assert all(math.isfinite(value) for value in found.values())
    assert "figures mean nothing" in out.getvalue() and "reached" not in out.getvalue()


def test_a_seed_gives_the_same_figure_again():
    first, again = (
        experiment.report(addition.EXPERIMENT, quick=True, out=io.StringIO()) for _ in range(2)
    )
    assert first == again


def test_list(capsys):
    command.main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(command.NAMES)


@pytest.mark.parametrize(
    ("arguments", "words"), [(["chess"], "no experiment is called 'chess'"), ([], "say which")]
)
def test_what_does_not_exist(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert words in str(caught.value) + capsys.readouterr().err


@pytest.mark.parametrize("name", ["jsb", "nottingham", "characters"])
def test_missing_data_are_named(name, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("GATEWISE_DATA", str(tmp_path))
    with pytest.raises(
        SystemExit, match=r"is missing: set GATEWISE_DATA to a folder that holds .*--quick"
    ):
        command.main([name])


def test_verdicts():
    lower = experiment.Experiment("t", "u", {"a": experiment.Published(2.0, "them")}, None, None)
    assert "2.000   them: 2, reached" in experiment.verdict(lower, "a", 2.0, 3)
    assert "NOT reached" in experiment.verdict(lower, "a", 2.001, 3)
    higher = experiment.Experiment(
        "t", "u", {"a": experiment.Published(2.0, "them")}, None, None, higher_is_better=True
    )
    assert "NOT reached" in experiment.verdict(higher, "a", 1.9, 3)


# ---- what they count


def test_small_networks_have_twenty_thousand_weights():
    how = piano_rolls.Training(epochs=1, batch_size=1, learning_rate=0.01, patience=1, piece=10)
    for cell, units in piano_rolls.SMALL_UNITS.items():
        counts = [
            piano_rolls.network(cell, units + more, 1, how, 0).count_params() for more in (0, 1)
        ]
        assert counts[0] <= 20_000 < counts[1]


def test_cut_loses_no_frame_and_predicts_none_twice():
    pieces = [np.arange(length) for length in (2, 6, 7, 31)]
    parts = piano_rolls.cut(pieces, 5)
    assert max(map(len, parts)) <= 6
    wanted = [(a, b) for piece in pieces for a, b in pairwise(piece)]
    assert [(a, b) for part in parts for a, b in pairwise(part)] == wanted


def test_nats_a_frame_against_a_sum():
    """Over pieces of different lengths: padding counts in nothing."""
    pieces = data.made_up_rolls(3)[0]
    how = piano_rolls.Training(epochs=1, batch_size=4, learning_rate=0.01, patience=1, piece=100)
    model = piano_rolls.network("GRU", 7, 1, how, 3)
    model.compile("adam", "binary_crossentropy")
    total = frames = 0
    for piece in pieces:
        p = model.predict(piece[None, :-1])[0].astype(float)
        total -= np.where(piece[1:] == 1, np.log(p), np.log(1 - p)).sum()
        frames += len(p)
    assert len({len(piece) for piece in pieces}) > 2
    assert piano_rolls.nats_per_frame(model, pieces) == pytest.approx(total / frames, rel=1e-4)


def test_floors_of_a_music_that_repeats():
    rng = np.random.default_rng(0)
    pieces = [
        np.repeat(rng.random((1, data.KEYS)) < 0.3, 50, axis=0).astype(np.float32)
        for _ in range(20)
    ]
    floors = piano_rolls.floors((pieces, pieces, pieces))
    assert floors["repeat the last frame"] < 0.1
    assert floors["the same, given the key's last state"] < 2
    entropy = -(0.3 * math.log(0.3) + 0.7 * math.log(0.7)) * data.KEYS
    assert floors["frequency of each key"] == pytest.approx(entropy, rel=0.1)


def test_adding_problem():
    x, y = adding.draw(np.random.default_rng(0), 500, 30)
    assert (x[..., 1].sum(axis=1) == 2).all() and (x[:, :15, 1].sum(axis=1) == 1).all()
    np.testing.assert_allclose((x[..., 0] * x[..., 1]).sum(axis=1, keepdims=True), y, rtol=1e-6)
    _, y = adding.draw(np.random.default_rng(1), 20_000, 4)
    assert float(np.mean((y - 1) ** 2)) == pytest.approx(1 / 6, rel=0.03)


def test_addition_questions():
    pairs = addition.draw_pairs(np.random.default_rng(0), 300, 2)
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == 300 and pairs.max() == 99
    questions, answers = addition.spell(pairs, 2)
    for (a, b), question, answer in zip(pairs, questions, answers):
        assert question[::-1].strip() == f"{a}+{b}" and int(answer) == a + b
        assert (len(question), len(answer)) == (5, 3)
    (trained, _), (held_out, _) = addition.data(0, True)
    assert not {tuple(row) for row in trained.tolist()} & {tuple(row) for row in held_out.tolist()}


def test_characters_counts():
    """A text in which one letter follows from the two before, and from no fewer."""
    codes = np.array([[0, 0, 1, 1] * 250] * 2)
    nats = [characters._nats(codes, codes, 2, order) for order in (0, 1, 2)]
    assert nats[:2] == pytest.approx([math.log(2)] * 2, rel=1e-3) and nats[2] < 0.05


def test_characters_in_rows():
    """Validation goes on where a row's training ends, and y is what comes next."""
    training, validation, size = characters.data(True)
    assert len(training) == len(validation) and training.shape[1] == pytest.approx(
        19 * validation.shape[1], rel=0.05
    )
    x, y = characters.shifted(training, size)
    assert (x.sum(axis=-1) == 1).all()
    np.testing.assert_array_equal(x.argmax(axis=-1)[:, 1:], y[:, :-1])


# ---- the training table


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_jobs_start_alike_in_pytorch(kind):
    torch = pytest.importorskip("torch")
    from benchmarks.engines import gatewise_engine, torch_engine

    job = jobs.Job(kind, units=5, batch=4, steps=6, inputs=3, rows=8, epochs=1)
    (x, y), weights = jobs.data(job), jobs.first_weights(job)
    weights = [array + np.float32(0.1) for array in weights]
    weights[2] += np.arange(weights[2].size, dtype=np.float32).reshape(weights[2].shape) / 50
    model = torch_engine.Regressor(kind, 3, 5)
    torch_engine.set_weights(model, kind, weights)
    with torch.inference_mode():
        theirs = model(torch.from_numpy(x)).numpy()
    ours = gatewise_engine.network(job, weights).predict(x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert np.isfinite(torch_engine.fit(job, x, y, weights)(x)).all()


@pytest.mark.long
def test_training_table(tmp_path):
    pytest.importorskip("torch")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.training",
            "--engines",
            "torch",
            "--kinds",
            "gru",
            "--sizes",
            "4,8,5,2,32,2",
            "--rounds",
            "1",
            "--threads",
            "1",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ.copy(),
    )
    assert done.returncode == 0, done.stderr
    row = done.stdout.splitlines()[-1].split()
    assert row[:2] == ["gru", "4,8,5,2"] and len(row) == 8
    assert float(row[4]) == pytest.approx(float(row[7]), rel=0.2)


# ---- what options cost


def test_options_are_measured(capsys, monkeypatch):
    from benchmarks import options

    monkeypatch.setattr(
        sys, "argv", ["options", "--shapes", "2,3,2,4", "--rounds", "1", "--threads", "1"]
    )
    options.main()
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line[:30].strip() for line in lines] == list(options.OPTIONS)
    assert all(float(figure) >= 0 for line in lines for figure in line[30:].split())


# ---- small calls


def test_each_small_call_runs(capsys, monkeypatch):
    from benchmarks import calls as small

    monkeypatch.setattr(small, "microseconds", lambda call: float(np.size(call())))
    small.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(small.calls())
    assert all(float(line.split()[-2]) >= 1 for line in lines)


# ---- videos


def test_videos_are_measured_or_named(capsys, monkeypatch):
    from benchmarks import images

    monkeypatch.setattr(images, "milliseconds", lambda call: float(np.size(call())))
    monkeypatch.setattr(images, "batch", lambda: (np.zeros((2, 3, 24, 24, 1), "f"), np.arange(2)))
    for case in images.CASES:
        images.main(["--one", "gatewise", case, "--threads", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines] == [
        [case, "gatewise", "20.0", "ms"] for case in images.CASES
    ]
