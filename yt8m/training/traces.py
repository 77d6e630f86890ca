"""What TensorFlow keeps of a traced training step after the last step."""

import contextlib

from tensorflow.python.framework import ops


@contextlib.contextmanager
def let_go():
    """Forgets, at the end, the custom gradients that were registered inside.

    tf.custom_gradient, which ReplicaContext.all_reduce is made of, enters a function by a new name into a register that lives as
    long as the process whenever a graph is traced; that function holds the graph, and with it the model and every constant: some
    50 MB a training. EM with folds trains a dozen models in one process.
    """
    register = getattr(getattr(ops, "gradient_registry", None), "_registry", {})
    before = set(register)
    try:
        yield
    finally:
        for name in [name for name in register if name not in before and name.startswith("CustomGradient")]:
            del register[name]
