"""What is meant by a flag that is not given."""

import pytest

from tests.commands import given
from yt8m import config, flags, models
from yt8m.errors import UserError
from yt8m.readers import labels
from yt8m.recipes import resolve
from yt8m.recipes.model import hyperparameters, model_config
from yt8m.recipes.sources import names_and_sizes
from yt8m.recipes.stages import stage_config, without_effect


def parse(*arguments):
    return given("train", *arguments)


def pretraining(*arguments, model="LogisticModel", sample=None):
    return stage_config(parse(*arguments), "pretrain", model, sample, "dir", "*")


def test_the_starters_flags_come_before_hyperparameters():
    assert hyperparameters(parse("--hyperparameters=num_sets=16,attention=sparsemax", "--moe_num_mixtures=4")) == {
        "num_sets": 16,
        "attention": "sparsemax",
        "num_mixtures": 4,
    }


@pytest.mark.parametrize(
    "arguments, steps, epochs",
    [((), None, 5), (("--max_steps=9",), 9, None), (("--num_epochs=2",), None, 2), (("--max_steps=9", "--num_epochs=2"), 9, 2)],
)
def test_length_of_a_stage(arguments, steps, epochs):
    stage = pretraining(*arguments)
    assert (stage.max_steps, stage.num_epochs) == (steps, epochs)
    assert stage.batch_size == 1024 and stage.base_learning_rate == 0.01  # the starter's


def test_export_model_steps_is_save_steps():
    assert pretraining("--export_model_steps=7").save_steps == 7


@pytest.mark.parametrize("names, sizes", [("rgb,audio", "1024"), ("rgb", "big"), ("rgb", "0")])
def test_bad_sizes(names, sizes):
    with pytest.raises(ValueError, match="feature_sizes"):
        names_and_sizes(parse(f"--feature_names={names}", f"--feature_sizes={sizes}"))


def test_defaults_by_kind_of_model():
    frame = model_config(parse("--model=AttentionModel"))
    video = model_config(parse())
    assert (frame.feature_names, frame.frame_features, frame.num_classes) == (("rgb", "audio"), True, 3862)
    assert (video.model, video.feature_names, video.feature_sizes, video.frame_features) == (
        "LogisticModel",
        ("mean_rgb",),
        (1024,),
        False,
    )


def test_optimizer_flags_override_the_recipe():
    stage = pretraining(
        "--optimizer=Adam",
        "--schedule=cosine",
        "--weight_decay=0",
        "--warmup_fraction=0.1",
        "--final_learning_rate_fraction=0",
        "--ema_momentum=0.99",
        "--clip=variable",
        "--learning_rate_multipliers=segment_encoder=0.25, head/experts=0",
        model="ContextAwareModel",
    )
    assert (stage.optimizer, stage.schedule, stage.weight_decay) == ("Adam", "cosine", 0.0)
    assert (stage.warmup_fraction, stage.final_learning_rate_fraction, stage.ema_momentum) == (0.1, 0.0, 0.99)
    assert (stage.clip, stage.clip_gradient_norm) == ("variable", 10.0)
    assert stage.learning_rate_multipliers == {"segment_encoder": 0.25, "head/experts": 0.0}


def test_multipliers_not_given_are_the_models_own_and_given_empty_are_none():
    assert pretraining().learning_rate_multipliers is None
    assert pretraining("--learning_rate_multipliers=").learning_rate_multipliers == {}


@pytest.mark.parametrize(
    "argument",
    ["--weight_decay=-0.1", "--ema_momentum=1", "--ema_momentum=-0.5", "--warmup_fraction=1.5", "--warmup_fraction=nan",
     "--final_learning_rate_fraction=-1", "--clip_gradient_norm=-1", "--devices=-1"],
)  # fmt: skip
def test_training_values_out_of_range(argument):
    with pytest.raises(ValueError, match=argument.split("=")[0]):
        pretraining(argument)


def test_segment_expansion():
    assert model_config(parse("--model=CnnModel", "--segment_expansion=2")).segment_expansion == 2
    base = config.ModelConfig("NeXtVladModel", segment_expansion=1)
    assert model_config(parse(), base).segment_expansion == 1
    assert model_config(parse("--segment_expansion=0"), base).segment_expansion == 0
    with pytest.raises(ValueError, match="--segment_expansion=-1"):
        model_config(parse("--segment_expansion=-1"))


