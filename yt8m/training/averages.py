"""Averages of a model's weights over the steps (--ema_momentum), which evaluation and the next stage use."""

import contextlib


def averages(optimizer):
    """{path of a model's variable: its average over the steps, a keras.Variable}; empty where none is kept."""
    return getattr(getattr(optimizer, "inner_optimizer", optimizer), "averages", {})


def use_averages(model, optimizer):
    """Gives a model the averages of its weights for good: what a run with --ema_momentum ends with.

    Nothing happens where no averages are kept, or before the first step.
    """
    if optimizer.iterations.numpy() > 0:
        kept = averages(optimizer)
        for variable in model.trainable_variables:
            if variable.path in kept:
                variable.assign(kept[variable.path].numpy())


@contextlib.contextmanager
def averaged_weights(model, optimizer):
    """Context manager: inside it the model has the averages of its weights, for evaluation; after it, its weights again."""
    kept = averages(optimizer)
    trained = [(variable, variable.numpy()) for variable in model.trainable_variables if variable.path in kept]
    use_averages(model, optimizer)
    try:
        yield
    finally:
        for variable, value in trained:
            variable.assign(value)
