"""Random graphs as JSON, and how Keras or gatewise builds them.

A graph is a list of entries, each of which calls a layer with the symbols that earlier entries
made. ``BUILD`` is the text of a function that runs in both processes, so that both build the same.
"""

STEPS, UNITS = 5, 4

BUILD = '''
def build(graph, Input, Model, layers):
    """The model of a graph; symbols and layers are known by the number of their entry."""
    symbols, made = {}, {}
    for number, entry in enumerate(graph["entries"]):
        given = [symbols[name] for name in entry["inputs"]]
        if entry["layer"] == "Input":
            result = Input(tuple(entry["options"]["shape"]), name=f"input_{number}")
        elif entry["layer"] in ("add", "subtract", "multiply"):
            a, b = given
            result = {"add": lambda: a + b, "subtract": lambda: a - b, "multiply": lambda: a * b}[
                entry["layer"]
            ]()
        else:
            if "shares" in entry:
                layer = made[entry["shares"]]
            else:
                options = dict(entry["options"])
                name = f"{entry['layer'].lower()}_{number}"
                inner = options.pop("inner", None)
                if inner is None:
                    layer = getattr(layers, entry["layer"])(name=name, **options)
                else:
                    inside = getattr(layers, inner)(options.pop("units"), **options)
                    layer = getattr(layers, entry["layer"])(inside, name=name)
            made[number] = layer
            states = [symbols[name] for name in entry.get("states", [])]
            keys = {"initial_state": states} if states else {}
            result = layer(given if entry.get("several") else given[0], **keys)
        parts = result if isinstance(result, (list, tuple)) else [result]
        for k, part in enumerate(parts):
            symbols[f"{number}.{k}"] = part
    return Model(
        [symbols[name] for name in graph["inputs"]], [symbols[name] for name in graph["outputs"]]
    )
'''


