"""Every published recipe has a flag file, and every flag file builds what it says."""

import dataclasses
import fnmatch
import itertools
import pathlib
import re
import shlex

import numpy as np
import pytest

from tests import commands
from tests.published import OURS, PUBLISHED
from tests.testing import make_video, write_frame_shards
from yt8m import config, losses, models, recipes, registry
from yt8m.base_model import constructor_arguments
from yt8m.base_model.heads import head_class, layer_arguments
from yt8m.flags import INFERENCE, TRAIN
from yt8m.flags.table import by_name
from yt8m.layers.frame_sampling import ends_of
from yt8m.recipes import em
from yt8m.recipes.model import model_config as model_of
from yt8m.recipes.stages import stage_config
from yt8m.stages.objective import loss_of
from yt8m.training import optimizers, restore, schedules

ROOT = pathlib.Path(__file__).parent.parent
# Each model of the papers' tables -> its file.
RECIPES = {
    "000/001 Attention 1": "attention_sparsemax_moe",
    "000/001 Attention 2": "attention_subsampling_moe",
    "000/001 Attention 3": "attention_logistic",
    "000/001 Multi-attention 1": "multi_attention_logistic_8",
    "000/001 Multi-attention 2": "multi_attention_moe_8",
    "000/001 Multi-attention 3": "multi_attention_moe_16",
    "000/001 CNN1": "cnn_1",
    "000/001 CNN2": "cnn_2",
    "000/001 DBoF1": "dbof_1",
    "000/001 DBoF2": "dbof_2",
    "000/001 NetVLAD": "netvlad",
    "000/001 GRU": "gru",
    "000/001 LSTM": "lstm",
    "002 dbof-1": "gated_dbof_1",
    "002 dbof-2": "gated_dbof_2",
    "002 dbof-3": "gated_dbof_3",
    "002 nxvlad-1": "nextvlad_1",
    "002 nxvlad-2": "nextvlad_2",
    "002 agnostic dbof-3": "agnostic_gated_dbof_3",
    "002 agnostic nxvlad-2": "agnostic_nextvlad_2",
    "002 aware dbof-1 nxvlad-2": "aware_dbof_1_with_nextvlad_2",
    "002 aware dbof-2 nxvlad-2": "aware_dbof_2_with_nextvlad_2",
    "002 aware dbof-3 nxvlad-2": "aware_dbof_3_with_nextvlad_2",
    "002 aware nxvlad-2 nxvlad-2": "aware_nextvlad_2_with_nextvlad_2",
    "002 aware nxvlad-2 dbof-3": "aware_nextvlad_2_with_dbof_3",
    "003 video": "gated_netvlad_moe",
    "003 video, literally": "gated_netvlad_moe_literal",
    "003 segments": "gated_netvlad_joint",
    "004 Logistic": "em_logistic",
    "004 Transformer early": "em_transformer_early",
    "004 Transformer late": "em_transformer_late",
    "004 BiGRU": "em_bigru",
    "004 NeXtVLAD": "em_nextvlad",
    "000/001 distillation": "student",
}
# Papers 000/001 as their authors' code has it.
RECIPES |= {
    f"{title}, authors": f"{name}_authors"
    for title, name in RECIPES.items()
    if title.startswith("000/001 ") and name != "student"
}
PROCESSES = {"004 Algorithm 1": "em"}  # of several models
AUDIOSET = ("audioset", "audioset_branches", "audioset_deep", "audioset_wide")
# Other places of the challenge of 2019.
BEYOND = ("soft_dbof", "soft_dbof_segments", "dbof_five_frames", "bert_mean", "softmax_mlp", "mixture_nextvlad")
MEASURED = (*AUDIOSET, "video_level", "video_level_branches")  # no paper's: chosen on real data, docs/results.md

