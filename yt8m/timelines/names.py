"""What classes are called."""


def class_names(config, vocabulary_file=""):
    """{label id: name} of a model's classes; a class that is not in it is called by class_name.

    Args:
        config: ModelConfig; None: of a model of somebody else's.
        vocabulary_file: CSV with the columns Index and Name; "": the vocabulary of the sample that the model was trained on, if
            it was.

    Raises:
        UserError: the file is no vocabulary.
    """
    from yt8m.readers import labels  # in here: a Timeline is shown without TensorFlow
    from yt8m.training.restore import sample_of

    if vocabulary_file:
        return labels.read_vocabulary(vocabulary_file)
    sample = sample_of(config) if config else None
    return labels.read_vocabulary(sample.vocabulary_file) if sample else {}


def class_name(names, label_id):
    """The name of a class: `label ID` where it has none, on one line."""
    return " ".join(names.get(label_id, "").split()) or f"label {label_id}"
