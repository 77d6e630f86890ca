"""The stages by the names that TrainConfig.stage and --stage know them by."""

from yt8m.stages.finetune import finetune
from yt8m.stages.mstep import mstep
from yt8m.stages.pretrain import pretrain

# name -> function (TrainConfig, ModelConfig, callbacks=()) -> keras.Model, or None when SIGTERM stopped the run.
FUNCTIONS = {"pretrain": pretrain, "mstep": mstep, "finetune": finetune}
