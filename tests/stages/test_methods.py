"""Training methods from the command line: folds, blended pseudo-labels, distillation, start times, augmentation, eq. 2."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.testing import make_segments, make_video, write_frame_shards
from yt8m.readers.sidecars import SidecarHeader, write_sidecar
from yt8m.readers.stores import StoreConfig, create_store
from yt8m.stages import evaluate
from yt8m.training import checkpoints, restore

CLASSES = 7
SHARDS = 3
ATTENTION = (
    "--model=AttentionModel",
    "--hyperparameters=hidden_size=6,video_level_classifier_model=LogisticModel,sampling=none,noise=0",
)
LENGTHS = {f"v{number:02d}": 11 + number for number in range(12)}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")

    def video(number, name):
        ratings = [(5 * (number % 2), 1, 1.0), (5, 2, 0.0), (0, number % CLASSES, float(number % 3 > 0))]
        return make_video(name, LENGTHS[name], labels=[1, number % CLASSES], ratings=dict.fromkeys(ratings))

    videos = [video(number, name) for number, name in enumerate(LENGTHS)]
    return write_frame_shards(folder, [videos[shard::SHARDS] for shard in range(SHARDS)])


def shard_names(shard):
    return list(LENGTHS)[shard::SHARDS]


def pretrain(data, folder, model=ATTENTION):
    """Makes a run of two steps of pre-training."""
    options = ("--stage=pretrain", "--max_steps=2", "--batch_size=4")
    assert (
        commands.run("train", *commands.TINY, *model, *options, f"--train_data_pattern={data}", f"--train_dir={folder}") is None
    )
    return str(folder)


@pytest.fixture(scope="module")
def pretrained(data, tmp_path_factory):
    return pretrain(data, tmp_path_factory.mktemp("pretrained"))


def finetune(data, pretrained, folder, *more, steps=6):
    """Fine-tunes a copy of a pre-trained run, or what is there; the line that train.py ends with."""
    if not os.path.exists(folder):
        shutil.copytree(pretrained, folder)
    save_steps = 2 if steps <= 10 else 20
    arguments = ("--stage=finetune", f"--max_steps={steps}", f"--save_steps={save_steps}", "--batch_size=4")
    arguments = (*arguments, "--base_learning_rate=0.05")
    return commands.run("train", *arguments, f"--train_data_pattern={data}", f"--train_dir={folder}", *more)


def logged(folder, tag):
    """Values of a scalar in a run's TensorBoard files, by step."""
    values = {}
    for root, _, names in os.walk(folder):
        for name in sorted(name for name in names if "tfevents" in name):
            for event in tf.compat.v1.train.summary_iterator(os.path.join(root, name)):
                for value in event.summary.value:
                    if value.tag == tag:
                        values[event.step] = float(tf.make_ndarray(value.tensor))
    return values


@pytest.mark.slow
def test_fold_keeps_the_best_checkpoint(data, pretrained, tmp_path, capsys):
    assert finetune(data, pretrained, tmp_path / "run", "--folds=3", "--fold=1", "--best_metric=auc", steps=10) is None
    judged = logged(tmp_path / "run", "fold/auc")
    assert sorted(judged) == [4, 6, 8, 10, 12]
    best = checkpoints.read_best(str(tmp_path / "run"))
    assert best["value"] == pytest.approx(max(judged.values()), abs=1e-6)
    assert best["step"] == min(step for step, value in judged.items() if value == max(judged.values()))
    trained = restore.newest(str(tmp_path / "run"))
    assert trained.step == best["step"]
    again = evaluate.evaluate_segments(trained.model, trained.config, data, fold=(1, 3))
    assert again["auc"] == pytest.approx(best["value"], abs=1e-6)
    assert again["num_pairs"] == sum(len(set(row)) for row in rated_pairs(1))
    newest = checkpoints.latest(str(tmp_path / "run"))
    assert newest.endswith("-12")
    assert len([name for name in os.listdir(tmp_path / "run" / "best") if name.endswith(".index")]) == 1


def rated_pairs(shard):
    for name in shard_names(shard):
        number = list(LENGTHS).index(name)
        yield {(5 * (number % 2), 1), (5, 2), (0, number % CLASSES)}


