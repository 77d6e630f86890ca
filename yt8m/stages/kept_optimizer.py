"""A stage that goes on with the optimizer of an earlier one (--keep_optimizer), and when it cannot."""

import os

from yt8m import models
from yt8m.errors import UserError
from yt8m.stages import record
from yt8m.stages.start import SCRATCH, THIS_STAGE
from yt8m.training import checkpoints as ckpt
from yt8m.training.optimizer_state import check_optimizer


def check(start, stage, model_config, length, optimizer):
    """Refuses --keep_optimizer where there is no state of the same optimizer at the same pace.

    The schedule counts examples as the starter code does, steps times batch: so the earlier stage must have had as many rows a
    step. Nothing is changed but the optimizer's variables.

    Args:
        start: start.Start.
        stage: TrainConfig.
        model_config: ModelConfig.
        length: loop.Length.
        optimizer: built Keras optimizer of the stage.

    Raises:
        UserError: says why, and the way out.
    """
    if not stage.keep_optimizer or start.kind == THIS_STAGE:
        return
    if start.kind == SCRATCH:
        raise UserError(
            "--keep_optimizer: no earlier stage is there whose optimizer could go on. Pre-train first, or leave it out."
        )
    if stage.schedule != "staircase":
        raise UserError(
            f"--keep_optimizer: --schedule={stage.schedule} begins anew with each stage. Use staircase, or leave it out."
        )
    if models.model_class(model_config.model).HAS_ENCODERS:
        raise UserError(
            f"--keep_optimizer: the encoders of {model_config.model} were trained with optimizers of their own. Leave it out."
        )
    check_optimizer(start.checkpoint, optimizer, stage.optimizer)
    earlier = record.noted(os.path.dirname(start.checkpoint)).get(ckpt.position(start.checkpoint)[1])
    if earlier and earlier["rows_a_step"] != length.batch_size:
        raise UserError(
            f"--batch_size={stage.batch_size}: {length.batch_size} rows a step on all devices, but with --keep_optimizer the "
            f"learning rate goes on by examples, and {start.checkpoint} has seen {earlier['rows_a_step']} a step. Give a "
            "--batch_size with as many."
        )
