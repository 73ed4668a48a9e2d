"""Engines in their own processes, taking turns."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ENGINES = {
    "gatewise": "gatewise_engine",
    "torch": "torch_engine",
    "onnxruntime": "onnxruntime_engine",
    "keras": "keras_engine",
}
ROUNDS = 7


class NotInstalled(Exception):
    """An engine lacks the module that it is named for, or one that this needs."""


class Engine:
    """A worker process that answers one request at a time."""

    def __init__(self, key, threads, environment=None):
        self.key = key
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", ENGINES[key], str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)} | (environment or {}),
        )
        hello = self._read()
        if "lacks" in hello:
            self.close()
            raise NotInstalled(f"{key} (no module {hello['lacks']})")
        self.name, self.version = hello["name"], hello["version"]

    def ask(self, **request):
        """Send one request, wait for its answer."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"engine {self.key} ended with code {self.process.wait()}")
        return json.loads(line)

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def start_engines(keys, threads):
    """The engines that are installed; the others are named, not hidden."""
    engines, missing = [], []
    for key in keys:
        try:
            engines.append(Engine(key, threads))
        except NotInstalled as error:
            missing.append(str(error))
    return engines, missing


def take_turns(engines, seconds=0.04, before_turn=None, **request):
    """Median seconds of each engine for one case, alternating; None if an engine lacks the case.

    Each turn lasts about `seconds`, so that turns stay short beside the machine's moods.
    `before_turn` is called before each round.
    """
    ready = []
    for engine in engines:
        reply = engine.ask(**request)
        if reply["ready"]:
            ready.append((engine, max(1, min(400, int(seconds / reply["estimate"])))))
    times = {engine.key: [] for engine in engines}
    for _ in range(ROUNDS):
        if before_turn is not None:
            before_turn()
        for engine, calls in ready:
            times[engine.key] += engine.ask(calls=calls)["times"]
    return {key: statistics.median(values) if values else None for key, values in times.items()}
