"""From the flags that were given to the configs of a whole training."""

import dataclasses
import itertools

from yt8m import config as configs
from yt8m import losses
from yt8m.errors import UserError
from yt8m.recipes import em, sources
from yt8m.recipes.model import model_config
from yt8m.recipes.stages import check, names, patterns, stage_config
from yt8m.stages.em import Plan
from yt8m.stages.objective import fits, loss_of
from yt8m.training import callbacks


@dataclasses.dataclass(frozen=True)
class Run:
    """A training.

    Attributes:
        train_dir: its folder.
        model: ModelConfig.
        stages: TrainConfigs in their order; () with --stage=em.
        plan: em.Plan with --stage=em, else None.
    """

    train_dir: str
    model: configs.ModelConfig
    stages: tuple
    plan: Plan | None = None

    @property
    def trainings(self):
        """(name of the model, TrainConfig) of every stage."""
        if self.plan is None:
            return tuple((self.model.model, stage) for stage in self.stages)
        candidates = (self.plan.initial, *itertools.chain(*self.plan.candidates))
        return tuple((candidate.model.model, stage) for candidate in candidates for stage in candidate.stages)


def resolve(given, base=None, sample=None):
    """The Run that the flags ask for. Nothing is trained or written.

    Args:
        given: {flag: value}, as yt8m.flags.read returns it.
        base: ModelConfig that the run goes on from (sources.earlier_model), or None.
        sample: the built-in Sample (sources.sample_to_train_on), or None with named data.

    Raises:
        UserError: a value out of range, flags that do not go together, or another model than base's.
    """
    callbacks.check(given.get("callbacks", ()))
    check(given, sample)
    folder, segment_ids = sources.folder_of_training(given), sources.segment_label_ids(given, sample, base)
    model = model_config(given, base, sample, segment_ids if given.get("segment_classes_only") else None)
    configs.check_model_config(model)
    if given.get("stage") == "em":
        plan = em.plan(given, folder, model, sample, segment_ids)
        check_losses(given, model, plan.initial.stages)
        return Run(folder, model, (), plan)
    asked = names(given, sample)
    stages = tuple(
        stage_config(
            given,
            stage,
            model.model,
            sample,
            folder,
            **patterns(given, stage, sample, model),
            segment_label_ids=segment_ids,
            first=stage == asked[0],
        )
        for stage in asked
    )
    check_losses(given, model, stages)
    return Run(folder, model, stages)


def check_losses(given, model, stages):
    """Refuses a loss that no stage can use, and options that a stage's loss has not.

    Args:
        given: {flag: value}.
        model: ModelConfig.
        stages: TrainConfigs.

    Raises:
        UserError: names the flag.
    """
    if "label_loss" in given and not any(fits(given["label_loss"], stage.stage) for stage in stages):
        raise UserError(
            f"--label_loss={given['label_loss']}: is for rated segments, not --stage={stages[-1].stage}: it needs the labels of "
            "the video around each. Leave it out, or use --stage=finetune."
        )
    for stage in stages:
        losses.build(*loss_of(stage, model))
