"""Phase 2 of papers 000 and 001: a model learns rated 5-second segments (paper 004, eq. 17)."""

import dataclasses

from yt8m import losses
from yt8m.stages import encoders
from yt8m.stages.objective import loss_of
from yt8m.stages.running import run_stage
from yt8m.training import checkpoints as ckpt
from yt8m.training.data import segment_spec


def finetune(stage, model_config, callbacks=()):
    """Trains on the rated segments, the loss on rated (segment, class) pairs only.

    A context model whose encoders are named by checkpoints is joined from them first. With stage.folds it keeps the
    checkpoint that is best on the held-out shards (paper 002, section 4.2).

    Args and returns: as pretrain.pretrain's.
    """
    anew = stage.start_new_model or ckpt.latest(stage.train_dir) is None
    if stage.context_checkpoint and stage.segment_checkpoint and anew:
        encoders.join(stage, model_config)
        stage = dataclasses.replace(stage, start_new_model=False)  # the joined model is what to start from
    return run_stage(stage, model_config, rated_spec(stage, model_config), callbacks)


def rated_spec(stage, model_config):
    """The DataSpec of the rated segments to learn from; with teachers, of all segments of their videos."""
    changes = {}
    if stage.start_time_weight:
        changes["context"] = True
    if losses.needs_video_labels(loss_of(stage, model_config)[0]):
        changes |= {"video_labels": True, "positive_ratings": True}  # Sv and Ss of paper 002, eq. 2
    return segment_spec(
        model_config,
        stage.data_pattern,
        pattern_flag="train_data_pattern",
        fold=(stage.fold, stage.folds) if stage.folds else None,
        all_segments=bool(stage.teacher_scores),
        teachers=stage.teacher_scores,
        **changes,
    )