@pytest.mark.slow
def test_a_run_killed_before_judging_judges_when_it_goes_on(data, pretrained, tmp_path, capsys):
    assert finetune(data, pretrained, tmp_path / "run", "--folds=3") is None
    path = tmp_path / "run" / "best" / "best.json"
    whole = json.loads(path.read_text())
    path.unlink()
    capsys.readouterr()
    assert finetune(data, pretrained, tmp_path / "run", "--folds=3") is None
    assert "fold 0 of 3, step 8" in capsys.readouterr().out
    assert json.loads(path.read_text())["judged"] == whole["judged"] == 8


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Scores of a teacher for which segments of odd number show class 3, the others class 5."""
    folder = tmp_path_factory.mktemp("store")
    stored = create_store(folder, StoreConfig("segments", tuple(range(CLASSES))))
    for shard in range(SHARDS):
        with stored.writer(f"validate{shard:04d}.tfrecord") as writer:
            for name in shard_names(shard):
                starts = np.arange(0, LENGTHS[name], 5)
                scores = np.full((len(starts), CLASSES), 0.1)
                scores[np.arange(len(starts)), np.where(starts // 5 % 2, 3, 5)] = 0.9
                writer.add([name] * len(starts), starts, scores)
    return str(folder)


@pytest.mark.slow
def test_distillation(data, pretrained, store, tmp_path):
    assert finetune(data, pretrained, tmp_path / "run", f"--teacher_scores={store}", "--distillation_weight=1", steps=60) is None
    agreement = logged(tmp_path / "run", "train/teacher_agreement")
    assert len(agreement) and min(agreement.values()) >= 0 and max(agreement.values()) <= 1
    trained = restore.newest(str(tmp_path / "run"))
    rng = np.random.default_rng(0)
    batch = {"frames": rng.integers(0, 256, (20, 5, 24), np.uint8), "num_frames": np.full(20, 5, np.int32)}
    np.testing.assert_array_less(np.array(trained.model(batch))[:, [0, 1, 2, 4, 6]].mean(), 0.2)
    assert np.array(trained.model(batch))[:, [3, 5]].mean() > 0.3


@pytest.mark.slow
def test_blended_pseudo_labels(data, pretrained, tmp_path):
    """With pseudo-labels that contradict the ratings in almost every row, the model believes these."""
    for shard in range(SHARDS):
        header = SidecarHeader(f"validate{shard:04d}.tfrecord", 4, CLASSES)
        annotations = [(name, make_segments([(0, 2, 1.0), (5, 2, 1.0), (5, 6, 0.0)])) for name in shard_names(shard)]
        write_sidecar(tmp_path / "pseudo", header, annotations)
    blend = (f"--pseudo_labels={tmp_path / 'pseudo'}", f"--pseudo_data_pattern={data}", "--batch_size=12")
    means = []
    for share in (0.1, 0.9):
        folder = tmp_path / str(share)
        assert finetune(data, pretrained, folder, *blend, f"--pseudo_share={share}", steps=40) is None
        trained = restore.newest(str(folder))
        classes, scores, _, _ = evaluate.rated_pairs(trained.model, trained.config, data)
        means.append(scores[classes == 2].mean())
    assert means[1] > means[0] + 0.2


@pytest.mark.slow
def test_start_time_loss(data, pretrained, tmp_path):
    assert finetune(data, pretrained, tmp_path / "run", "--start_time_weight=5", steps=40) is None
    inside = logged(tmp_path / "run", "train/attention_mass_in_positives")
    assert set(logged(tmp_path / "run", "train/attention_mass_in_negatives")) == set(inside)
    first, last = inside[min(inside)], inside[max(inside)]
    assert 0 < first < 1 and last > first


@pytest.mark.slow
@pytest.mark.parametrize("model", (ATTENTION, ("--model=TransformerModel", "--hyperparameters=num_blocks=1,feed_forward_size=8")))
def test_augmented_fine_tuning_goes_on_as_if_never_stopped(data, tmp_path, model):
    flags = ["--augment_reverse=0.5", "--augment_noise=0.1"]
    if model is ATTENTION:
        flags += ["--augment_virtual_segments=0.4", "--augment_drop_frames=0.2"]
    start, weights = pretrain(data, tmp_path / "pretrained", model), []
    for name, stops in (("whole", (6,)), ("stopped", (4, 6))):
        for steps in stops:
            assert finetune(data, start, tmp_path / name, *flags, steps=steps) is None
        weights.append({weight.path: np.array(weight) for weight in restore.newest(str(tmp_path / name)).model.weights})
    for path, value in weights[0].items():
        np.testing.assert_array_equal(value, weights[1][path], err_msg=path)


@pytest.mark.slow
def test_sampled_negatives_teach_unrated_classes(data, pretrained, tmp_path):
    """Class 4 is no label and has no rating in most rows: eq. 2 lowers it, cross entropy over rated pairs does not."""
    means = []
    for loss in ("CrossEntropyLoss", "SampledNegativeLoss"):
        folder = tmp_path / loss
        options = ["--loss_options=unrated_weight=20"] if loss.startswith("Sampled") else []
        assert finetune(data, pretrained, folder, f"--label_loss={loss}", *options, steps=40) is None
        trained = restore.newest(str(folder))
        frames = np.random.default_rng(0).integers(0, 256, (20, 5, 24), np.uint8)
        means.append(np.array(trained.model({"frames": frames, "num_frames": np.full(20, 5, np.int32)}))[:, 4].mean())
    assert means[1] < means[0] - 0.1


@pytest.mark.parametrize(
    "flags, words",
    (
        (["--folds=5"], "--folds=3 or fewer"),
        (["--folds=3", "--fold=3"], "--fold=3"),
        (["--pseudo_labels=x"], "--pseudo_data_pattern"),
        (["--pseudo_labels=nowhere", "--pseudo_data_pattern=DATA"], "nowhere"),
        (["--teacher_scores=nowhere"], "nowhere"),
        (
            ["--teacher_scores=STORE", "--pseudo_data_pattern=DATA", "--pseudo_labels=x"],
            "not together with --pseudo_data_pattern",
        ),
        (["--distillation_weight=2"], "distillation_weight"),
        (["--pseudo_share=1"], "pseudo_share"),
        (["--augment_reverse=2"], "augment_reverse"),
        (["--augment_drop_segments=0.5"], "augment_drop_segments"),
        (["--augment_subsample=0"], "augment_subsample"),
        (["--label_loss=SampledNegativeLoss", "--loss_options=weight=3"], "weight"),
        (["--label_loss=SampledNegativeLoss", "--loss_options=form=book"], "form"),
        (["--start_time_weight=-1"], "start_time_weight"),
        (["--start_time_weight=1", "--augment_drop_frames=0.2"], "augment_drop_frames"),
    ),
)
def test_bad_flags_are_one_line(data, pretrained, store, tmp_path, flags, words):
    line = finetune(
        data, pretrained, tmp_path / "run", *(flag.replace("DATA", data).replace("STORE", str(store)) for flag in flags)
    )
    assert isinstance(line, str) and words in line and "\n" not in line
    assert checkpoints.position(checkpoints.latest(str(tmp_path / "run")))[1] == "pretrain"
