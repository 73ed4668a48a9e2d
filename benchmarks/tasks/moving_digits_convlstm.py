"""Moving digits by a ConvLSTM2D; data and figure are those of moving_digits."""

from .moving_digits import task_of

TASK = task_of("convlstm", "Moving digits, ConvLSTM", 16)
