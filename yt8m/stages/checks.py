"""What of a stage does not go together, refused before anything is read."""

from yt8m import models
from yt8m.errors import UserError
from yt8m.readers.patterns import match_files
from yt8m.readers.sidecars import ensure_sidecars_done
from yt8m.stages.batches import pseudo_rows
from yt8m.stages.objective import check_loss
from yt8m.training.augmentation import Augmentation


def check(stage, model_config, spec):
    """Refuses what does not go together, before anything is read.

    Raises:
        UserError: names the flag.
    """
    model_class, by_segments = models.model_class(model_config.model), cuts_videos(model_config, spec)
    Augmentation(**stage.augmentation).check(model_class, spec.by_video, spec.segment_labels, by_segments)
    check_loss(stage, model_config)
    if by_segments and stage.xla == "on":
        raise UserError(
            "--xla=on: with --video_prediction=segments_mean every batch of videos has another number of segments, and XLA would "
            "compile each anew. Leave it out in pre-training."
        )
    if stage.start_time_weight and model_config.video_prediction == "segments_mean":
        raise UserError(
            f"--start_time_weight={stage.start_time_weight}: with --video_prediction=segments_mean attention stays within a "
            "segment, and no loss could move it to another. Give --video_prediction=whole."
        )
    if stage.start_time_weight and stage.stage == "finetune" and not models.has_attention(model_config.model):
        raise UserError(
            f"--start_time_weight={stage.start_time_weight}: {model_config.model} has no attention over frames. Use "
            "AttentionModel or MultiAttentionModel."
        )
    if stage.pseudo_data_pattern and stage.stage == "finetune" and stage.teacher_scores:
        raise UserError(
            "--teacher_scores: not together with --pseudo_data_pattern in fine-tuning: with teachers all segments are learned, "
            "with pseudo-labels those that have some. Leave one out."
        )
    if stage.pseudo_data_pattern and stage.stage == "finetune":
        check_blend(stage)
    if stage.start_time_weight and (stage.teacher_scores or stage.pseudo_data_pattern):
        raise UserError("--start_time_weight: not together with --teacher_scores or --pseudo_data_pattern. Leave one out.")


def cuts_videos(model, spec):
    """Whether a model (or its ModelConfig) gets whole videos and cuts them into segments, every batch into another number."""
    return model.video_prediction == "segments_mean" and not spec.segment_labels


def check_blend(stage):
    """Refuses pseudo-labels that are not all there, and a share that leaves either kind no row of a batch.

    Raises:
        UserError: names the flag.
    """
    ensure_sidecars_done(stage.pseudo_labels, match_files(stage.pseudo_data_pattern, "pseudo_data_pattern"))
    if not 0 < pseudo_rows(stage, stage.batch_size) < stage.batch_size:
        raise UserError(
            f"--pseudo_share={stage.pseudo_share}: of --batch_size={stage.batch_size} rows that is none or all. Use a share that "
            "leaves rows for both."
        )
