"""What the classes of a trained model are called."""

import os

from yt8m.readers import labels
from yt8m.training import restore


def class_names(config, vocabulary_file=""):
    """{label id: name} of a model's classes.

    Args:
        config: ModelConfig; None: of a model of somebody else's.
        vocabulary_file: CSV with the columns Index and Name; "" or None: the names that the run was trained with, else those of
            the sample that it was trained on before runs had names.

    Returns:
        dict; a class without a name is not in it. {}: nothing is known.

    Raises:
        UserError: the file is no vocabulary.
    """
    if vocabulary_file:
        return labels.read_vocabulary(os.path.expanduser(vocabulary_file))
    if config and config.class_names:
        return {label: name for label, name in enumerate(config.class_names) if name}
    sample = restore.sample_of(config) if config else None
    return labels.read_vocabulary(sample.vocabulary_file) if sample else {}
