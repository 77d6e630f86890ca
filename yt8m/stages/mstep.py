"""The M-step of EM (paper 004, section 5.4): a model learns every segment of every video from pseudo-labels."""

from yt8m.errors import UserError
from yt8m.stages.running import run_stage
from yt8m.training.data import segment_spec


def mstep(stage, model_config, callbacks=()):
    """Trains on every segment of every video; pseudo-labels annotate every class, so that nothing is masked in the loss.

    Args and returns: as pretrain.pretrain's; stage.pseudo_labels is the folder of the sidecars.

    Raises:
        UserError: no pseudo-labels, or pseudo-labels of other shards.
    """
    if not stage.pseudo_labels:
        raise UserError("--stage=mstep: no --pseudo_labels. Name the folder of an E-step, or use --stage=em.")
    spec = segment_spec(
        model_config,
        stage.data_pattern,
        pattern_flag="train_data_pattern",
        all_segments=True,
        annotations=stage.pseudo_labels,
        fold=(stage.fold, stage.folds) if stage.folds else None,
    )
    return run_stage(stage, model_config, spec, callbacks)
