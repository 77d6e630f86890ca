"""Phase 1 of papers 000 and 001: a model learns the labels of whole videos."""

import functools

from yt8m import models
from yt8m.stages import encoders
from yt8m.stages.running import run_stage
from yt8m.training.data import video_spec
from yt8m.training.devices import on_gpu


def pretrain(stage, model_config, callbacks=()):
    """Trains on whole videos and their video-level labels, with no notion of a segment; of a context model the encoders.

    Args:
        stage: TrainConfig.
        model_config: ModelConfig.
        callbacks: keras.callbacks.Callback objects.

    Returns:
        The trained keras.Model, or None when SIGTERM stopped the run.

    Raises:
        UserError: what the configs ask for does not go together, or is not there.
    """
    if models.model_class(model_config.model).HAS_ENCODERS:
        return encoders.join(stage, model_config, functools.partial(pretrain, callbacks=callbacks))
    return run_stage(stage, model_config, video_rows(stage, model_config), callbacks)


def video_rows(stage, model_config):
    """The DataSpec of the whole videos to learn from."""
    changes = {}
    if stage.only_segment_class_videos:
        changes["only_videos_with_label_ids"] = True
    if stage.class_balanced_sampling:
        changes["class_balance"] = stage.class_balanced_sampling
    return video_spec(
        model_config,
        stage.data_pattern,
        pattern_flag="train_data_pattern",
        pad_frames=on_gpu(),
        teachers=stage.teacher_scores,
        fold=(stage.fold, stage.folds) if stage.folds else None,
        **changes,
    )
