"""Options of one kind of cell that another cannot have, and why."""

OF_THE_CELL_STATE = {
    **dict.fromkeys(
        ("peepholes", "cell_clip", "output_gate_inside"),
        "h is its only state; an LSTM has a cell state",
    ),
    **dict.fromkeys(
        ("coupled", "input_gate", "forget_gate", "output_gate", "unit_forget_bias"),
        "it has no input, forget and output gates; an LSTM has them",
    ),
    "projection": (
        "h is its only state; an LSTM projects h and keeps c. A Dense after the layer makes the"
        " output narrower"
    ),
}
OF_GATES = dict.fromkeys(
    ("recurrent_activation", "reset_after", "update", "candidate"), "it has no gates"
)
OF_THE_OUTPUT = {"output_activation": "its output is h; an LSTM or a GRU can have another one"}
