"""Random graphs of layers beside Keras's functional models: outputs, and gradients of all weights.

Both build each graph from the same text, and Keras gets our weights by position.
"""

import numpy as np
import pytest
from seeds import generator

from gatewise import Input, layers
from gatewise.models import Model

from .keras_process import BACKENDS, WITH_KERAS, ask_keras
from .random_graphs import BUILD, draw

pytestmark = [
    *WITH_KERAS,
    pytest.mark.skipif(BACKENDS[:1] != ["torch"], reason="gradients are asked of Keras on PyTorch"),
]

COUNT, BATCH = 60, 3
PROGRAM = (
    BUILD
    + """
import json, sys
import numpy as np
import keras
import torch

cases = json.load(open(sys.argv[1]))
given, found = np.load(sys.argv[2]), {}
for name, graph in cases.items():
    model = build(graph, keras.Input, keras.Model, keras.layers)
    count = len(model.get_weights())
    model.set_weights([given[f"{name}|w{k}"] for k in range(count)])
    x = [torch.tensor(given[f"{name}|x{k}"]) for k in range(len(graph["inputs"]))]
    outputs = model(x if len(x) > 1 else x[0])
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    loss = 0.0
    for k, output in enumerate(outputs):
        loss = loss + ((output - torch.tensor(given[f"{name}|y{k}"])) ** 2).mean()
        found[f"{name}|output{k}"] = output.detach().numpy()
    model.zero_grad()
    loss.backward()
    for k, weight in enumerate(model.trainable_weights):
        gradient = weight.value.grad
        found[f"{name}|gradient{k}"] = (
            np.zeros(weight.shape) if gradient is None else gradient.numpy()
        )
np.savez(sys.argv[3], **found)
"""
)


def built(graph):
    space = {}
    exec(BUILD, space)
    return space["build"](graph, Input, Model, layers)


@pytest.fixture(scope="module")
def graphs():
    """name -> (graph, our model, x, y), drawn from one seed."""
    rng, found = generator(41), {}
    for number in range(COUNT):
        graph = draw(rng)
        model = built(graph)
        model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
        x = [
            rng.normal(size=(BATCH, *graph["entries"][int(name.split(".")[0])]["options"]["shape"]))
            for name in graph["inputs"]
        ]
        x = [array.astype(np.float32) for array in x]
        outputs = model.predict(x)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        y = [rng.normal(size=output.shape).astype(np.float32) for output in outputs]
        found[f"graph {number}"] = graph, model, x, y, outputs
    return found


@pytest.fixture(scope="module")
def keras_results(graphs, tmp_path_factory):
    given = {}
    for name, (_, model, x, y, _) in graphs.items():
        given |= {f"{name}|w{k}": array for k, array in enumerate(model.get_weights())}
        given |= {f"{name}|x{k}": array for k, array in enumerate(x)}
        given |= {f"{name}|y{k}": array for k, array in enumerate(y)}
    cases = {name: graph for name, (graph, *_) in graphs.items()}
    return ask_keras(PROGRAM, cases, given, tmp_path_factory.mktemp("keras"))


def test_outputs(graphs, keras_results):
    for name, (graph, _, _, _, outputs) in graphs.items():
        for k, output in enumerate(outputs):
            np.testing.assert_allclose(
                output, keras_results[f"{name}|output{k}"], rtol=1e-5, atol=1e-5, err_msg=str(graph)
            )


def test_gradients(graphs, keras_results):
    for name, (graph, model, x, y, _) in graphs.items():
        model.compile("sgd", "mse")
        model.compute_gradients(x if len(x) > 1 else x[0], y if len(y) > 1 else y[0])
        gradients = [array for layer in model.layers for array in layer.gradients.values()]
        for k, gradient in enumerate(gradients):
            np.testing.assert_allclose(
                gradient,
                keras_results[f"{name}|gradient{k}"],
                rtol=1e-4,
                atol=1e-5,
                err_msg=f"{k}: {graph}",
            )