def test_the_starters_model_flags():
    chosen = hyperparameters(parse("--dbof_cluster_size=4096", "--iterations=20", "--nosample_random_frames",
                                   "--dbof_pooling_method=average", "--moe_prob_gating", "--moe_num_mixtures=3"))  # fmt: skip
    assert chosen == {
        "cluster_size": 4096, "num_samples": 20, "sampling": "sequence", "pooling_method": "average",
        "probability_gating": True, "num_mixtures": 3,
    }  # fmt: skip
    model = models.build_model("DbofModel", 7, (16, 8), **{**chosen, "cluster_size": 16, "hidden_size": 8})
    assert (model.num_samples, model.sampling, model.pooling_method) == (20, "sequence", "average")


@pytest.mark.parametrize(
    "arguments, stages",
    [
        ((), ["pretrain"]),
        (("--segment_labels",), ["finetune"]),
        (("--stage=mstep", "--segment_labels"), ["mstep"]),
    ],
)
def test_stages_on_named_data(arguments, stages):
    run = resolve(parse("--model=AttentionModel", "--train_data_pattern=*", "--train_dir=dir", *arguments))
    assert [stage.stage for stage in run.stages] == stages
    assert {stage.data_pattern for stage in run.stages} == {"*"} and run.plan is None


def test_fine_tuning_on_the_sample_is_judged_at_each_checkpoint_on_what_is_held_out(sample):
    pretrain, finetune = resolve(parse("--model=AttentionModel", "--train_dir=dir"), sample=sample).stages
    assert (pretrain.eval_data_pattern, finetune.eval_data_pattern) == ("", sample.held_out_pattern)


def test_the_best_is_kept_where_there_are_shards_to_judge_on(sample):
    run = resolve(parse("--model=AttentionModel", "--train_dir=dir", "--keep_best"), sample=sample)
    assert [(stage.keep_best, stage.best_metric) for stage in run.stages] == [(False, "map"), (True, "map")]


def test_only_the_first_stage_starts_a_new_model(sample):
    run = resolve(parse("--model=AttentionModel", "--start_new_model", "--train_dir=dir"), sample=sample)
    assert [(stage.stage, stage.start_new_model) for stage in run.stages] == [("pretrain", True), ("finetune", False)]
    assert [stage.data_pattern for stage in run.stages] == ["train*", "rated*"]


def test_only_the_first_stage_starts_from_init_checkpoint(sample):
    run = resolve(parse("--model=AttentionModel", "--init_checkpoint=x", "--train_dir=dir"), sample=sample)
    assert [(stage.stage, stage.init_checkpoint) for stage in run.stages] == [("pretrain", "x"), ("finetune", "")]
    (only,) = resolve(parse("--init_checkpoint=x", "--train_dir=dir", "--stage=finetune"), sample=sample).stages
    assert only.init_checkpoint == "x"


NAMED = ("--model=FrameLevelLogisticModel", "--train_data_pattern=train*", "--train_dir=dir")


def test_em_has_no_teachers():
    with pytest.raises(UserError, match=r"--teacher_scores=x: --stage=em trains on videos and on segments"):
        resolve(parse(*NAMED, "--stage=em", "--rated_data_pattern=x*", "--teacher_scores=x"))


@pytest.mark.parametrize("flag", ["rated_data_pattern=x*", "em_models=A(x=1),B", "em_iterations=3", "em_threshold=0.5"])
def test_flags_of_em_need_it(sample, flag):
    for more, data in (((), None), (("--segment_labels",), None), ((), sample)):
        with pytest.raises(UserError, match=r"is for --stage=em, not --stage=(pretrain|finetune)\. Leave it out") as refused:
            resolve(parse(*(NAMED if data is None else NAMED[:1]), f"--{flag}", *more), sample=data)
        assert str(refused.value).startswith(f"--{flag}: ")
    elsewhere = parse(*NAMED, f"--{flag}", "--stage=pretrain")  # as beside --stage=em in a flag file
    assert without_effect(elsewhere, None) == [f"--{flag}: is for --stage=em, without effect in this pretrain."]
    resolve(elsewhere)


