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
    frames = rng.normal(0, NOISE, (len(images), STEPS, FRAME, FRAME, 1)).astype("float32")
    for video, image, start, move in zip(frames, images, starts, moves):
        for t in range(STEPS):
            row, column = start + t * move
            video[t, row : row + 8, column : column + 8, 0] += image
    return frames, directions


def parts(count=None, repeats=4):
    """(frames, [digits, directions]) to train on, and the same to test.

    Every fifth of the first `count` images, or of all 1,797, is in the test part and in no video
    to train on. Each image is in `repeats` videos of the training part, and in two to test.
    """
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))[:count]
    test = np.arange(len(order)) % 5 == 0
    for seed, images in enumerate([np.repeat(order[~test], repeats), np.repeat(order[test], 2)]):
        frames, directions = videos(digits.images[images] / 16, seed)
        yield frames, [digits.target[images], directions]
