"""What an experiment is, and its table: our figure, the published one, a simple model's."""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Published:
    """A figure that others reported."""

    figure: float
    source: str


@dataclass(frozen=True)
class Experiment:
    """One entry of the command line.

    Attributes
    ----------
    title, unit : str
    published : dict of str to Published
        The figure for each network that :attr:`run` reports.
    floors : callable(seed, quick) -> dict of str to float
        What is reached without a network.
    run : callable(seed, quick) -> iterator of (str, float)
        Train each network, and give its figure on data that nothing was chosen by.
    seeds : tuple of int
        The median over these is the result.
    higher_is_better : bool
    """

    title: str
    unit: str
    published: dict[str, Published]
    floors: Callable
    run: Callable
    seeds: tuple = (1, 2, 3)
    higher_is_better: bool = False
    digits: str = field(default=".3f")

    def reaches(self, value, published):
        """Whether a figure is no worse than the published one."""
        return value >= published.figure if self.higher_is_better else value <= published.figure


def report(experiment, seeds=None, quick=False, out=None):
    """Run an experiment and print its table; dict of each network's median."""
    out = out or sys.stdout
    seeds = seeds or (experiment.seeds[:1] if quick else experiment.seeds)
    print(
        f"{experiment.title}: {experiment.unit}"
        + (" (quick: made-up data, figures mean nothing)" if quick else ""),
        file=out,
    )
    for name, value in experiment.floors(seeds[0], quick).items():
        print(f"  {name:<44} {value:{experiment.digits}}", file=out, flush=True)
    found = {}
    for seed in seeds:
        start = time.perf_counter()
        for name, value in experiment.run(seed, quick):
            found.setdefault(name, []).append(value)
            print(
                f"  {name + f', seed {seed}':<44} {value:{experiment.digits}}  "
                f" {time.perf_counter() - start:.0f} s",
                file=out,
                flush=True,
            )
            start = time.perf_counter()
    medians = {name: statistics.median(values) for name, values in found.items()}
    for name, median in ({} if quick else medians).items():
        print(verdict(experiment, name, median, len(seeds)), file=out, flush=True)
    return medians


def verdict(experiment, name, median, runs):
    """One line: the median beside the published figure."""
    published = experiment.published[name]
    word = "reached" if experiment.reaches(median, published) else "NOT reached"
    return (
        f"  {name + f', median of {runs}':<44} {median:{experiment.digits}}   {published.source}: "
        f"{published.figure:g}, {word}"
    )
