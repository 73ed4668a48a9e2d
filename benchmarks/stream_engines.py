"""The engines of benchmarks.streaming, each as its users would write a step of a live signal.

`python -m benchmarks.stream_engines ENGINE CASE` is one worker: it says that it is ready, runs
steps when it is told to, and reports.
"""

import array
import contextlib
import ctypes
import dataclasses
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FEATURES = 8


@dataclasses.dataclass
class Case:
    """What runs: a stack of layers and a Dense head of one output."""

    kind: str
    units: int
    streams: int
    layers: int = 1

    def asdict(self):
        """Return it as JSON values."""
        return dataclasses.asdict(self)


class Missing(Exception):
    """Why an engine cannot run here."""


# Each function below returns a function of a number of steps, which yields nanoseconds of steps.


def timed(step):
    """Time each call of `step` by itself."""
    clock = time.perf_counter_ns

    def run(steps):
        found = array.array("L", bytes(8 * steps))
        for k in range(steps):
            start = clock()
            step()
            found[k] = clock() - start
        return np.frombuffer(found, np.uint64)

    return run


def signal(case):
    """The values of one step."""
    x = np.random.default_rng(0).standard_normal((case.streams, FEATURES)).astype("float32")
    return x[0] if case.streams == 1 else x


def our_model(case):
    """The network in gatewise."""
    import gatewise
    from gatewise import layers

    gatewise.set_num_threads(1)
    layer = {"lstm": layers.LSTM, "gru": layers.GRU}[case.kind]
    model = gatewise.Sequential(
        [layer(case.units, return_sequences=True) for _ in range(case.layers)] + [layers.Dense(1)],
        seed=0,
        name="net",
    )
    model.build((None, None, FEATURES))
    return model


def ours(weights):
    """gatewise's stream, with the output's array given."""

    def prepare(case):
        stream = our_model(case).stream(case.streams, weights=weights)
        x = signal(case)
        out = np.empty((*x.shape[:-1], 1), "float32")
        return timed(lambda: stream.step(x, out))

    return prepare


