"""Training that is killed at any moment, again and again, loses at most the batch under way.

Not a bit in the end.
"""

import os
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from seeds import SEED

from gatewise import checkpoint
from gatewise.models import load_model

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")

# A run in a process of its own, which forks a child for each life of the run; arguments: folder,
# kills, seed. Odd lives are killed from outside after a random time, even ones kill themselves at a
# place inside of writing.
PROGRAM = textwrap.dedent("""
    import os, random, signal, sys, time
    import numpy as np
    from gatewise import checkpoint
    from gatewise.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
    from gatewise.layers import LSTM, Dense, Dropout, Input
    from gatewise.models import Sequential

    folder, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    path, draw = os.path.join(folder, "run"), random.Random(seed)
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(32, 4, 3)), rng.normal(size=(32, 1))
    EPOCHS = 2 * kills  # of 7 batches: more than there are lives

    def train(file, resume_from=None):
        stack = [Input((None, 3)), LSTM(64, dropout=0.1, recurrent_dropout=0.1, name="lstm"),
                 Dropout(0.2, name="dropout"), Dense(1, name="dense")]
        model = Sequential(stack, name="killed", seed=1)
        model.compile("adam", "mse", metrics=["mae"])
        callbacks = [EarlyStopping("val_loss", patience=1000, restore_best_weights=True),
                     ReduceLROnPlateau("loss", patience=2), ModelCheckpoint(file, save_freq=1)]
        model.fit(x, y, batch_size=4, epochs=EPOCHS, verbose=0, resume_from=resume_from,
                  validation_split=0.125, callbacks=callbacks)
        return model

    def kill_at(place, count):
        # During writing: before it, with half of the bytes written, and before, in and after the
        # syncs and the renaming.
        def die_after(count, function=None, half=False):
            calls = [0]
            def call(*arguments):
                calls[0] += 1
                if calls[0] > count:
                    if half:
                        function(arguments[0], arguments[1][:len(arguments[1]) // 2])
                        arguments[0].flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments)
            return call

        if place == "half written":
            class File:
                def __init__(self, file):
                    self.file = file
                def __enter__(self):
                    return self
                def __exit__(self, *_):
                    self.file.close()
                def __getattr__(self, name):
                    return getattr(self.file, name)
                def write(self, content):
                    writes(self.file, content)
            writes = die_after(count, lambda file, content: file.write(content), half=True)
            plain = open
            def opened(*how, **more):
                return File(plain(*how, **more)) if "xb" in how else plain(*how, **more)

            checkpoint.files.open = opened
        elif place == "sync":
            checkpoint.files.os.fsync = die_after(2 * count, os.fsync)
        elif place == "sync of the folder":
            checkpoint.files.os.fsync = die_after(2 * count + 1, os.fsync)
        elif place == "slow sync":  # killed from outside, nearly always in it
            plain = os.fsync
            checkpoint.files.os.fsync = lambda file: time.sleep(0.01) or plain(file)
        elif place == "renaming":
            checkpoint.files.os.replace = die_after(count, os.replace)

    PLACES = ["half written", "sync", "sync of the folder", "renaming"]

    def lives(number):
        pid = os.fork()
        if pid:
            if number % 2:
                time.sleep(draw.uniform(0.01, 0.15))
                os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1]
        try:
            place = None if number % 2 else PLACES[number // 2 % 4]
            kill_at("slow sync" if number % 4 == 1 else place, number % 3)
            train(path, path if os.path.exists(path) else None)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)

    for number in range(kills):
        status = lives(number)
        print(number, status, flush=True)
        sys.stdin.readline()  # the test looks at what is left
    train(path, path).save(os.path.join(folder, "in the end"))
    train(os.path.join(folder, "other")).save(os.path.join(folder, "never killed"))
    for number in range(5):
        some = os.path.join(folder, f"some {number}")
        if os.path.exists(some):
            train(os.path.join(folder, "other"), some).save(f"{some} in the end")
    print("done", flush=True)
""")

LEFTOVER = re.compile(r"\.gatewise-[0-9a-f]{16}\.tmp")


@pytest.mark.parametrize(
    ("kills", "seed"),
    [pytest.param(50, 0, marks=pytest.mark.long), pytest.param(400, 1, marks=pytest.mark.slow)],
)
def test_kills(kills, seed, tmp_path):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
    }
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(kills), str(10 * SEED + seed)],
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    killed, left, last, some = 0, 0, -1, 0
    with child:
        while (line := child.stdout.readline().split()) not in ([], ["done"]):
            status = int(line[1])
            assert status in (0, 9)  # ended, or killed; never an error
            killed += status == 9
            names = set(os.listdir(tmp_path)) - {
                name for name in os.listdir(tmp_path) if name.startswith("some ")
            }
            leftovers = {name for name in names if LEFTOVER.fullmatch(name)}
            assert names - leftovers <= {"run"}
            assert len(leftovers) <= 1
            left += len(leftovers)
            for name in leftovers:
                os.unlink(tmp_path / name)
            if (tmp_path / "run").exists():
                steps = load_model(tmp_path / "run").optimizer.iterations
                assert steps >= last  # no life goes back
                last = steps
                if killed % (kills // 4) == 0:
                    (tmp_path / f"some {some % 5}").write_bytes((tmp_path / "run").read_bytes())
                    some += 1
            child.stdin.write("\n")
            child.stdin.flush()
    assert child.returncode == 0
    assert killed == kills  # it had not ended before
    assert left >= kills // 8  # some in the middle of writing
    assert last > 0
    whole = checkpoint.read(tmp_path / "never killed")
    ends = ["in the end", *(path.name for path in tmp_path.glob("some * in the end"))]
    assert len(ends) > 2
    for name in ends:
        tensors, header = checkpoint.read(tmp_path / name)
        assert header == whole[1]
        assert tensors.keys() == whole[0].keys()
        for key, array in tensors.items():
            assert np.array_equal(array, whole[0][key]), key
