"""What --em_models says, and what holds for its entries that is not said there."""

import json

import pytest

from tests.commands import given
from yt8m.errors import UserError
from yt8m.recipes import resolve
from yt8m.stages import em_files

FLAGS = ("--stage=em", "--train_data_pattern=train*", "--rated_data_pattern=rated*", "--train_dir=dir", "--folds=8")
# Paper 004, section 6.1: NeXtVLAD sees 5 frames, lr 4e-4, batch 4,800 segments, Adam.
PAPER = (
    "NeXtVladModel(segment_expansion=0,video_prediction=segments_mean,recipe=em,base_learning_rate=0.0004,batch_size=4800,"
    "sampling=none,cluster_size=128,groups=8)"
)


def plan(*arguments, sample=None):
    return resolve(given("train", *FLAGS, "--model=FrameLevelLogisticModel", *arguments), sample=sample).plan


@pytest.fixture
def sample(tmp_path):
    """What the resolver asks of the built-in sample."""
    (tmp_path / "vocabulary.csv").write_text("Index,Name\n1,cat\n")

    class Parts:
        size, num_classes, vocabulary_file = "small", 108, tmp_path / "vocabulary.csv"
        train_pattern, rated_pattern, video_train_pattern = "train*", "rated*", "means*"

    return Parts()


def candidates(entry, *arguments, sample=None):
    """(F, F1) of a process whose F1 is the entry."""
    process = plan(f"--em_models={entry},TransformerModel", *arguments, sample=sample)
    return process.initial, process.candidates[0][0]


def test_only_the_pre_training_of_f_starts_from_init_checkpoint():
    process = plan("--init_checkpoint=x")
    assert [stage.init_checkpoint for stage in process.initial.stages] == ["x", ""]
    assert {stage.init_checkpoint for pair in process.candidates for one in pair for stage in one.stages} == {""}


def test_an_entry_is_trained_as_paper_004_says():
    _, nextvlad = candidates(PAPER)
    assert (nextvlad.model.segment_expansion, nextvlad.model.video_prediction) == (0, "segments_mean")
    assert nextvlad.model.hyperparameters == {"sampling": "none", "cluster_size": 128, "groups": 8}
    for stage in nextvlad.stages:
        assert (stage.optimizer, stage.weight_decay) == ("AdamOptimizer", None)
        assert (stage.schedule, stage.clip) == ("staircase", "variable")
        assert (stage.base_learning_rate, stage.batch_size, stage.num_epochs, stage.max_steps) == (4e-4, 4800, 5, None)
        assert (stage.learning_rate_decay, stage.clip_gradient_norm) == (0.95, 1.0)


def test_without_a_word_an_entry_is_as_with_model():
    _, nextvlad = candidates("NeXtVladModel")
    assert (nextvlad.model.segment_expansion, nextvlad.model.video_prediction) == (3, "whole")
    assert [(stage.optimizer, stage.weight_decay, stage.schedule) for stage in nextvlad.stages] == [
        ("AdamWOptimizer", 0.1, "triangular"),
        ("AdamWOptimizer", 0.02, "triangular"),
    ]


def test_flags_of_the_command_hold_for_all():
    initial, nextvlad = candidates(
        "NeXtVladModel", "--segment_expansion=1", "--optimizer=Adagrad", "--clip=variable", "--schedule=cosine", "--batch_size=9"
    )
    for candidate in (initial, nextvlad):
        assert candidate.model.segment_expansion == 1
        for stage in candidate.stages:
            assert (stage.optimizer, stage.clip, stage.schedule, stage.batch_size) == ("Adagrad", "variable", "cosine", 9)


