"""ONNX models of one random recurrent node."""

import numpy as np
from onnx import helper, numpy_helper

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
COUNTS = {"RNN": 1, "GRU": 2, "LSTM": 3}
CONSTANTS = {"Affine": 2, "LeakyRelu": 1, "ThresholdedRelu": 1, "ScaledTanh": 2}
CONSTANTS |= {"HardSigmoid": 2, "Elu": 1}
BOUNDED = ["Tanh", "Sigmoid", "Softsign", "HardSigmoid", "ScaledTanh"]
OTHERS = ["Relu", "Affine", "LeakyRelu", "ThresholdedRelu", "Elu", "Softplus"]


def node_of(seed):
    """(operator, attributes, inputs by name) of a random node."""
    rng = np.random.default_rng(seed)
    op = str(rng.choice(list(GATES)))
    ways = int(rng.integers(1, 3))
    direction = "bidirectional" if ways == 2 else str(rng.choice(["forward", "reverse"]))
    rows, steps, inputs, units = (int(rng.integers(1, 6)) for _ in range(4))

    def draw(*shape):
        return (0.5 * rng.standard_normal(shape)).astype(np.float32)

    gates = GATES[op] * units
    feeds = {"X": draw(steps, rows, inputs), "W": draw(ways, gates, inputs)}
    feeds["R"] = draw(ways, gates, units)
    options = {"B": draw(ways, 2 * gates), "lengths": rng.integers(0, steps + 1, rows, np.int32)}
    options["h0"] = draw(ways, rows, units)
    attributes = {"hidden_size": units, "direction": direction}
    if op == "LSTM":
        options |= {"c0": draw(ways, rows, units), "P": draw(ways, 3 * units)}
        attributes["input_forget"] = int(rng.random() < 0.3)
    if op == "GRU":
        attributes["linear_before_reset"] = int(rng.integers(2))
    feeds |= {name: array for name, array in options.items() if rng.random() < 0.6}
    if rng.random() < 0.3:
        attributes["clip"] = float(rng.choice([0.3, 1.0]))
    if rng.random() < 0.6:
        # gates are bounded, so that nothing overflows
        names = [
            str(rng.choice(BOUNDED if k % COUNTS[op] == 0 and op != "RNN" else BOUNDED + OTHERS))
            for k in range(COUNTS[op] * ways)
        ]
        attributes["activations"] = names
        drawn = [rng.uniform(0.1, 0.6, CONSTANTS.get(name, 0)).tolist() for name in names]
        alphas, betas = [d[0] for d in drawn if d], [d[1] for d in drawn if len(d) > 1]
        attributes |= {"activation_alpha": alphas} if alphas else {}
        attributes |= {"activation_beta": betas} if betas else {}
    return op, attributes, feeds


def model_of(op, attributes, feeds, version=14, constants=()):
    """One node as a model."""
    order = ["X", "W", "R", "B", "lengths", "h0", *(["c0", "P"] if op == "LSTM" else [])]
    outputs = ["Y", "Y_h", *(["Y_c"] if op == "LSTM" else [])]
    node = helper.make_node(
        op, [name if name in feeds else "" for name in order], outputs, **attributes
    )
    kinds = {name: helper.np_dtype_to_tensor_dtype(a.dtype) for name, a in feeds.items()}
    graph = helper.make_graph(
        [node],
        "one",
        [
            helper.make_tensor_value_info(name, kinds[name], array.shape)
            for name, array in feeds.items()
            if name not in constants
        ],
        [helper.make_tensor_value_info(name, kinds["X"], None) for name in outputs],
        [numpy_helper.from_array(feeds[name], name) for name in constants],
    )
    imports = [helper.make_opsetid("", version)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)
