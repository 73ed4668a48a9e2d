"""Write what estimators have in common into their docstrings.

``python tools/estimator_docstrings.py`` rewrites the sources, with ``--check`` it only says what
differs. Readers, editors and static tools then see whole docstrings, and the text of a shared
parameter is in one place: here.

Of a class, the section "Parameters" gets an entry for each argument of the constructor, in their
order, and "Attributes" one for each shared attribute. Of a method, the entries of X, groups, time
and sample_weight are written. Entries that are listed in ``OWN`` are left as the source has them.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "src" / "gatewise" / "estimators"
WIDTH = 100

FILES = (
    "classifier.py",
    "encoder.py",
    "generator.py",
    "regressor.py",
    "tagger.py",
    "transcriber.py",
    "forecasting/forecaster.py",
)
# Entries that a class or method describes itself.
OWN = {
    "SequenceForecaster": {"missing", "loss", "n_features_in_", "feature_names_in_"},
    "SequenceEncoder": {"architecture"},
    "SequenceGenerator": {
        "vocabulary_size",
        "embedding",
        "architecture",
        "batch_size",
        "dtype",
        "n_features_in_",
        "feature_names_in_",
        "feature_means_",
        "vocabulary_size_",
        "t_",
    },
    "SequenceRegressor.fit": {"sample_weight"},
    "SequenceRegressor.partial_fit": {"sample_weight"},
    "SequenceRegressor.score": {"sample_weight"},
    "SequenceTagger.fit": {"sample_weight"},
    "SequenceTagger.partial_fit": {"sample_weight"},
    "SequenceTagger.score": {"sample_weight"},
    "SequenceClassifier.score": {"sample_weight"},
}
# The forecaster's methods take series, not sequences.
METHODS_OF = (
    "SequenceClassifier",
    "SequenceEncoder",
    "SequenceRegressor",
    "SequenceTagger",
    "SequenceTranscriber",
)

PARAMETERS = """
cell : {"lstm", "gru", "rnn"}
    Kind of the recurrent layers: LSTM, GRU or SimpleRNN.
units : int
    Number of units in each recurrent layer.
num_layers : int
    Number of recurrent layers, each on top of the one before.
bidirectional : bool
    Whether each recurrent layer reads its sequence in both directions.
pooling : {"last", "mean", "max"}
    How the steps of the last layer become one vector: its output at the last step, or the mean or
    maximum over all steps. docs/estimators.md says when to use which.
dropout : float in [0, 1)
    Share of the outputs of each recurrent layer that are set to zero in training.
recurrent_dropout : float in [0, 1)
    Share of the state that is set to zero in the recurrent product in training; the same units for
    all steps of a sequence.
embedding : int or None
    Size of the vectors that tokens become; they are learned. X then holds whole numbers, the
    tokens, from 0 up. None: X holds numbers.
vocabulary_size : int or None
    Number of tokens, with `embedding`. None: the largest token in `fit`, plus 1.
missing : {"error", "forward_fill", "mean", "mask", "indicator", "decay"}
    What to do about NaN in X. "error": refuse it. "forward_fill": put the last value seen in its
    place. "mean": put the mean of the feature in training. "mask": leave out steps with a missing
    value. "indicator": give the network, beside each value, whether it was seen and how many steps
    ago. "decay", with ``cell="gru"``: make the first layer a GRU-D (Che et al. 2018), which learns
    how fast values lose their meaning.
architecture : str, callable or None
    Layers around the recurrent ones. None or "recurrent": those that the parameters describe.
    "convolution": before them a convolution over 5 steps. "attention": after them attention of each
    step to all others (Luong et al. 2015), then the mean, or maximum, over the steps.
    "normalization": after each of them layer normalization (Ba et al. 2016). A function makes all
    layers itself: it is called with n_steps, n_features and n_outputs and returns a list of
    :mod:`gatewise.layers` objects that ends in n_outputs scores; the activation of the output is
    added. With `embedding`, an Embedding is put before them, and n_features is the size of its
    vectors. The other parameters that describe layers, and `alpha`, have no effect then.
alpha : float
    L2 penalty on kernels: ``alpha / 2`` times the sum of their squares, divided by the number of
    samples in a batch, is added to the loss.
optimizer : str or Optimizer
    A name in :mod:`gatewise.optimizers`, or an optimizer, of which a copy is used;
    `learning_rate_init` and `clipnorm` have no effect on the latter.
