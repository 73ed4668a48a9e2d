"""One engine in a process of its own: reads a case from each line and prints times."""

import importlib
import json
import resource
import sys
import time

import numpy as np

from benchmarks import jobs
from benchmarks.cases import Case

# A system may keep the threads of a process that has just woken up on one core for a while.
SETTLE = 0.06


def main(module, threads):
    """Serve requests until the input ends."""
    try:
        engine = importlib.import_module(f"benchmarks.engines.{module}")
    except ModuleNotFoundError as error:
        answer({"lacks": error.name})
        return
    engine.set_threads(threads)
    answer({"name": engine.NAME, "version": engine.version()})
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        if "prepare" in request:
            run = engine.prepare(Case(**request["prepare"]))
            answer({"ready": run is not None, "estimate": warm_up(run) if run else None})
        elif "tiny_step" in request:
            run = getattr(engine, "prepare_tiny_step", lambda: None)()
            answer({"ready": run is not None, "estimate": warm_up(run) if run else None})
        elif "translation" in request:
            run = engine.prepare_translation(request["translation"])
            answer({"ready": True, "estimate": warm_up(run)})
        elif "fit" in request:
            answer(train(engine, jobs.Job(**request["fit"])))
        elif "memory" in request:
            answer({"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024})
        else:
            answer({"times": time_calls(run, request["calls"])})


def train(engine, job):
    """Seconds of a whole training run, and the mean squared error afterwards."""
    (x, y), weights = jobs.data(job), jobs.first_weights(job)
    start = time.perf_counter()
    predict = engine.fit(job, x, y, weights)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "loss": float(np.mean((predict(x) - y) ** 2))}


def warm_up(run):
    """Run for about a twentieth of a second, at least three times; seconds of the fastest."""
    best, begin = float("inf"), time.perf_counter()
    for count in range(1000):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
        if count >= 2 and time.perf_counter() - begin > 0.05:
            break
    return best


def time_calls(run, calls):
    """Seconds of each of `calls` calls, after SETTLE seconds of calls that do not count."""
    times, begin = [], time.perf_counter()
    while time.perf_counter() - begin < SETTLE:
        run()
    for _ in range(calls):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def answer(message):
    """One JSON line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