# Recipe of the defaults -> the models that have it when they are named alone; all others have the starter's.
PAPERS_MODELS = {
    "attention": ("AttentionModel", "MultiAttentionModel"),
    "ceshine": ("GatedDbofModel", "NeXtVladModel", "ContextAwareModel"),
    "netvlad": ("NetVladModel", "JointContextModel"),
    "em": ("BiGruModel", "TransformerModel"),
}

# Trainable values, in millions, that papers give for what a file builds (000/001: of float32, 150 MB and 30 MB).
MILLIONS = {
    "multi_attention_moe_8": (36.5, 38.5),
    "multi_attention_logistic_8": (6.5, 7.5),
    "gated_dbof_1": (37.5, 38.5),
    "gated_dbof_2": (35.5, 36.5),
    "gated_dbof_3": (35.5, 36.5),
    "nextvlad_1": (25.5, 26.5),
    "nextvlad_2": (32.5, 33.5),
    "aware_dbof_2_with_nextvlad_2": (34, 36),
    "aware_dbof_3_with_nextvlad_2": (36, 38),
    "aware_nextvlad_2_with_nextvlad_2": (34, 36),
    "aware_nextvlad_2_with_dbof_3": (42, 44),
}


def parse(name, *arguments):
    """What is given to train.py, with the flag file `name` unless that is None."""
    file = [] if name is None else [f"--flagfile={ROOT / 'configs' / name}.flags"]
    return commands.given("train", *file, *arguments)


def model_config(given):
    return model_of(given, label_ids=tuple(range(1000)) if given.get("segment_classes_only") else None)


def header(name):
    return [line for line in (ROOT / "configs" / f"{name}.flags").read_text().splitlines() if line.startswith("#")]


def test_the_models_with_a_recipe_of_a_paper_are_these():
    families = {name: {model for model in models.model_names() if recipe_of(model) == name} for name in recipes.RECIPES}
    assert families == {
        "starter": set(models.model_names()).difference(*(set(names) for names in PAPERS_MODELS.values())),
        **{name: set(names) for name, names in PAPERS_MODELS.items()},
        "sample": set(),
    }


def test_every_published_recipe_has_a_file_and_every_file_is_one():
    files = {path.stem for path in (ROOT / "configs").glob("*.flags") if not path.stem.startswith(("ensemble_", "rerank_"))}
    assert files == {*RECIPES.values(), *PROCESSES.values(), *MEASURED, *BEYOND}


def trainings(name):
    """(recipe, what is given to train.py) of each command in a file's header."""
    for recipe, rest in re.findall(r"python train\.py --flagfile=configs/(\w+)\.flags (.*)", "\n".join(header(name))):
        yield recipe, parse(recipe, *shlex.split(rest))


@pytest.mark.parametrize("name", sorted([*RECIPES.values(), *PROCESSES.values()]))
def test_header(name):
    text = "\n".join(header(name))
    assert re.search(r"paper(s 000/001| 002| 003| 004), (table|section|one of)", text), "source"
    assert re.search(r"Published: .*(\d|none)", text), "score"
    assert "Not in the paper: " in text
    assert re.search(r"# Data: YouTube-8M (2/frame train|3/frame validate)", text), "part of the dataset"
    assert re.search(r"# Chosen by: .*", text), "how the checkpoint is chosen"
    assert re.search(r"# Inference: ", text), "which segments are scored"
    assert len(set(re.findall(r"^# ([A-Z][^:]{1,40}): ", text, flags=re.MULTILINE))) >= 4
    assert all(len(line) <= 130 for line in header(name) if "python train.py" not in line)
    commands_of = list(trainings(name))
    assert commands_of and commands_of[-1][0] == name
    for _, given in commands_of:
        part = "3/frame/validate" if given.get("stage") == "finetune" else "2/frame/train"
        assert given["train_data_pattern"].startswith(f"DATA/{part}/")