class Drawing:
    """A graph that is being drawn: its symbols, by kind."""

    def __init__(self, rng):
        self.rng = rng
        self.entries = []
        self.inputs = []
        self.rows = {}  # symbols (batch, steps, features): name to features
        self.vectors = {}  # symbols (batch, features)
        self.layers = []  # (entry, features) of layers that may be shared
        self.read = set()

    def call(self, layer, inputs, options, **more):
        """Add an entry; return its number."""
        self.entries.append({"layer": layer, "inputs": inputs, "options": options} | more)
        self.read.update([*inputs, *more.get("states", [])])
        return len(self.entries) - 1

    def any_of(self, symbols):
        """A symbol, rather one that nothing has read yet."""
        names = [name for name in symbols if name not in self.read]
        if not names or self.rng.integers(3) == 0:
            names = list(symbols)
        return names[self.rng.integers(len(names))]

    def add_input(self, rank):
        features = int(self.rng.integers(2, 5))
        shape = [STEPS, features] if rank == 3 else [features]
        name = f"{self.call('Input', [], {'shape': shape})}.0"
        self.inputs.append(name)
        (self.rows if rank == 3 else self.vectors)[name] = features

    # ---- one step each

    def recurrent(self):
        name = self.any_of(self.rows)
        layer = str(self.rng.choice(["LSTM", "GRU", "SimpleRNN"]))
        whole = bool(self.rng.integers(2))
        options = {"units": UNITS, "return_sequences": whole}
        if self.rng.integers(3) == 0:
            options["go_backwards"] = True
        made = self.call(layer, [name], options)
        self.layers.append((made, self.rows[name], whole))
        (self.rows if whole else self.vectors)[f"{made}.0"] = UNITS

    def shared(self):
        fitting = [
            (number, whole, name)
            for number, features, whole in self.layers
            for name in self.rows
            if self.rows[name] == features and name not in self.entries[number]["inputs"]
        ]
        if not fitting:
            return
        number, whole, name = fitting[self.rng.integers(len(fitting))]
        entry = self.entries[number]
        made = self.call(entry["layer"], [name], entry["options"], shares=number)
        (self.rows if whole else self.vectors)[f"{made}.0"] = UNITS

    def both_ways(self):
        name = self.any_of(self.rows)
        options = {"inner": "GRU", "units": UNITS, "return_sequences": True}
        self.rows[f"{self.call('Bidirectional', [name], options)}.0"] = 2 * UNITS

    def handed_state(self):
        """The states of one LSTM begin another one."""
        first, second = self.any_of(self.rows), self.any_of(self.rows)
        options = {"units": UNITS, "return_sequences": True, "return_state": True}
        one = self.call("LSTM", [first], options)
        states = [f"{one}.1", f"{one}.2"]
        two = self.call("LSTM", [second], options, states=states)
        for number in (one, two):
            self.rows[f"{number}.0"] = UNITS
            self.vectors |= {f"{number}.1": UNITS, f"{number}.2": UNITS}

    def each_step(self):
        name = self.any_of(self.rows)
        kind = self.rng.integers(4)
        if kind == 0:
            made = self.call("Dense", [name], {"units": UNITS, "activation": "tanh"})
        elif kind == 1:
            made = self.call("TimeDistributed", [name], {"inner": "Dense", "units": UNITS})
        elif kind == 2:
            options = {"filters": UNITS, "kernel_size": 3, "padding": "same"}
            made = self.call("Conv1D", [name], options)
        else:
            made = self.call("LayerNormalization", [name], {})
        self.rows[f"{made}.0"] = self.rows[name] if kind == 3 else UNITS

    def of_vectors(self):
        name = self.any_of(self.vectors or self.rows)
        if name in self.rows:
            pooling = str(self.rng.choice(["GlobalMaxPooling1D", "GlobalAveragePooling1D"]))
            self.vectors[f"{self.call(pooling, [name], {})}.0"] = self.rows[name]
        elif self.rng.integers(2):
            made = self.call("Dense", [name], {"units": UNITS, "activation": "sigmoid"})
            self.vectors[f"{made}.0"] = UNITS
        else:
            made = self.call("RepeatVector", [name], {"n": STEPS})
            self.rows[f"{made}.0"] = self.vectors[name]

    def merged(self):
        symbols = self.rows if self.rng.integers(2) or len(self.vectors) < 2 else self.vectors
        one, two = self.any_of(symbols), self.any_of(symbols)
        if symbols[one] != symbols[two] or self.rng.integers(3) == 0:
            made = self.call("Concatenate", [one, two], {}, several=True)
            symbols[f"{made}.0"] = symbols[one] + symbols[two]
            return
        kinds = ["Add", "Subtract", "Multiply", "Average", "Maximum", "add", "subtract", "multiply"]
        kind = str(self.rng.choice(kinds))
        made = self.call(kind, [one, two], {}, several=True)
        symbols[f"{made}.0"] = symbols[one]

    def attended(self):
        one = self.any_of(self.rows)
        two = self.any_of([name for name in self.rows if self.rows[name] == self.rows[one]])
        made = self.call("Attention", [one, two], {}, several=True)
        self.rows[f"{made}.0"] = self.rows[two]


def draw(rng):
    """A random graph: one to three inputs, up to a dozen layers, one to three outputs."""
    drawing = Drawing(rng)
    drawing.add_input(3)
    for _ in range(rng.integers(3)):
        drawing.add_input(int(rng.choice([2, 3])))
    steps = [
        drawing.recurrent,
        drawing.recurrent,
        drawing.shared,
        drawing.both_ways,
        drawing.handed_state,
        drawing.each_step,
        drawing.of_vectors,
        drawing.merged,
        drawing.merged,
        drawing.attended,
    ]
    for _ in range(rng.integers(4, 11)):
        steps[rng.integers(len(steps))]()
    # inputs that nothing has read yet are read now, since a model has no input without use
    for name in drawing.inputs:
        if name not in drawing.read:
            made = drawing.call("Dense", [name], {"units": UNITS})
            (drawing.rows if name in drawing.rows else drawing.vectors)[f"{made}.0"] = UNITS
    ends = [
        name
        for name in [*drawing.rows, *drawing.vectors]
        if name not in drawing.read and name not in drawing.inputs
    ]
    return {"entries": drawing.entries, "inputs": drawing.inputs, "outputs": ends}
