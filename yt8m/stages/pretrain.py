"""Phase 1 of papers 000 and 001: a model learns the labels of whole videos."""

import functools

import numpy as np

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
    if models.kind(model_config.model) == "context":
        return encoders.join(stage, model_config, functools.partial(pretrain, callbacks=callbacks))
    changes = {}
    if stage.only_segment_class_videos:
        changes["only_videos_with_label_ids"] = True
    spec = video_spec(
        model_config,
        stage.data_pattern,
        pattern_flag="train_data_pattern",
        pad_frames=on_gpu(),
        teachers=stage.teacher_scores,
        **changes,
    )
    return run_stage(stage, model_config, spec, callbacks, segment_class_weights(stage, model_config))


def segment_class_weights(stage, model_config):
    """[C] weights of the pre-training loss: segment_class_weight for the segment classes, 1 for the rest; None: all 1."""
    if stage.segment_class_weight == 1 or stage.segment_label_ids is None:
        return None
    columns = np.arange(model_config.num_classes) if model_config.label_ids is None else np.array(model_config.label_ids)
    return np.where(np.isin(columns, stage.segment_label_ids), stage.segment_class_weight, 1.0).astype(np.float32)
