"""What each output of a model is trained with: a loss, its weight and metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError
from gatewise.training import losses, metrics
from gatewise.training.places import by_name, count_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array
    from gatewise.layers import Layer
    from gatewise.training.data import Targets
    from gatewise.training.losses import Loss
    from gatewise.training.metrics import Metric


@dataclass(slots=True)
class Objective:
    """What one output is trained with.

    Attributes
    ----------
    loss : Loss or None
        None: the output is not trained.
    choices, weighted_choices : list
        Metrics as they were given to ``compile``, and those that ``sample_weight`` weighs.
    weight : float
        Factor of the loss in the sum of all losses.
    name : str
        That of the output; empty if it is the only one.
    metrics : list of Metric
        Made for the output; the last ones are those that ``sample_weight`` weighs.
    fused : bool
        Whether the loss starts from the scores of the last layer.
    """

    loss: Loss | None
    choices: list[Any]
    weighted_choices: list[Any] = field(default_factory=list)
    weight: float = 1.0
    name: str = ""
    metrics: list[Metric] = field(default_factory=list)
    fused: bool = False

    @property
    def log_names(self) -> list[str]:
        """Names of the metrics in logs."""
        return names_in_logs(self, self.metrics)

    def settle(self, layer: Layer | None, outputs: int) -> None:
        """Decide whether the loss starts from the scores of a layer, and make the metrics.

        Parameters
        ----------
        layer : Layer or None
            The layer that gives the output, if a loss may start from its scores.
        outputs : int
            The last axis of the output.
        """
        loss = self.loss
        if loss is None:
            return
        self.fused = (
            loss._fuses is not None
            and layer is not None
            and getattr(layer, "activation", None) == loss._fuses
            and not getattr(loss, "from_logits", False)
        )
        self.metrics = self.make_metrics(outputs)

    def make_metrics(self, outputs: int | None) -> list[Metric]:
        """Return a metric for each choice, new unless the choice is a metric itself."""
        if self.loss is None:
            return []
        chosen = [*self.choices, *self.weighted_choices]
        return [metric_of(choice, self.loss, outputs) for choice in chosen]

    def value_and_gradient(
        self, targets: Targets, start: Array, want_gradient: bool
    ) -> tuple[float, Array | None]:
        """Return (value, gradient) of the loss over the positions that count: not over padding.

        The gradient is that of the value times the weight. `start` is the output, or its scores.
        """
        loss: Any = self.loss
        ends = {"lengths": targets.read_lengths} if loss._per_sequence else {}
        normalizer = None if ends or targets.valid is None else float(targets.valid.sum())
        value, gradient = loss.value_and_gradient(
            targets.y,
            start,
            targets.weights,
            normalizer,
            scores=self.fused,
            want_gradient=want_gradient,
            **ends,
        )
        if gradient is not None and self.weight != 1.0:
            gradient *= gradient.dtype.type(self.weight)
        return value, gradient


def names_in_logs(objective: Objective, metrics: Sequence[Metric]) -> list[str]:
    """Return the names of an output's metrics in logs, as in Keras.

    A metric that ``sample_weight`` weighs is ``weighted_<name>`` if another has its name.
    """
    plain, names = len(objective.choices), [metric.name for metric in metrics]
    names[plain:] = [
        f"weighted_{name}" if name in names[:plain] else name for name in names[plain:]
    ]
    return [f"{objective.name}_{name}" for name in names] if objective.name else names


def choose_objectives(
    names: Sequence[str], loss: Any, weights: Any, metrics: Any, weighted_metrics: Any
) -> list[Objective]:
    """Return the objective of each output, for what ``compile`` was given.

    Raises
    ------
    ConfigError, DTypeError
    """
    chosen_losses = [
        None if each is None else losses.get(each) for each in _losses_by_output(names, loss)
    ]
    if not any(chosen_losses):
        raise ConfigError("compile needs a loss, for example loss='mse'")
    chosen = [
        Objective(each_loss, *choices, name if len(names) > 1 else "")
        for name, each_loss, *choices in zip(
            names,
            chosen_losses,
            _metrics_by_output("metrics", names, metrics),
            _metrics_by_output("weighted_metrics", names, weighted_metrics),
            _weights_by_output(names, weights, chosen_losses),
        )
    ]
    for objective in chosen:
        if objective.loss is None and (objective.choices or objective.weighted_choices):
            raise ConfigError(
                f"output {objective.name!r} has metrics and no loss, so that it has no targets; to"
                " watch it without training it, give it a loss with loss_weights 0"
            )
    return chosen


def _losses_by_output(names: Sequence[str], loss: Any) -> list[Any]:
    """Return the loss of each output; one loss is that of all outputs."""
    if isinstance(loss, dict) and "class_name" not in loss:
        return by_name("loss", loss, names, "output", ())
    if isinstance(loss, list | tuple):
        return _counted("loss", loss, names)
    return [loss] * len(names)


def _weights_by_output(names: Sequence[str], weights: Any, chosen: Sequence[Any]) -> list[float]:
    """Return the weight of each loss, 1 if there is none."""
    if weights is None:
        return [1.0] * len(names)
    if isinstance(weights, dict):
        given = by_name("loss_weights", weights, names, "output", ())
    elif isinstance(weights, list | tuple):
        given = _counted("loss_weights", weights, names)
    elif len(names) == 1:
        given = [weights]
    else:
        raise DTypeError(
            f"loss_weights is {weights!r:.80}; the model has {count_text('output', names)}: give a"
            " list with a number for each, in this order, or a dict by name"
        )
    for name, weight, loss in zip(names, given, chosen):
        if weight is not None and loss is None:
            raise ConfigError(f"loss_weights has a weight for output {name!r}, which has no loss")
    return [
        1.0 if weight is None else checks.number(weight, f"the weight of loss {name!r}", 0.0)
        for name, weight in zip(names, given)
    ]


def _metrics_by_output(what: str, names: Sequence[str], metrics: Any) -> list[list[Any]]:
    """Return the metrics of each output, as they were given."""
    if metrics is None:
        return [[] for _ in names]
    if isinstance(metrics, dict) and (len(names) > 1 or "class_name" not in metrics):
        return [_choices(each) for each in by_name(what, metrics, names, "output", ())]
    if not isinstance(metrics, list | tuple):
        raise ConfigError(f"{what} is {metrics!r}; expected a list, for example ['accuracy']")
    if len(names) == 1:
        if len(metrics) == 1 and isinstance(metrics[0], list | tuple):
            metrics = metrics[0]
        return [list(metrics)]
    return [_choices(each) for each in _counted(what, metrics, names)]


def _choices(given: Any) -> list[Any]:
    """Return the metrics of one output: a list, a single one, or none."""
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) else [given]


def _counted(what: str, given: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Return a list that has an entry for each output."""
    if len(given) != len(names):
        raise ConfigError(
            f"{what} has {len(given)} {'entry' if len(given) == 1 else 'entries'}; the model has"
            f" {count_text('output', names)}: give one for each, in this order, or a dict by name"
        )
    return list(given)