learning_rate : {"constant", "cosine", "adaptive"}
    How the learning rate changes. "cosine": it falls along half a cosine over `max_iter` passes,
    all of which are run unless `early_stopping` ends them. "adaptive": it is divided by 5 each time
    that training would end. `partial_fit` uses a constant rate with "cosine".
learning_rate_init : float
    Learning rate of the first step.
clipnorm : float or None
    Largest norm of the whole gradient; a larger gradient is scaled down to it. None: no limit.
batch_size : int or "auto"
    Samples in a batch. "auto": all samples if there are up to 32; else as many that a pass makes 16
    steps, but at least 8 and at most 32.
max_iter : int
    Largest number of passes over the samples.
shuffle : bool
    Whether each pass takes the samples in a new random order.
early_stopping : bool
    Whether to hold out part of the samples, end training when their score no longer rises, and keep
    the weights that had the best score.
validation_fraction : float in (0, 1)
    Share of the samples that `early_stopping` holds out.
n_iter_no_change : int
    Training ends after more than this number of passes in a row without an improvement by `tol`.
tol : float
    Least improvement of the loss, or with `early_stopping` of the score, that counts as one.
warm_start : bool
    Whether `fit` continues from the weights of the last fit.
dtype : {"auto", "float32", "float64"}
    Precision of the network. "auto": float64 if a batch holds all samples, else float32.
random_state : int, RandomState or None
    Seed of all random draws: initial weights, held-out samples, order, dropout. None: other draws
    in each call.
verbose : bool, 0, 1 or 2
    True or 1: print a line for each pass, and in a terminal or notebook show a bar with the time
    left. 2: lines only. False or 0: nothing.
n_jobs : int or None
    Number of threads. None: :func:`gatewise.get_num_threads`; -1: all processors. The results have
    the same bits for any number.
"""

ATTRIBUTES = """
model_ : Sequential
    The network.
n_features_in_ : int
    Number of columns if X is a table with a sequence in each row, else of features of a step.
feature_names_in_ : ndarray of str
    Names of the columns of X. Only if all of them are strings.
feature_means_ : ndarray (n_features,) of float64
    Mean of each feature in training. Only if `missing` is not "error".
vocabulary_size_ : int
    Number of tokens. Only with `embedding`.
n_outputs_ : int
    Number of outputs of the network.
out_activation_ : str
    Activation of the output: "identity", "logistic", "softmax" or "exponential".
loss_ : float
    Loss of the last pass.
loss_curve_ : list of float
    Loss of each pass.
best_loss_ : float or None
    Lowest loss of a pass; None with `early_stopping`.
validation_scores_ : list of float or None
    Score of the held-out samples after each pass, with `early_stopping`; else None.
best_validation_score_ : float or None
    Highest of these scores, whose weights are kept; None without `early_stopping`.
n_iter_ : int
    Number of passes of the last fit.
t_ : int
    Number of samples seen in training, each pass counted.
"""

ARGUMENTS = """
X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
    Sequences: rows of a table, blocks of steps, or one by one with lengths of their own, (time_i,)
    if there is one feature; with `groups`, a long table (rows, features) with a step in each row.
    docs/estimators.md has all forms. It is not changed.
sample_weight : array_like (n,)
    Weights of the sequences, not negative. Weight k is the same as k copies, exactly if a batch
    holds all samples. None: all are 1.
groups : array_like (rows,), or name of a column of X
    Label of the sequence that each row of a long table belongs to. None: X is no long table.
time : array_like (rows,), or name of a column of X
    With `groups`: time of each row of the long table, by which the rows of a sequence are sorted.
    None: they are in order.
"""


def entries_of(text: str) -> dict[str, list[str]]:
    """Entries of a numpydoc section without indentation: lines by name."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.strip("\n").split("\n"):
        if line and not line.startswith(" "):
            name = line.split(" :")[0]
            found[name] = [line]
        elif name:
            found[name].append(line)
    return {name: lines for name, lines in found.items() if not name.startswith("{")}


def wrapped(lines: list[str], indent: int) -> list[str]:
    """An entry whose description is wrapped at the width that the indentation leaves."""
    body = " ".join(line.strip() for line in lines[1:])
    return [
        lines[0],
        *textwrap.wrap(
            body,
            WIDTH - indent,
            initial_indent="    ",
            subsequent_indent="    ",
            break_on_hyphens=False,
            break_long_words=False,
        ),
    ]