def test_papers_that_name_segments_to_skip_or_folds_have_them_in_the_header():
    for name in RECIPES.values():
        text = " ".join(line.removeprefix("#").strip() for line in header(name))
        if name.startswith(("agnostic", "aware")):
            assert "3/frame test with --skip_head_segments=6 --skip_tail_segments=2" in text and "+.003" in text
            given = dict(trainings(name))[name]
            assert f"Published: fold{'' if text.count('(fold') == 1 else 's'} {given['fold']}" in text
            assert f"(fold {given['fold']}" in text, "the fold is a published model's"


def effective(given, stage):
    """{name: value} of all that a stage of a command is told and takes for granted, under the names of tests.published."""
    model = model_config(given)
    run = stage_config(given, stage, model.model, None, "dir", "*", given.get("eval_data_pattern", ""))
    head = model.hyperparameters.get("video_level_classifier_model")
    facts = {**models.hyperparameters(model.model, head), **model.hyperparameters}
    if "sampling" in facts:
        facts["skip_head"], facts["skip_tail"] = ends_of(facts["sampling"], facts["skip_head"], facts["skip_tail"])
    facts |= {f"head {argument}": value for argument, value in head_of(model).items()}
    name, options = loss_of(run, model)
    loss = {f"loss {option}": value for option, value in losses.build(name, options).get_config().items()}
    fields = {**dataclasses.asdict(model), **{field.name: getattr(run, field.name) for field in dataclasses.fields(run)}}
    return {**given, **fields, **facts, **loss, "label_loss": name}


def head_of(model):
    """{argument: value} of a model's classifier: head_options, and what the model has no argument of that name for."""
    own = constructor_arguments(models.model_class(model.model))
    head = model.hyperparameters.get("video_level_classifier_model", own.get("video_level_classifier_model"))
    if head is None:
        return {}
    defaults = {**layer_arguments(head_class(head)), **(models.model_class(model.model).HEAD_DEFAULTS or {}).get(head, {})}
    beside = {argument: value for argument, value in model.hyperparameters.items() if argument not in own}
    return {**defaults, **(model.hyperparameters.get("head_options") or {}), **beside}


def plain(value):
    """Tuples as lists, as a config file has them."""
    return list(value) if isinstance(value, tuple) else value


def test_every_recipe_has_published_values():
    assert set(PUBLISHED) == set(RECIPES.values()) - {"student"}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_config_says_what_is_published(name):
    """Each value of the table is what the header's command of that stage trains with."""
    by_stage = {given.get("stage", "pretrain"): given for recipe, given in trainings(name) if recipe == name}
    assert set(by_stage) == set(PUBLISHED[name])
    wrong = []
    for stage, values in PUBLISHED[name].items():
        ours = effective(by_stage[stage], stage)
        for key, (value, source) in values.items():
            if plain(ours[key]) != plain(value):
                wrong.append(f"{stage}: {key} is {ours[key]!r}, but {value!r} by {source}")
    assert not wrong


@pytest.mark.parametrize("name", sorted(RECIPES.values()))
def test_a_config_says_nothing_without_a_source(name):
    """Each flag of a file is in the table of what is published, or among what is ours, with the reason."""
    given = parse(name)
    stages, options = given.pop("stage", None), given.pop("hyperparameters", {})
    of_head = {f"head {argument}" for argument in options.pop("head_options", {})}
    said = {models.ALIASES.get(key, key) for key in (*given, *options)} | of_head
    said = {"loss epsilon" if key == "loss_options" else key for key in said}
    sourced = {key for values in PUBLISHED.get(name, {}).values() for key in values} | set(OURS.get(name, {}))
    assert not said - sourced
    assert stages is None or list(PUBLISHED[name]) == [stages]