@pytest.mark.parametrize("more", [(), ("--stage=pretrain",), ("--stage=em", "--rated_data_pattern=rated*", "--folds=2")])
def test_pseudo_labels_that_no_stage_learns(more):
    with pytest.raises(UserError, match=r"^--pseudo_labels=p: is for --stage=mstep or --stage=finetune, not --stage=(pre|em)"):
        resolve(parse(*NAMED, "--pseudo_labels=p", *more))
    resolve(parse(*NAMED, "--pseudo_labels=p", "--stage=mstep"))


def test_shards_to_judge_on_that_nobody_would_look_at(sample):
    for more in ((), ("--stage=finetune",), ("--stage=em",)):
        with pytest.raises(UserError, match=r"^--eval_data_pattern=x\*: without --train_data_pattern the built-in sample"):
            resolve(parse("--model=AttentionModel", "--eval_data_pattern=x*", *more), sample=sample)
    lines = without_effect(parse(*NAMED, "--stage=em", "--eval_data_pattern=x*"), None)
    assert lines == ["--eval_data_pattern=x*: without effect, since --stage=em judges on the held-out rated shards."]


@pytest.mark.parametrize(
    "flags, line",
    [
        ("--fold=1", "--fold=1: without effect, since --folds is not given."),
        ("--fold=1 --folds=3", None),
        ("--best_metric=map", "--best_metric=map: without effect, since neither --folds nor --keep_best is given."),
        ("--best_metric=map --keep_best --eval_data_pattern=x", None),
        ("--warmup_fraction=0.1", "--warmup_fraction=0.1: without effect with --schedule=staircase."),
        ("--warmup_fraction=0.1 --schedule=cosine", None),
        ("--final_learning_rate_fraction=0.1", "--final_learning_rate_fraction=0.1: without effect with --schedule=staircase."),
        ("--learning_rate_decay=0.5", None),
        ("--learning_rate_decay=0.5 --schedule=cosine", "--learning_rate_decay=0.5: without effect with --schedule=cosine."),
        (
            "--learning_rate_decay_examples=9 --model=NeXtVladModel",
            "--learning_rate_decay_examples=9.0: without effect with --schedule=triangular.",
        ),
        ("--context_checkpoint=c", "--context_checkpoint=c: without effect, since no encoder is in FrameLevelLogisticModel."),
        ("--context_checkpoint=c --model=ContextAwareModel", None),
    ],
)
def test_a_flag_that_does_nothing_in_a_run_is_said(flags, line):
    given = parse(*NAMED, *flags.split())
    assert without_effect(given, None, resolve(given).trainings) == ([] if line is None else [line])


def test_a_method_of_fine_tuning_is_refused_in_a_named_stage_and_left_out_of_one_that_is_not(sample):
    run = resolve(parse("--model=AttentionModel", "--folds=3", "--teacher_scores=a,b"), sample=sample)
    assert [(stage.folds, stage.teacher_scores) for stage in run.stages] == [(0, ()), (3, ("a", "b"))]
    with pytest.raises(ValueError, match=r"--start_time_weight=3\.0: is for --stage=finetune"):
        resolve(parse("--model=AttentionModel", "--start_time_weight=3", "--stage=pretrain"), sample=sample)


def test_teachers_of_named_data_are_heard_with_and_without_a_named_stage():
    data = ("--model=AttentionModel", "--train_dir=dir", "--train_data_pattern=train*", "--teacher_scores=a,b")
    for more, stage in (((), "pretrain"), (("--stage=pretrain",), "pretrain"), (("--segment_labels",), "finetune")):
        (only,) = resolve(parse(*data, *more), sample=None).stages
        assert (only.stage, only.teacher_scores) == (stage, ("a", "b"))
    with pytest.raises(ValueError, match=r"--teacher_scores=a,b: is not for --stage=mstep"):
        resolve(parse(*data, "--stage=mstep", "--pseudo_labels=p"), sample=None)


def test_a_flag_of_a_stage_that_is_not_run_is_said(sample):
    given = parse("--class_balanced_sampling=0.5", "--keep_optimizer", "--segment_labels")
    assert without_effect(given, sample) == [
        "--class_balanced_sampling=0.5: is for --stage=pretrain, without effect in this finetune."
    ]
    assert len(without_effect(parse("--keep_optimizer"), None)) == 1
    line = "--distillation_weight=0.7: without effect, since --teacher_scores is not given."
    for words in ((), ("--stage=pretrain",), ("--segment_labels",)):
        assert without_effect(parse("--distillation_weight=0.7", *words), None) == [line]
        assert without_effect(parse("--distillation_weight=0.7", "--teacher_scores=a", *words), None) == []
    for words in (("--keep_optimizer",), ("--stage=em", "--keep_optimizer")):
        assert without_effect(parse(*words), sample) == []