def metric_of(choice: Any, loss: Loss, outputs: int | None) -> Metric:
    """Return the metric of a name or configuration, which must fit the loss.

    Raises
    ------
    ConfigError
    """
    metric = metrics.get(choice, loss, outputs)
    if loss._per_sequence and not getattr(metric, "_per_sequence", False):
        raise ConfigError(
            f"metric {metric.name} needs a target for each output; targets of loss {loss.name} are"
            " labels of a whole row: leave the metric out, or take 'label_error_rate'"
        )
    if not loss._per_sequence and getattr(metric, "_per_sequence", False):
        raise ConfigError(
            f"metric {metric.name} reads rows of labels, which loss {loss.name} has none of; it"
            " goes with loss 'ctc'"
        )
    return metric


def refuse_equal_names(objectives: Sequence[Objective], outputs: Sequence[int | None]) -> None:
    """Refuse metrics of equal names in logs, or of the name of a loss.

    Raises
    ------
    ConfigError
    """
    names = [f"{each.name}_loss" for each in objectives if each.name and each.loss is not None]
    for objective, columns in zip(objectives, outputs):
        names += names_in_logs(objective, objective.make_metrics(columns))
    if len({"loss", *names}) <= len(names):
        raise ConfigError(f"metrics have the names {names}; give each its own, and none 'loss'")