def typed(lines: list[str], default: str | None) -> list[str]:
    """An entry with the default of its argument."""
    head = re.sub(r", (optional|default[ =].*)$", "", lines[0])
    return [head if default is None else f"{head}, default {default}", *lines[1:]]


def defaults_of(function: ast.FunctionDef) -> dict[str, str | None]:
    """Arguments of a method without self, and the text of their defaults."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    given = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(positional, given), *zip(arguments.kwonlyargs, arguments.kw_defaults)]
    return {
        argument.arg: None if value is None else ast.unparse(value).replace("'", '"')
        for argument, value in pairs
        if argument.arg != "self"
    }


def rewritten(docstring: str, section: str, change, indent: int) -> str:
    """A docstring without indentation, with a section's entries changed by a function."""
    pattern = rf"(?ms)^{section}\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)"
    match = re.search(pattern, docstring)
    if match is None:
        return docstring
    entries = change(entries_of(match[1]))
    lines = [line for entry in entries.values() for line in wrapped_if_shared(entry, indent)]
    after = "\n" if match.end() < len(docstring) else ""
    head = f"{section}\n{'-' * len(section)}\n"
    return (
        docstring[: match.start()]
        + head
        + "\n".join(lines)
        + "\n"
        + after
        + docstring[match.end() :]
    )


def wrapped_if_shared(entry: list[str], indent: int) -> list[str]:
    while entry and not entry[-1].strip():
        entry = entry[:-1]
    return wrapped(entry, indent)


def class_docstring(node: ast.ClassDef, docstring: str) -> str:
    """The docstring of an estimator with entries for all arguments and shared attributes."""
    own = OWN.get(node.name, set())
    constructor = next(
        part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"
    )
    defaults = defaults_of(constructor)
    shared = entries_of(PARAMETERS)

    def parameters(entries: dict[str, list[str]]) -> dict[str, list[str]]:
        made = {}
        for name, default in defaults.items():
            entry = shared[name] if name in shared and name not in own else entries.get(name)
            if entry is None:
                raise SystemExit(f"{node.name}: the parameter {name} has no description")
            made[name] = typed(entry, default)
        return made

    def attributes(entries: dict[str, list[str]]) -> dict[str, list[str]]:
        common = entries_of(ATTRIBUTES)
        if "embedding" not in defaults:
            common.pop("vocabulary_size_")
        mine = {name: entry for name, entry in entries.items() if name not in common or name in own}
        return mine | {name: entry for name, entry in common.items() if name not in own}

    docstring = rewritten(docstring, "Parameters", parameters, 4)
    return rewritten(docstring, "Attributes", attributes, 4)


def method_docstring(node: ast.FunctionDef, name: str, docstring: str) -> str:
    """The docstring of a method with the entries of shared arguments."""
    shared, own = entries_of(ARGUMENTS), OWN.get(name, set())
    defaults = defaults_of(node)

    def change(entries: dict[str, list[str]]) -> dict[str, list[str]]:
        return {
            each: typed(
                shared[each] if each in shared and each not in own else entry, defaults[each]
            )
            for each, entry in entries.items()
        }

    return rewritten(docstring, "Parameters", change, 8)


def expanded(source: str) -> str:
    """The source of a module with all docstrings of its estimators written."""
    lines = source.split("\n")
    changes = []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef) or not node.name.startswith("Sequence"):
            continue
        changes.append((node.body[0], class_docstring(node, ast.get_docstring(node) or ""), 4))
        for part in node.body if node.name in METHODS_OF else ():
            if isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
                text = ast.get_docstring(part)
                if text is not None:
                    name = f"{node.name}.{part.name}"
                    changes.append((part.body[0], method_docstring(part, name, text), 8))
    for statement, text, indent in reversed(changes):
        if "\n" in text:
            text += "\n"
        block = textwrap.indent(f'"""{text}"""', " " * indent, lambda line: bool(line.strip()))
        lines[statement.lineno - 1 : statement.end_lineno] = block.split("\n")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Write the sources, or with ``--check`` count those that differ."""
    stale = 0
    for name in FILES:
        path = FOLDER / name
        source = path.read_text(encoding="utf-8")
        result = expanded(source)
        if result != source:
            stale += 1
            if "--check" in arguments:
                print(f"{path.relative_to(ROOT)}: run python tools/estimator_docstrings.py")
            else:
                path.write_text(result, encoding="utf-8")
    return stale if "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