@pytest.mark.usefixtures("no_random_weights")
@pytest.mark.parametrize(
    "name",  # two encoders at once take most of a gigabyte
    [pytest.param(name, marks=pytest.mark.slow if name.startswith("aware_") else ()) for name in sorted(RECIPES.values())],
)
def test_recipe_builds(name):
    """The whole model where its size is checked; the others with small features and few classes, which is faster."""
    given = parse(name)
    model = model_config(given)
    stage = stage_config(given, given.get("stage", "pretrain"), model.model, None, "dir", "*", "*")
    assert stage.base_learning_rate == given["base_learning_rate"] and stage.batch_size == given["batch_size"]
    if name not in MILLIONS:
        model = dataclasses.replace(model, feature_sizes=(16, 8), label_ids=None, num_classes=7)
    built = restore.build(model)
    if name in MILLIONS:
        low, high = MILLIONS[name]
        assert low < sum(int(np.prod(w.shape)) for w in built.trainable_weights) / 1e6 < high
    schedule = schedules.make_schedule(
        stage.schedule,
        stage.base_learning_rate,
        stage.batch_size,
        stage.max_steps,
        stage.learning_rate_decay,
        stage.learning_rate_decay_examples,
        stage.warmup_fraction,
        stage.final_learning_rate_fraction,
    )
    factors = optimizers.learning_rate_multipliers(built, stage.learning_rate_multipliers)
    optimizers.make_optimizer(
        stage.optimizer,
        schedule,
        stage.clip_gradient_norm,
        stage.clip,
        weight_decay=stage.weight_decay,
        learning_rate_multipliers=factors,
        ema_momentum=stage.ema_momentum,
        epsilon=stage.optimizer_epsilon,
    )


def test_the_page_of_recipes_names_every_file_and_flags_that_there_are():
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    patterns = re.findall(r"`([a-z0-9_*]+)`", text)
    for path in (ROOT / "configs").glob("*.flags"):
        assert any(fnmatch.fnmatch(path.stem.removesuffix("_authors"), pattern) for pattern in patterns), path.stem
    known = {**by_name(TRAIN), **by_name(INFERENCE)}
    assert set(re.findall(r"--([a-z_]+)", text)) <= set(known)


def test_the_process_of_paper_004(tmp_path):
    write_frame_shards(tmp_path, [[make_video(f"v{number}", ratings=[(0, 0, 1.0)])] for number in range(8)])
    given = parse("em", "--train_data_pattern=*", f"--rated_data_pattern={tmp_path / '*'}")
    plan = em.plan(given, "dir", model_config(given), None)
    assert (len(plan.candidates), plan.threshold, plan.folds) == (2, 0.9, 8)  # section 6.1; the paper's part is "small"
    assert plan.initial.model.model == "FrameLevelLogisticModel"  # table 1, first block
    assert plan.initial.model.video_prediction == "segments_mean"  # eq. 15
    assert [(stage.num_epochs, stage.optimizer) for stage in plan.initial.stages] == [(5, "AdamOptimizer")] * 2  # section 6.1
    for candidates in plan.candidates:
        assert [candidate.model.model for candidate in candidates] == ["TransformerModel"] * 2
        assert [candidate.model.hyperparameters["fusion"] for candidate in candidates] == ["early", "late"]
    assert [stage.stage for stage in plan.initial.stages] == ["pretrain", "finetune"]
    for candidate in itertools.chain(*plan.candidates):
        assert [(stage.stage, stage.batch_size, stage.folds) for stage in candidate.stages] == [
            ("mstep", 512, 0),
            ("finetune", 512, 8),
        ]
        assert {stage.base_learning_rate for stage in candidate.stages} == {2.5e-4}


@pytest.mark.parametrize("name", sorted({*RECIPES.values(), *MEASURED, *BEYOND}))
def test_inside_the_logarithms_is_the_starters_1e_5_but_where_1e_7_was_measured(name):
    given = parse(name)
    stage = given.get("stage", "pretrain")
    model = model_config(given)
    loss, options = loss_of(stage_config(given, stage, model.model, None, "dir", "*"), model)
    if loss == "CrossEntropyLoss":
        measured = name in (*MEASURED, "student")
        assert losses.build(loss, options).epsilon == (1e-7 if measured else 1e-5)
        assert options == {"epsilon": 1e-7} or not measured  # said, so that no default changes it