def test_classes_are_balanced_in_pre_training_alone(sample):
    run = resolve(parse("--class_balanced_sampling=0.5"), sample=sample)
    assert [stage.class_balanced_sampling for stage in run.stages] == [0.5, 0.0]
    for value, line in (("0.5", "is for --stage=pretrain, not --stage=finetune"), ("1.5", "must be between 0 and 1")):
        with pytest.raises(ValueError, match=rf"--class_balanced_sampling={value}: {line}"):
            resolve(parse(f"--class_balanced_sampling={value}", "--stage=finetune", "--train_dir=dir"), sample=sample)


def test_a_model_is_made_smaller_on_the_sample_unless_told_otherwise(sample):
    assert model_config(parse("--model=NetVladModel")).hyperparameters == {}
    small = model_config(parse("--model=NetVladModel"), None, sample)
    assert (small.hyperparameters, small.segment_expansion) == ({"cluster_size": 16, "hidden_size": 512}, 0)
    told = model_config(parse("--model=NetVladModel", "--netvlad_cluster_size=32"), None, sample)
    assert told.hyperparameters == {"cluster_size": 32, "hidden_size": 512}


@pytest.fixture
def sample(tmp_path):
    """What the resolver asks of the built-in sample."""
    (tmp_path / "vocabulary.csv").write_text("Index,Name\n1,cat\n")

    class Parts:
        size, num_classes, vocabulary_file = "small", 108, tmp_path / "vocabulary.csv"
        train_pattern, rated_pattern, video_train_pattern, held_out_pattern = "train*", "rated*", "means*", "held*"

    return Parts()


def test_num_gpu_is_devices():
    assert parse("--num_gpu=2") == {"devices": 2} == flags.read(flags.TRAIN, {"num_gpu": 2})
    assert pretraining("--num_gpu=2").devices == 2
    with pytest.raises(UserError, match="--num_gpu and --devices mean the same"):
        parse("--num_gpu=2", "--devices=1")
    with pytest.raises(UserError, match="--num_gpu=two"):
        parse("--num_gpu=two")


@pytest.mark.parametrize("base", [None, config.ModelConfig("AttentionModel")])
def test_an_unknown_hyperparameter_is_named_with_the_known(base):
    with pytest.raises(UserError, match=r"unknown hyperparameter 'num_set' of AttentionModel: use one of .*hidden_size"):
        model_config(parse("--model=AttentionModel", "--hyperparameters=num_set=8"), base)


def test_segment_classes_of_a_training(tmp_path):
    ids = f"--segment_label_ids_file={tmp_path / 'ids.csv'}"
    (tmp_path / "ids.csv").write_text("3\n1\n")
    common = (f"--train_dir={tmp_path}", "--train_data_pattern=x")

    def run(*arguments, base=None):
        found = resolve(parse(*common, *arguments), base)
        return found.model.label_ids, found.model.segment_class_ids, found.stages[0].segment_label_ids

    official = labels.default_segment_label_ids(3862)
    assert run() == run("--num_classes=5") == (None, None, None)
    assert run(ids, "--num_classes=5") == (None, (3, 1), None)
    assert run("--segment_class_weight=3") == (None, None, official)
    assert run("--segment_class_weight=3", "--num_classes=5") == (None, None, (0, 1, 2, 3, 4))
    assert run("--segment_class_weight=3", ids) == (None, (3, 1), (3, 1))
    assert run("--segment_classes_only") == (official, None, official)
    assert run("--segment_classes_only", "--num_classes=5") == ((0, 1, 2, 3, 4), None, (0, 1, 2, 3, 4))
    assert run("--segment_classes_only", ids) == ((3, 1), None, (3, 1))
    base = config.ModelConfig("LogisticModel", segment_class_ids=(3, 1), feature_names=("mean_rgb",), feature_sizes=(1024,))
    assert run(base=base) == (None, (3, 1), None) and run("--segment_class_weight=3", base=base) == (None, (3, 1), (3, 1))
    with pytest.raises(UserError, match=r"label id 3 is none of --num_classes=3"):
        run(ids, "--num_classes=3")
