"""JSB chorales: the next frame of Bach's chorales (Chung et al. 2014; Bai et al. 2018).

Data and split of Boulanger-Lewandowski et al. 2012: 229 pieces to train on, 76 to validate, 77 to
test. One layer and its outputs have at most 20,000 weights in all (78 tanh units, 41 GRU, 34 LSTM);
Chung et al. gave the layer alone about as many. Two layers of 200 units stand beside Bai et al. All
cells are trained alike, with settings that were chosen on the validation pieces; the weights kept
are those of the epoch with the best validation figure, and the test pieces are looked at once, at
the end.
"""

from .data import made_up_rolls, piano_rolls
from .experiment import Experiment, Published
from .piano_rolls import SMALL_UNITS, Training, figures, floors, quickly

SMALL = Training(
    epochs=300,
    batch_size=4,
    learning_rate=0.01,
    input_dropout=0.2,
    recurrent_dropout=0.2,
    output_dropout=0.2,
    piece=200,
    patience=60,
)
LARGE = Training(
    epochs=120,
    batch_size=2,
    learning_rate=0.004,
    input_dropout=0.2,
    recurrent_dropout=0.2,
    output_dropout=0.4,
    piece=200,
    patience=40,
)
NETWORKS = {f"{cell}, 1 x {units}": (cell, units, 1, SMALL) for cell, units in SMALL_UNITS.items()}
NETWORKS |= {f"{cell}, 2 x 200": (cell, 200, 2, LARGE) for cell in ("GRU", "LSTM")}
CHUNG, BAI = "Chung et al. 2014", "Bai et al. 2018"
PUBLISHED = dict(
    zip(
        NETWORKS,
        [
            Published(9.10, CHUNG),
            Published(8.54, CHUNG),
            Published(8.67, CHUNG),
            Published(8.43, BAI),
            Published(8.45, BAI),
        ],
    )
)


def rolls(quick):
    """The pieces, or a few made-up ones."""
    return made_up_rolls() if quick else piano_rolls("JSB_Chorales")


def run(seed, quick):
    """(network, test figure) of each network."""
    return figures(rolls(quick), quickly(NETWORKS) if quick else NETWORKS, seed)


EXPERIMENT = Experiment(
    "JSB chorales",
    "test negative log-likelihood, nats a frame",
    PUBLISHED,
    lambda seed, quick: floors(rolls(quick)),
    run,
)
