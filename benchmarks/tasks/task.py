"""What a task is, and its table: gatewise beside a simple model and beside a PyTorch LSTM."""

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score

OURS = "gatewise"


@dataclass(frozen=True)
class Network:
    """A recurrent network and how it is trained: the same for gatewise and PyTorch.

    Attributes
    ----------
    units : int
    epochs, batch_size : int
    rate : float
        Adam's; it falls to zero along half a cosine over all epochs.
    dropout : float
        After each recurrent layer.
    pooling : {"last", "mean", "max"}
        What of a sequence's steps goes to the output layer.
    embedding : int, optional
        Width of a token's vector; without it sequences are numbers.
    """

    units: int
    epochs: int
    batch_size: int = 32
    rate: float = 1e-3
    cell: str = "lstm"
    num_layers: int = 1
    bidirectional: bool = False
    pooling: str = "last"
    dropout: float = 0.0
    embedding: int | None = None

    def __str__(self):
        """One line for the table."""
        parts = [
            f"{self.num_layers} x {self.cell} of {self.units}",
            "both directions" if self.bidirectional else "",
            f"embedding of {self.embedding}" if self.embedding else "",
            f"{self.pooling} over steps",
            f"dropout {self.dropout:g}",
            f"{self.epochs} epochs of batches of {self.batch_size}",
            f"rate {self.rate:g}",
        ]
        return ", ".join(filter(None, parts))


@dataclass(frozen=True)
class Task:
    """One entry of the command line.

    Attributes
    ----------
    title, unit : str
    goal : float, or None
        What gatewise's median is to reach; None: it is only reported.
    data : callable(seed, quick) -> (X, y), (X, y)
        To train on, to test.
    network : Network
    contenders : dict of str to callable(network, seed) -> estimator
        gatewise's first; what has not all it needs raises ImportError.
    score : callable(y, predicted) -> float
    lower_is_better : bool
        Of the score.
    also : dict of str to callable(y, predicted) -> float
        Further figures, by what they are.
    """

    title: str
    goal: float | None
    data: Callable
    network: Network
    contenders: dict[str, Callable]
    unit: str = "accuracy on the test part"
    score: Callable = accuracy_score
    lower_is_better: bool = False
    seeds: tuple = (0, 1, 2, 3, 4)
    also: dict[str, Callable] = field(default_factory=dict)


def report(task, seeds=None, quick=False, only=None, out=None):
    """Run a task, print its table, return each contender's median; `only`: names that begin so."""
    out = out or sys.stdout
    seeds = seeds or (task.seeds[:1] if quick else task.seeds)
    network = replace(task.network, units=4, epochs=2) if quick else task.network
    made_up = " (quick: made-up data, figures mean nothing)" if quick else ""
    print(
        f"{task.title}: {task.unit}, seconds of fit and of the processor in it{made_up}",
        f"  {network}",
        sep="\n",
        file=out,
    )
    medians = {}
    for name, make in task.contenders.items():
        if only and not name.startswith(only):
            continue
        try:
            runs = [run(task, make, network, seed, quick) for seed in seeds]
        except ImportError as missing:
            print(f"  {name:<36} left out: {missing}", file=out, flush=True)
            continue
        figures, seconds, processor, *others = zip(*runs)
        medians[name] = statistics.median(figures)
        print(
            f"  {name:<36} {medians[name]:.4f} {statistics.median(seconds):8.2f} s"
            f" {statistics.median(processor):8.2f} s   seeds {' '.join(map(str, seeds))}:"
            f" {' '.join(f'{figure:.4f}' for figure in figures)}",
            file=out,
            flush=True,
        )
        for what, found in zip(task.also, others):
            line = f"    {what:<34} {statistics.median(found):.4f}"
            print(line, f"  {' '.join(f'{figure:.4f}' for figure in found)}", file=out, flush=True)
    if not quick and OURS in medians and task.goal is not None:
        print(verdict(task, medians[OURS]), file=out, flush=True)
    return medians


def run(task, make, network, seed, quick):
    """(figure, seconds of fit, processor seconds of fit, further figures...) of one contender."""
    (x, y), (test_x, test_y) = task.data(seed, quick)
    estimator = make(network, seed)
    with warnings.catch_warnings():
        # the number of epochs is part of the settings
        warnings.simplefilter("ignore", ConvergenceWarning)
        start, worked = time.perf_counter(), time.process_time()
        estimator.fit(x, y)
        seconds, processor = time.perf_counter() - start, time.process_time() - worked
    predicted = estimator.predict(test_x)
    figures = [float(score(test_y, predicted)) for score in (task.score, *task.also.values())]
    return figures[0], seconds, processor, *figures[1:]


def verdict(task, median):
    """One line: the median beside the goal."""
    reached = median <= task.goal if task.lower_is_better else median >= task.goal
    return f"  goal {task.goal:g}: {'reached' if reached else 'NOT reached'}"