def test_paper_002_fine_tunes_with_its_loss_and_folds():
    for name in RECIPES.values():
        if name.startswith(("agnostic", "aware")):
            given = parse(name, "--fold=3")
            stage = stage_config(given, "finetune", given["model"], None, "dir", "*")
            assert (stage.folds, stage.fold, stage.best_metric) == (8, 3, "auc")
            assert model_config(given).label_loss == "SampledNegativeLoss"


@pytest.mark.parametrize("first, second", [("gated_dbof_3", "agnostic_gated_dbof_3"), ("nextvlad_2", "agnostic_nextvlad_2")])
def test_fine_tuning_accepts_the_pre_trained_model(first, second):
    base = model_config(parse(first))
    tuned = model_of(parse(second), base, None, tuple(range(1000)))
    assert (tuned.segment_expansion, tuned.hyperparameters) == (3, base.hyperparameters)


@pytest.mark.parametrize("name", sorted(name for name in RECIPES.values() if name.startswith("aware") or name.endswith("joint")))
def test_context_models_have_the_encoders_that_their_header_trains(name):
    model = model_config(parse(name))
    built = dict(re.findall(r"configs/(\w+)\.flags .*--train_dir=DIR/(context|segment)", "\n".join(header(name))))
    folders = {folder: file for file, folder in built.items()}
    assert "context" in folders
    for part in ("context", "segment"):
        encoder = model_config(parse(folders.get(part, folders["context"])))
        assert encoder.model == model.hyperparameters.get(f"{part}_model", "NetVladModel")
        options = dict(model.hyperparameters[f"{part}_options"])
        options.update(options.pop("head_options", {}))
        assert options == {k: v for k, v in encoder.hyperparameters.items() if k != "video_level_classifier_model"}


def test_the_command_line_overrides_a_file():
    given = parse("multi_attention_moe_8", "--stage=finetune", "--max_steps=2500")
    stage = stage_config(given, "finetune", "MultiAttentionModel", None, "dir", "*")
    assert (stage.max_steps, stage.batch_size) == (2500, 128)


def recipe_of(name):
    return registry.get("model", name).RECIPE


@pytest.mark.parametrize("name", [name for name in models.model_names() if recipe_of(name) != "starter"])
@pytest.mark.parametrize("stage", config.STAGES)
def test_a_model_named_alone_has_its_papers_settings(name, stage):
    given = parse(None, f"--model={name}")
    values = stage_config(given, stage, name, None, "dir", "*")
    rate, batch, optimizer, decay, schedule, clip = {
        ("attention", "pretrain"): (8e-4, 128, "AdamOptimizer", None, "staircase", 1.0),
        ("attention", "finetune"): (8e-4, 128, "AdamOptimizer", None, "staircase", 1.0),
        ("ceshine", "pretrain"): (3e-4, 32, "AdamWOptimizer", 0.1, "triangular", 10.0),
        ("ceshine", "finetune"): (2e-4, 128, "AdamWOptimizer", 0.02, "triangular", 10.0),
        ("netvlad", "pretrain"): (2e-4, 128, "AdamOptimizer", None, "staircase", 1.0),
        ("netvlad", "finetune"): (2e-4, 128, "AdamOptimizer", None, "staircase", 1.0),
        ("em", "pretrain"): (2.5e-4, 512, "AdamOptimizer", None, "staircase", 1.0),
        ("em", "finetune"): (2.5e-4, 512, "AdamOptimizer", None, "staircase", 1.0),
    }[recipe_of(name), "pretrain" if stage == "mstep" else stage]
    assert (values.base_learning_rate, values.batch_size, values.optimizer) == (rate, batch, optimizer)
    assert (values.weight_decay, values.schedule, values.clip_gradient_norm) == (decay, schedule, clip)
    assert model_config(given).segment_expansion == (3 if recipe_of(name) in ("ceshine", "netvlad") else 0)
