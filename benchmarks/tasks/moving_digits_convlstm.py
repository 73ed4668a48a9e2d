"""Moving digits by a ConvLSTM2D; data and figure are those of moving_digits."""

from .moving_digits import task_of, validate

TASK = task_of("convlstm", "Moving digits, ConvLSTM")

if __name__ == "__main__":
    validate(TASK)
