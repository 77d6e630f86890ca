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
    Augmentation(**stage.augmentation).check(models.model_class(model_config.model), spec.by_video, spec.segment_labels)
    check_loss(stage, model_config)
    if stage.start_time_weight and stage.stage == "finetune" and not models.has_attention(model_config.model):
        raise UserError(
            f"--start_time_weight={stage.start_time_weight}: {model_config.model} has no attention over frames. Use "
            "AttentionModel or MultiAttentionModel."
        )
    if stage.pseudo_data_pattern and stage.stage == "finetune":
        check_blend(stage)
    if stage.start_time_weight and (stage.teacher_scores or stage.pseudo_data_pattern):
        raise UserError("--start_time_weight: not together with --teacher_scores or --pseudo_data_pattern. Leave one out.")


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
