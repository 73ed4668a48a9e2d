"""Videos of scikit-learn's digits, which move through a frame in noise: always the same ones."""

import numpy as np
from sklearn.datasets import load_digits

FRAME, STEPS, NOISE = 24, 12, 0.3
MOVES = np.array([(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)])


def videos(images, seed):
    """Frames (n, 12, 24, 24, 1) of images (n, 8, 8) that move a place each step, and directions."""
    rng = np.random.default_rng(seed)
    directions = rng.integers(8, size=len(images))
    moves = MOVES[directions]
    way = (STEPS - 1) * np.abs(moves)
    starts = rng.integers(FRAME - 8 - way + 1) + way * (moves < 0)
    frames = np.empty((len(images), STEPS, FRAME, FRAME, 1), "float32")
    for video, image, start, move in zip(frames, images, starts, moves):
        video[:] = rng.normal(0, NOISE, video.shape)
        for t in range(STEPS):
            row, column = start + t * move
            video[t, row : row + 8, column : column + 8, 0] += image
    return frames, directions


def parts(count=None, repeats=4, held_out="test"):
    """(frames, [digits, directions]) to train on, and the same of the part "test" or "validation".

    One in five of the first `count` images, or of all 1,797, is in the test part, and one in five
    in the validation part. Those of the held-out part are in two videos each. All images that are
    in neither it nor the test part are in `repeats` videos each to train on.
    """
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))[:count]
    fold = np.arange(len(order)) % 5
    held, number = {"test": (fold == 0, 1), "validation": (fold == 1, 2)}[held_out]
    chosen = np.repeat(order[(fold > 0) & ~held], repeats), np.repeat(order[held], 2)
    for seed, images in zip((0, number), chosen):
        frames, directions = videos(digits.images[images] / 16, seed)
        yield frames, [digits.target[images], directions]