def our_block(case):
    """The same steps in blocks of 100: the kernels' own time."""
    stream = our_model(case).stream(case.streams)
    block = np.broadcast_to(signal(case), (100, FEATURES)).copy()

    def run(steps):
        found = []
        for _ in range(max(1, steps // 100)):
            start = time.perf_counter_ns()
            stream.process(block)
            found.append((time.perf_counter_ns() - start) / 100)
        return np.array(found)

    return run


def torch_layer(case):
    """nn.LSTM or nn.GRU, called for one step with its state."""
    torch, nn = import_torch()
    kind = {"lstm": nn.LSTM, "gru": nn.GRU}[case.kind]
    layer, head = kind(FEATURES, case.units, batch_first=True), nn.Linear(case.units, 1)
    x = torch.tensor(signal(case)).reshape(case.streams, 1, FEATURES)
    state = None

    def step():
        nonlocal state
        with torch.inference_mode():
            y, state = layer(x, state)
            return head(y[:, 0])

    return timed(step)


def torch_cell(case):
    """nn.LSTMCell or nn.GRUCell."""
    torch, nn = import_torch()
    kind = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}[case.kind]
    cell, head = kind(FEATURES, case.units), nn.Linear(case.units, 1)
    x = torch.tensor(signal(case)).reshape(case.streams, FEATURES)
    state = None

    def step():
        nonlocal state
        with torch.inference_mode():
            state = cell(x, state)
            return head(state[0] if case.kind == "lstm" else state)

    return timed(step)


def import_torch():
    """PyTorch on one thread."""
    try:
        import torch
    except ImportError:
        raise Missing("python -m pip install torch") from None
    torch.set_num_threads(1)
    return torch, torch.nn


def onnx_runtime(case):
    """ONNX Runtime, with the state as inputs and outputs."""
    try:
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise Missing("python -m pip install onnx onnxruntime") from None
    gates, rng = {"lstm": 4, "gru": 3}[case.kind], np.random.default_rng(0)
    states = ["h", "c"] if case.kind == "lstm" else ["h"]
    shape = [1, case.streams, case.units]

    def weight(name, *shape):
        return numpy_helper.from_array(rng.uniform(-0.05, 0.05, shape).astype("float32"), name)

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    outputs = ["y", *(f"{name}1" for name in states)]
    nodes = [
        helper.make_node(
            case.kind.upper(),
            ["x", "W", "R", "B", "", *states],
            outputs,
            hidden_size=case.units,
            **({"linear_before_reset": 1} if case.kind == "gru" else {}),
        ),
        helper.make_node("Reshape", ["h1", "flat"], ["rows"]),
        helper.make_node("Gemm", ["rows", "V", "a"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "step",
        [value("x", [1, case.streams, FEATURES]), *(value(name, shape) for name in states)],
        [value("out", [case.streams, 1]), *(value(f"{name}1", shape) for name in states)],
        [
            weight("W", 1, gates * case.units, FEATURES),
            weight("R", 1, gates * case.units, case.units),
            weight("B", 1, 2 * gates * case.units),
            weight("V", case.units, 1),
            weight("a", 1),
            numpy_helper.from_array(np.array([case.streams, case.units], np.int64), "flat"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = signal(case).reshape(1, case.streams, FEATURES)
    feeds = {"x": x} | {name: np.zeros(shape, "float32") for name in states}
    names = [f"{name}1" for name in states]

    def step():
        out, *new = session.run(["out", *names], feeds)
        feeds.update(zip(states, new))
        return out

    return timed(step)


def exported(case):
    """The export to C, timed in C."""
    folder = tempfile.mkdtemp()
    our_model(case).export_c(folder)
    driver = f"""
    #include "net.h"
    #include <time.h>
    static net_state state;
    static float x[{FEATURES}], y[1];
    static unsigned long long now(void) {{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return 1000000000ull * (unsigned long long)t.tv_sec + (unsigned long long)t.tv_nsec;
    }}
    void run(unsigned long steps, unsigned long long *found) {{
        if (x[0] == 0) {{ net_init(&state); x[0] = 0.5f; }}
        for (unsigned long k = 0; k < steps; k++) {{
            unsigned long long start = now();
            net_step(&state, x, y);
            found[k] = now() - start;
        }}
    }}"""
    return compiled(folder, driver, "driver.c", os.environ.get("CC", "cc"), ["net.c", "-lm"], case)


def rtneural(case):
    """RTNeural with its layers' sizes in templates, timed in C++."""
    if "RTNEURAL" not in os.environ:
        raise Missing("set RTNEURAL to a checkout of github.com/jatinchowdhury18/RTNeural")
    flags = ["-std=c++17", "-I", os.environ["RTNEURAL"]]
    if "EIGEN" in os.environ:
        flags += ["-DRTNEURAL_USE_EIGEN=1", "-I", os.environ["EIGEN"]]
    else:
        flags += ["-DRTNEURAL_USE_STL=1"]
    layer = {"lstm": "LSTMLayerT", "gru": "GRULayerT"}[case.kind]
    driver = f"""
    #include <RTNeural/RTNeural.h>
    #include <chrono>
    #include <vector>
    using Layer = RTNeural::{layer}<float, {FEATURES}, {case.units}>;
    using Head = RTNeural::DenseT<float, {case.units}, 1>;
    static RTNeural::ModelT<float, {FEATURES}, 1, Layer, Head> net;
    extern "C" void run(unsigned long steps, unsigned long long *found) {{
        static bool begun = false;
        if (!begun) {{ net.reset(); begun = true; }}
        alignas(64) static float x[{FEATURES + 8}] = {{0.5f}};
        for (unsigned long k = 0; k < steps; k++) {{
            auto start = std::chrono::steady_clock::now();
            net.forward(x);
            found[k] = (unsigned long long)(std::chrono::steady_clock::now() - start).count();
        }}
    }}"""
    return compiled(
        tempfile.mkdtemp(), driver, "driver.cpp", os.environ.get("CXX", "c++"), flags, case
    )


def compiled(folder, source, name, compiler, flags, case):
    """A driver that times its steps, compiled and loaded."""
    if case.streams != 1:
        raise Missing("it runs one stream")
    path = Path(folder)
    (path / name).write_text(source, encoding="utf-8")
    command = [*shlex.split(compiler), "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    command += [name, *flags, "-o", "driver.so"]
    done = subprocess.run(command, cwd=path, capture_output=True, text=True)
    if done.returncode:
        raise Missing(done.stderr.strip().splitlines()[0] if done.stderr else "no compiler")
    run = ctypes.CDLL(str(path / "driver.so")).run

    def steps(count):
        found = np.empty(count, np.uint64)
        run(ctypes.c_ulong(count), found.ctypes.data_as(ctypes.c_void_p))
        return found

    return steps


ENGINES = {
    "gatewise": ours("float32"),
    "gatewise block": our_block,
    "gatewise bfloat16": ours("bfloat16"),
    "gatewise int8": ours("int8"),
    "ONNX Runtime": onnx_runtime,
    "PyTorch layer": torch_layer,
    "PyTorch cell": torch_cell,
    "gatewise C": exported,
    "RTNeural": rtneural,
}


def report(found):
    """Microseconds of all steps."""
    steps = np.concatenate(found) / 1000
    median, p99, p999 = np.percentile(steps, [50, 99, 99.9])
    return {"median": median, "p99": p99, "p999": p999, "worst": steps.max(), "steps": len(steps)}


def main():
    """Answer the questions of benchmarks.streaming."""
    answers = os.fdopen(os.dup(1), "w")
    with contextlib.redirect_stdout(sys.stderr):
        try:
            run = ENGINES[sys.argv[1]](Case(**json.loads(sys.argv[2])))
            run(200)
        except Missing as reason:
            print(json.dumps({"missing": str(reason)}), file=answers, flush=True)
            return
        print(json.dumps({}), file=answers, flush=True)
        found = []
        for line in sys.stdin:
            words = line.split()
            answer = {}
            if words[0] == "run":
                run(20)
                found.append(run(int(words[1])))
            else:
                answer = report(found)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
