"""Run a network as an effect on live sound: 48,000 samples a second, in blocks of 64 and of 1.

    python examples/live_filter.py

A small LSTM learns an overdriven amplifier from two seconds of speech, and then runs as the driver
of a sound card would call it. A block that takes longer than it sounds is late.
"""

import io
import time
import zipfile
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import lfilter, resample_poly

from gatewise import Sequential, layers, set_num_threads

RECORDINGS = Path(__file__).resolve().parent / "data" / "spoken_digits.zip"
RATE = 48_000


def speech(seconds):
    """Recordings one after the other, at 48 kHz."""
    with zipfile.ZipFile(RECORDINGS) as archive:
        files = [io.BytesIO(archive.read(name)) for name in archive.namelist()[: 4 * seconds]]
    sound = np.concatenate([wavfile.read(file)[1] / 2**15 for file in files])
    return resample_poly(sound, 6, 1)[: seconds * RATE].astype("float32")


def amplifier(sound):
    """Return what is to be learnt: a valve saturates, a loudspeaker rolls off."""
    return lfilter([0.2], [1, -0.8], np.tanh(8 * sound)).astype("float32")


def play(model, sound, size):
    """(the sound that comes out, the microseconds that each block took)."""
    stream, took = model.stream(), []
    blocks = sound[: len(sound) // size * size].reshape(-1, size, 1)
    played = np.empty_like(blocks)
    for block, out in zip(blocks, played):
        start = time.perf_counter_ns()
        if size == 1:
            stream.step(block[0], out=out[0])
        else:
            out[:] = stream.process(block)
        took.append((time.perf_counter_ns() - start) / 1000)
    return played.ravel(), np.array(took)


def main():
    set_num_threads(1)
    sound = speech(4)
    pieces = sound[: 2 * RATE].reshape(-1, 480, 1)
    model = Sequential([layers.LSTM(16, return_sequences=True), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    wanted = amplifier(sound)
    model.fit(pieces, wanted[: 2 * RATE].reshape(-1, 480, 1), epochs=60, verbose=0)
    for size in (64, 1):
        played, took = play(model, sound[2 * RATE :], size)
        true, limit = wanted[2 * RATE :][: len(played)], 1e6 * size / RATE
        error = np.sqrt(np.mean((played - true) ** 2) / np.mean(true**2))
        half, most = np.percentile(took, [50, 99.9])
        print(f"blocks of {size}: {half:.1f} us, 99.9 % within {most:.1f} us, of {limit:.0f} us;")
        print(f"  {np.sum(took > limit)} of {len(took):,} late; the sound is {error:.0%} off")


if __name__ == "__main__":
    main()
