"""Trains a model to find where in a video a topic occurs.

  python train.py --model=MultiAttentionModel          on the built-in sample: pre-trains, fine-tunes, shows how good it is
  python train.py --model=... --train_data_pattern='.../train*.tfrecord' --train_dir=DIR              pre-trains on your data
  python train.py --segment_labels --train_data_pattern='.../validate*.tfrecord' --train_dir=DIR      fine-tunes that model
  python train.py --stage=em --model=...               weakly supervised EM, from pre-training to the last iteration

A run that was stopped, however it was, goes on where it was when the same command is given again.
"""

import os
import sys

from yt8m import flags
from yt8m.errors import UserError


def main(fv):
    """Resolves the flags to one config a stage and runs the stages."""
    from yt8m import losses
    from yt8m.stages import report, train

    if fv.log_device_placement:
        import tensorflow as tf

        tf.debugging.set_log_device_placement(True)
    folder, base = starting_model(fv)
    sample = built_in_sample(fv, base)
    segment_ids = segment_label_ids(fv, sample)
    model = flags.model_config(fv, base, sample, segment_ids if fv.segment_classes_only else None)
    losses.build(model.label_loss, model.loss_options)
    if fv.stage == "em":
        return run_em(fv, folder, model, sample, segment_ids)
    names = stages(fv, sample)
    runs = [
        flags.stage_config(
            fv, stage, folder, *patterns(fv, stage, sample, model), sample, model.model, segment_ids, first=stage == names[0]
        )
        for stage in names
    ]
    report.begin(folder)
    if not fv.train_dir:
        flags.note_latest(folder)
    for run in without_finished(runs, folder):
        trained = getattr(train, run.stage)(run, model)
        if trained is None:
            sys.exit(143)
        if sample:
            report.add_stage(folder, run.stage, trained, model, sample)
    report.finish(folder)
    if sample:
        report.show(folder, trained, model, sample)
    else:
        print(f"Done. Next: python eval.py --train_dir={folder} --eval_data_pattern=... --run_once")


def run_em(fv, folder, model, sample, segment_ids):
    """EM from beginning to end."""
    from yt8m.stages import em, report
    from yt8m.training import checkpoints, restore

    if sample:
        patterns = fv.train_data_pattern or sample.train_pattern, fv.rated_data_pattern or sample.rated_pattern
    elif not fv.rated_data_pattern:
        raise UserError("--stage=em: no --rated_data_pattern. Name the shards with rated segments.")
    else:
        patterns = fv.train_data_pattern, fv.rated_data_pattern
    if fv.start_new_model:
        checkpoints.remove_run(folder)
    plan = flags.em_plan(fv, folder, model, sample, patterns, segment_ids)
    report.begin(folder)
    if not fv.train_dir:
        flags.note_latest(folder)
    if em.em(plan) is None:
        sys.exit(143)
    report.finish(folder)
    if sample:
        trained = restore.newest(folder)
        report.add_stage(folder, "em", trained.model, trained.config, sample)
        report.show(folder, trained.model, trained.config, sample)
    else:
        print(f"Done. Next: python eval.py --train_dir={folder} --eval_data_pattern=... --segment_labels --run_once")


def starting_model(fv):
    """(train_dir, ModelConfig that the run goes on from or None)."""
    from yt8m import config
    from yt8m.training import checkpoints

    if fv.train_dir or fv.model or fv.stage != "finetune":
        folder = flags.train_dir(fv, fv.model or "LogisticModel")
    else:
        folder = flags.train_dir(fv)
    if fv.init_checkpoint:
        _, source = checkpoints.find(fv.init_checkpoint)
        return folder, config.read_model_config(source)
    if fv.stage == "em":
        return folder, None
    if not fv.start_new_model and os.path.exists(os.path.join(folder, config.MODEL_FILE)):
        return folder, config.read_model_config(folder)
    encoders = fv.context_checkpoint and fv.segment_checkpoint
    if fv.stage == "finetune" and not fv.start_new_model and not encoders:
        raise UserError(
            f"--stage=finetune: --train_dir={folder} holds no pre-trained model. Pre-train first, or give --init_checkpoint."
        )
    return folder, None


def built_in_sample(fv, base):
    """The built-in sample when no data is named, else None."""
    if fv.train_data_pattern:
        return None
    if base and not base.sample:
        raise UserError("--train_data_pattern is not given, and the model that this run goes on from was trained on named data.")
    from yt8m.sample.sample import ensure_sample

    print("No --train_data_pattern: using the built-in sample, made-up videos in the native formats.", flush=True)
    return ensure_sample(base.sample if base else "small")


def segment_label_ids(fv, sample):
    """Ids of the segment classes, where the run needs them."""
    from yt8m.readers import labels

    if fv.segment_classes_only or fv.segment_class_weight != 1:
        default = sample.segment_label_ids_file if sample else labels.DEFAULT_SEGMENT_LABEL_IDS_URL
        return tuple(labels.read_label_ids(fv.segment_label_ids_file or default))
    return None


def stages(fv, sample):
    """The stages to run, in order."""
    if fv.stage:
        return [fv.stage]
    if fv.segment_labels:
        return ["finetune"]
    return ["pretrain", "finetune"] if sample else ["pretrain"]


def without_finished(runs, folder):
    """The runs from the stage on that the train_dir is at, when the command asks for that stage as well as for earlier ones."""
    from yt8m.training import checkpoints

    prefix = checkpoints.latest(folder)
    if prefix is None or runs[0].start_new_model:
        return runs
    names = [run.stage for run in runs]
    stage = checkpoints.position(prefix)[1]
    return runs[names.index(stage) :] if stage in names else runs


def patterns(fv, stage, sample, model):
    """(shards to train on, shards to evaluate on while training) of a stage."""
    if not sample:
        return fv.train_data_pattern, flags.given(fv, "eval_data_pattern", "")
    if stage == "finetune":
        return sample.rated_pattern, ""
    return sample.train_pattern if model.frame_features else sample.video_train_pattern, ""


FLAGS = (
    lambda fv: flags.define_files(fv, "train_data_pattern", "eval_data_pattern"),
    flags.define_features,
    flags.define_model,
    flags.define_training,
    lambda fv: flags.define_output(fv, training=True),
)

if __name__ == "__main__":
    flags.run(main, __doc__, FLAGS)
