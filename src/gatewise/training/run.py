"""Where a run of training is: all that a checkpoint needs for training to go on from there to the bit."""

from gatewise.errors import CheckpointError, ConfigError

from .means import RunningMeans


def checked_state(saved):
    """What :meth:`Run.get_state` gave, out of a file; what callbacks and metrics say of themselves they check.

    Raises
    ------
    CheckpointError
        It has another form.
    """
    if not isinstance(saved, dict) or saved.keys() != _PARTS.keys():
        raise CheckpointError(f"the saved run is {saved!r:.80}; expected a dict of {', '.join(_PARTS)}")
    for name, kinds in _PARTS.items():
        if not isinstance(saved[name], kinds) or (kinds is int and (saved[name] < 0 or isinstance(saved[name], bool))):
            raise CheckpointError(f"the saved run has {name} {saved[name]!r:.80}, which no run can have")
    return saved


_PARTS = {"epoch": int, "batch": int, "drawn": int, "stopped": bool, "feed": dict, "callbacks": dict,
          "rng_before_plan": dict | None, "means": dict | None, "carried": list | None}


class Run:
    """A run of training between two batches.

    Parameters
    ----------
    model : Sequential
    feed : RowFeed or BatchFeed
    watchers : CallbackList
    epoch : int
        The first, from 0.

    Attributes
    ----------
    epoch, batch : int
        The epoch under way, or the next one, and how many of its batches are done.
    carried : dict of Layer to list of ndarray
        States that truncated back-propagation takes to the next part of a batch.
    means : RunningMeans
        Of the epoch under way.
    """

    def __init__(self, model, feed, watchers, epoch):
        self.model, self.feed, self.watchers = model, feed, watchers
        self.epoch, self.batch = epoch, 0
        self.carried = {}
        self.means = RunningMeans(model.metrics)
        self._rng_before_plan = None
        self._drawn_before = 0

    def begin_epoch(self):
        """The plan of the epoch's batches; in the middle of an epoch, the plan that was drawn at its beginning."""
        rng = self.model.rng.bit_generator
        if self.batch:
            now, rng.state = rng.state, self._rng_before_plan
            plan = self.feed.plan(self.model.rng)
            rng.state = now
            return plan
        self.watchers.on_epoch_begin(self.epoch)
        self.means = RunningMeans(self.model.metrics)
        self._rng_before_plan, self._drawn_before = rng.state, getattr(self.feed, "drawn", 0)
        return self.feed.plan(self.model.rng)

    def end_epoch(self, logs):
        """Count the epoch, then tell the callbacks: what they save goes on with the next one."""
        ended = self.epoch
        self.epoch, self.batch, self.carried = ended + 1, 0, {}
        self._drawn_before = getattr(self.feed, "drawn", 0)
        self.watchers.on_epoch_end(ended, logs)

    # ---- saving

    def get_state(self):
        """What :meth:`restore` goes on from: JSON values and arrays."""
        underway = self.batch > 0
        return {
            "epoch": self.epoch, "batch": self.batch, "stopped": bool(self.model.stop_training),
            "feed": self.feed.describe(), "drawn": self._drawn_before,
            "rng_before_plan": self._rng_before_plan if underway else None,
            "means": self.means.get_state() if underway else None,
            "carried": [self.carried.get(layer) for layer in self.model.layers] if underway else None,
            "callbacks": self.watchers.get_state(),
        }

    def check(self, saved):
        """Refuse to go on from what another run saved.

        Raises
        ------
        ConfigError
            The data or the batches are not those of the saved run.
        """
        here = self.feed.describe()
        for name in here.keys() | saved["feed"].keys():
            if here.get(name) != saved["feed"].get(name):
                raise ConfigError(f"resume_from: the saved run had {name} {saved['feed'].get(name)!r}, this one has "
                                  f"{here.get(name)!r}; give fit the same data and options")

    def restore(self, saved):
        """Go on from a saved state that :meth:`check` has passed.

        Raises
        ------
        CheckpointError
            The state holds something that no run can have.
        """
        try:
            self.epoch, self.batch, self._drawn_before = saved["epoch"], saved["batch"], saved["drawn"]
            if self.batch:
                self._rng_before_plan = self.model.checked_rng_state(saved["rng_before_plan"])
                self.means.set_state(saved["means"])
                self.carried = self._checked_states(saved["carried"])
            if getattr(self.feed, "once", False):
                self.feed.skip(self._drawn_before)
            if self.batch:
                self._begin_epoch_again()
            self.watchers.set_state(saved["callbacks"])
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            raise CheckpointError(f"the saved run has an entry that no run can have: {error!r}") from error
        self.model.stop_training = saved["stopped"]

    def _begin_epoch_again(self):
        """Tell the callbacks which epoch it is; what they do to the model then, they had done already."""
        before, rate = self.model.snapshot(), self.model.optimizer.learning_rate
        self.watchers.on_epoch_begin(self.epoch)
        self.model.go_back(before)
        if self.model.optimizer.learning_rate != rate:
            self.model.optimizer.learning_rate = rate

    def _checked_states(self, carried):
        return {layer: layer.checked_state(states, None, "a carried state")
                for layer, states in zip(self.model.layers, carried, strict=True) if states is not None}
