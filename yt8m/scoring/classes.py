"""Which classes are scored, and which columns of a model's predictions they are."""

from yt8m.errors import UserError
from yt8m.readers import labels
from yt8m.training.restore import sample_of


def scored_label_ids(configs, ids_file=None, kind="segments"):
    """The label ids that are scored where the user says no more than this.

    Those of the file. Without one, of segments the first of these that there is: the models' own where one of them has its own
    (label_ids), those that a model was told in its training (segment_class_ids), those of the sample that they were trained on,
    YouTube-8M's segment classes where all models have its number of classes. Else, and of videos, the models' own.

    Args:
        configs: ModelConfigs of the models that score together.
        ids_file: file or URL of label ids; "": the models' own; None: not given.
        kind: "segments" or "videos".

    Returns:
        tuple of int, or None for the models' own.

    Raises:
        UserError: the label ids cannot be read.
    """
    if ids_file:
        return labels.read_label_ids(ids_file)
    if ids_file is not None or kind != "segments" or any(config.label_ids for config in configs):
        return None
    named = [config.segment_class_ids for config in configs if config.segment_class_ids]
    sample = None if named else sample_of(configs[0])
    if named or sample:
        return named[0] if named else labels.read_label_ids(sample.segment_label_ids_file)
    return labels.default_segment_label_ids(min(config.num_classes for config in configs))


def predicted_label_ids(config):
    """The label id of each column of a model's predictions, a tuple."""
    return tuple(config.label_ids or range(config.num_classes))


def columns_of(config, label_ids, name="the model"):
    """The columns of a model's predictions that label ids are, a list of int.

    Args:
        config: ModelConfig.
        label_ids: of the classes.
        name: what messages call the model.

    Raises:
        UserError: the model does not predict one of them.
    """
    column = {label: index for index, label in enumerate(predicted_label_ids(config))}
    missing = [label for label in label_ids if label not in column]
    if missing:
        raise UserError(
            f"--segment_label_ids_file: {len(missing)} of its {len(label_ids)} classes ({missing[0]}, ...) are none of the "
            f"{len(column)} of {name}. Name the file that goes with the model's data."
        )
    return [column[label] for label in label_ids]


def common_label_ids(names, configs):
    """The label ids of the model that predicts the fewest, which all the others must predict as well.

    Args:
        names: what messages call the models.
        configs: their ModelConfigs.

    Raises:
        UserError: one of them does not.
    """
    label_ids = predicted_label_ids(min(configs, key=lambda config: config.num_outputs))
    for name, config in zip(names, configs):
        missing = sorted(set(label_ids) - set(predicted_label_ids(config)), key=label_ids.index)
        if missing:
            raise UserError(
                f"--train_dir: {name} does not predict {len(missing)} of the {len(label_ids)} classes of another "
                f"({missing[0]}, ...). Give a --segment_label_ids_file of classes that all of them predict."
            )
    return label_ids
