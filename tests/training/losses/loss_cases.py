"""The basic losses by name.

And functions for the rival process, which compute losses in PyTorch and Keras.
"""

NAMES = [
    "mean_squared_error",
    "mean_absolute_error",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
]


def torch_losses(cases):
    import torch
    import torch.nn.functional as F

    results = []
    for name, scores, y, p in cases:
        p = torch.tensor(p, requires_grad=True)
        y = torch.tensor(y)
        if "categorical" in name:
            log_p = torch.log_softmax(p, -1) if scores else torch.log(p)
            target = (
                y.long().reshape(-1) if name.startswith("sparse") else y.reshape(-1, y.shape[-1])
            )
            log_p = log_p.reshape(-1, log_p.shape[-1])
            value = (
                F.nll_loss(log_p, target)
                if name.startswith("sparse")
                else -(target * log_p).sum(-1).mean()
            )
        else:
            function = {
                "mean_squared_error": F.mse_loss,
                "mean_absolute_error": F.l1_loss,
                "binary_crossentropy": (
                    F.binary_cross_entropy_with_logits if scores else F.binary_cross_entropy
                ),
            }
            value = function[name](p, y.to(p.dtype))
        value.backward()
        results.append((value.item(), p.grad.numpy()))
    return results


def keras_losses(cases):
    import keras
    import torch

    keras.backend.set_floatx("float64")
    try:
        results = []
        for name, config, y, p, weights in cases:
            loss = getattr(keras.losses, name)(**config, dtype="float64")
            p = torch.tensor(p, requires_grad=True)
            value = loss(y, p, sample_weight=weights)
            value.backward()
            results.append((value.item(), p.grad.numpy()))
        return results
    finally:
        keras.backend.set_floatx("float32")