def test_an_entry_comes_before_the_commands_flags():
    initial, nextvlad = candidates(
        "NeXtVladModel(segment_expansion=0,optimizer=Adam,clip_gradient_norm=3,learning_rate_multipliers={'hidden':0.5})",
        "--segment_expansion=1", "--optimizer=Adagrad", "--clip_gradient_norm=2",
    )  # fmt: skip
    assert (initial.model.segment_expansion, nextvlad.model.segment_expansion) == (1, 0)
    assert {stage.optimizer for stage in initial.stages} == {"Adagrad"}
    for stage in nextvlad.stages:
        assert (stage.optimizer, stage.clip_gradient_norm) == ("Adam", 3.0)
        assert stage.learning_rate_multipliers == {"hidden": 0.5}


def test_the_mean_over_segments_holds_for_the_models_that_can():
    """A sequence model's prediction is that mean in any case; and the models' segments have 5 frames then."""
    process = plan("--video_prediction=segments_mean", "--em_models=NeXtVladModel,TransformerModel")
    models = [candidate.model for candidate in (process.initial, *process.candidates[0])]
    assert [model.video_prediction for model in models] == ["segments_mean", "segments_mean", "whole"]
    assert [model.segment_expansion for model in models] == [0, 0, 0]
    initial, alone = candidates("NeXtVladModel(video_prediction=segments_mean)")
    assert (initial.model.video_prediction, alone.model.video_prediction) == ("whole", "segments_mean")
    _, other = candidates("NeXtVladModel(video_prediction=whole)", "--video_prediction=segments_mean")
    assert (other.model.video_prediction, other.model.segment_expansion) == ("whole", 3)


def test_a_length_replaces_that_of_the_recipe():
    _, f1 = candidates("BiGruModel(max_steps=7)")
    assert {(stage.max_steps, stage.num_epochs) for stage in f1.stages} == {(7, None)}


def test_on_the_sample_an_entry_is_small_unless_it_names_a_recipe(sample):
    _, small = candidates("NeXtVladModel", sample=sample)
    assert small.model.hyperparameters["cluster_size"] == 16 and small.model.segment_expansion == 0
    assert [stage.max_steps for stage in small.stages] == [300, 300]
    _, named = candidates("NeXtVladModel(recipe=em)", sample=sample)
    assert [(stage.batch_size, stage.num_epochs) for stage in named.stages] == [(512, 5)] * 2


@pytest.mark.parametrize(
    "entry, words",
    [
        ("NeXtVladModel(recipe=paper)", "recipe=paper is unknown. Use one of starter"),
        ("NeXtVladModel(segment_expansion=-1)", "segment_expansion=-1"),
        ("NeXtVladModel(segment_expansion=three)", "segment_expansion=three"),
        ("NeXtVladModel(batch_size=0)", "batch_size=0"),
        ("NeXtVladModel(clip=both)", "clip=both"),
        ("NeXtVladModel(optimizer_=Adam)", "optimizer_"),
        ("NeXtVladModel(video_prediction=half)", "video_prediction=half"),
        ("NeXtVladModel(video_prediction=segments_mean,segment_expansion=3)", "--segment_expansion=3"),
        ("BiGruModel(video_prediction=segments_mean)", "not for BiGruModel"),
    ],
)
def test_bad_entries_are_one_line(entry, words):
    with pytest.raises(UserError) as error:
        candidates(entry)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_process_of_an_earlier_version_goes_on(tmp_path):
    """What was added to the configs since means there what it means when it is not given."""
    process = plan(f"--em_models={PAPER},TransformerModel", f"--train_dir={tmp_path}")
    em_files.note_plan(process)
    file = tmp_path / em_files.PLAN
    written = json.loads(file.read_text())
    for candidate in (written["initial"], written["candidates"][1]):
        del candidate["model"]["video_prediction"]
        for stage in candidate["stages"]:
            del stage["ema_momentum"], stage["augmentation"]
    file.write_text(json.dumps(written))
    em_files.note_plan(process)
    del written["candidates"][0]["model"]["video_prediction"]  # it would be "whole"
    file.write_text(json.dumps(written))
    with pytest.raises(UserError, match="another candidates"):
        em_files.note_plan(process)
