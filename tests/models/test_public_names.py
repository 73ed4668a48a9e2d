"""What tab completion offers on a model: a name is public by a decision, which is made here."""

from gatewise import Sequential

LAYERS = {"add", "pop", "layers", "get_layer", "name", "seed", "rng", "dtype"}
SHAPES = {"build", "built", "input_shape", "output_shape", "compute_output_shape", "count_params"}
SYMBOLS = {"input", "inputs", "output", "outputs"}
WEIGHTS = {
    "get_weights",
    "set_weights",
    "weights",
    "trainable",
    "trainable_weights",
    "non_trainable_weights",
    "variables",
    "trainable_variables",
    "non_trainable_variables",
    "flat_parameters",
    "flat_gradients",
    "unchanged",
}
TRAINING = {
    "compile",
    "optimizer",
    "loss",
    "metrics",
    "metrics_names",
    "fit",
    "evaluate",
    "predict",
    "train_on_batch",
    "test_on_batch",
    "predict_on_batch",
    "compute_gradients",
    "history",
    "stop_training",
    "stop_evaluating",
    "stop_predicting",
}
STATE = {"reset_state", "reset_states", "stream"}
FILES = {"save", "save_weights", "load_weights", "summary", "get_config", "from_config"} | {
    "export_c"
}


def test_a_model_offers_what_its_users_need_and_nothing_else():
    offered = {name for name in dir(Sequential()) if not name.startswith("_")}
    assert offered == LAYERS | SHAPES | SYMBOLS | WEIGHTS | TRAINING | STATE | FILES
