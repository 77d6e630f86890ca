"""Scores that are made for re-ranking: out of fold, of several members, and what is refused."""

import json
import os

import keras
import numpy as np
import pytest

from tests.testing import FEATURE_SIZES, make_video, write_frame_shards
from yt8m import UserError, api
from yt8m import config as configs
from yt8m.readers.stores import open_store
from yt8m.recipes import sources
from yt8m.reranking import rankers, scores
from yt8m.stages import record
from yt8m.training import checkpoints, restore

NUM_CLASSES = 4


def save_run(folder, seed):
    """An untrained model."""
    config = configs.ModelConfig("FrameLevelLogisticModel", feature_sizes=FEATURE_SIZES, num_classes=NUM_CLASSES)
    configs.write_model_config(folder, config)
    model = restore.build(config)
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 2, weight.shape).astype(np.float32) for weight in model.get_weights()])
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    checkpoints.Checkpoints(str(folder), model, optimizer).save()


def note(folder, pattern, folds=0, fold=0):
    """Notes that a run has learned rated shards."""
    fields = {"data_pattern": pattern, "folds": folds, "fold": fold}
    facts = {"data_pattern": record._files(pattern, "data_pattern")}
    values = {"train_dir": str(folder), "rows_a_step": 1, "fields": fields, "files": facts, "changes": []}
    (folder / configs.TRAIN_FILE).write_text(json.dumps({"stages": {"finetune": values}}))


def videos(name, count, seed=0):
    def ratings(n):
        return [(0, n % NUM_CLASSES, float(n % 2)), (5, n % NUM_CLASSES, float(n // 2 % 2))]

    return [make_video(f"{name}{n}", 14, labels=[n % NUM_CLASSES], ratings=ratings(n), seed=seed + n) for n in range(count)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """{name: folder or pattern}: `folds` has two models, `whole` has learned all, `other` nothing is noted of."""
    folder = tmp_path_factory.mktemp("world")
    rated = write_frame_shards(folder, [videos(f"{shard}-", 4, 10 * shard) for shard in range(4)])
    test = write_frame_shards(folder, [videos("t", 5, 50)], "test")
    for seed, (name, noted) in enumerate(
        {"folds/fold_0": (2, 0), "folds/fold_1": (2, 1), "half": (2, 0), "whole": (0, 0), "other": None}.items()
    ):
        save_run(folder / name, seed)
        if noted:
            note(folder / name, rated, *noted)
    return {"folder": folder, "rated": rated, "test": test}


def job(world, work_dir, *names, **changes):
    members = {
        str(world["folder"] / name): tuple(sources.folders_of_runs({"train_dir": str(world["folder"] / name)})) for name in names
    }
    return scores.ScoreJob(members, world["rated"], world["test"], str(work_dir), **changes)


def predicted(world, run, pattern, work):
    """{shard: scores [N, C]} of a run alone."""
    output = work / run.replace("/", "-")
    api.inference(train_dir=world["folder"] / run, segment_labels=True, input_data_pattern=pattern, scores_output=output,
                  output_file="", scores_dtype="float16")  # fmt: skip
    store = open_store(output)
    return {shard: store.read(shard).scores() for shard in store.shards()}


def test_a_rated_shard_is_scored_by_the_folds_that_have_not_learned_it_and_others_by_their_mean_logit(world, tmp_path):
    (fitted,), (ranked,), shards = scores.make_stores(job(world, tmp_path / "work", "folds"))
    store, alone = open_store(fitted), [predicted(world, f"folds/fold_{k}", world["rated"], tmp_path) for k in (0, 1)]
    assert store.shards() == [os.path.basename(shard) for shard in shards] == sorted(alone[0])
    for number, shard in enumerate(store.shards()):
        np.testing.assert_array_equal(store.read(shard).scores(), alone[number % 2][shard])
    of_test = [predicted(world, f"folds/fold_{k}", world["test"], tmp_path / "t")["test0000.tfrecord"] for k in (0, 1)]
    logits = np.mean([np.log(p) - np.log1p(-p) for p in of_test], axis=0)
    assert np.abs(1 / (1 + np.exp(-logits)) - np.mean(of_test, axis=0)).max() > 0.01
    found = open_store(ranked).read("test0000.tfrecord").scores()
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), atol=1e-3)


def test_what_a_member_has_learned_is_left_out_for_all(world, tmp_path):
    fitted, ranked, shards = scores.make_stores(job(world, tmp_path / "work", "folds", "half"))
    assert [os.path.basename(shard) for shard in shards] == ["validate0000.tfrecord", "validate0002.tfrecord"]
    assert [open_store(folder).shards() for folder in fitted] == [[os.path.basename(shard) for shard in shards]] * 2
    assert [os.path.basename(folder) for folder in (*fitted, *ranked)] == ["folds", "half"] * 2


def test_the_precision_of_the_runs_is_not_that_of_what_follows(world, tmp_path, monkeypatch):
    build = restore.build
    monkeypatch.setattr(restore, "build", lambda config: build(configs.dataclasses.replace(config, precision="mixed_bfloat16")))
    before = keras.config.dtype_policy().name
    scores.make_stores(job(world, tmp_path / "work", "half"))
    assert keras.config.dtype_policy().name == before == "float32"


def test_scores_that_are_there_are_not_made_again(world, tmp_path, capsys):
    for _ in range(2):
        scores.make_stores(job(world, tmp_path / "work", "half"))
    assert "2 of 2 shards are in" in capsys.readouterr().out


def test_what_a_run_has_learned_cannot_be_fitted_on(world, tmp_path):
    with pytest.raises(UserError, match=r"--fit_on=.*each of its 4 shards is among what one of the members was trained on"):
        scores.make_stores(job(world, tmp_path / "work", "half", "whole"))
    with pytest.raises(UserError, match=r"nothing tells which shards it, or what it began with, was trained on. Name --fit_on"):
        scores.make_stores(job(world, tmp_path / "work", "other", fit_on_named=False))
    assert not os.path.exists(tmp_path / "work")


def test_a_run_that_says_nothing_is_believed_where_the_shards_are_named(world, tmp_path, capsys):
    assert len(scores.make_stores(job(world, tmp_path / "work", "other"))[2]) == 4
    assert "Note: nothing tells which shards" in capsys.readouterr().out


def test_scores_of_other_shards_in_the_folder(world, tmp_path):
    scores.make_stores(job(world, tmp_path / "work", "half"))
    changed = {**world, "test": write_frame_shards(tmp_path, [videos("u", 2, 70)], "more")}
    with pytest.raises(UserError, match=r"--work_dir=.* has scores of test0000.tfrecord, too"):
        scores.make_stores(job(changed, tmp_path / "work", "half"))


def test_the_whole_command_ranks_several_runs(world, tmp_path, capsys):
    """References are fitted on where no --fit_on is named; the submission is in the work_dir unless it is named."""
    pytest.importorskip("sklearn")
    (tmp_path / "ids.csv").write_text("Index\n0\n1\n2\n3\n")
    runs = [world["folder"] / "folds", world["folder"] / "half"]
    given = {"train_dir": runs, "references": world["rated"], "data_pattern": world["test"], "work_dir": tmp_path / "work"}
    given["segment_label_ids_file"] = tmp_path / "ids.csv"
    report = api.rerank(**given, eval_data_pattern=world["test"])
    names = [row.name for row in report.rows]
    assert names[:2] == ["mean of the members' scores", "mean of the re-ranked, logistic"]
    assert {"folds: segments' scores", "half: re-ranked"} <= set(names)
    assert os.path.exists(tmp_path / "work" / "submission.csv")
    assert "Fitting on 2 of the 4 rated shards" in capsys.readouterr().out


def test_a_pre_trained_runs_embedding_adds_four_features(world, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    shapes, fit = [], rankers.fit

    def noted(method, features, *rest, **options):
        shapes.append(features.shape)
        return fit(method, features, *rest, **options)

    monkeypatch.setattr(rankers, "fit", noted)
    given = {"train_dir": world["folder"] / "half", "references": world["rated"], "data_pattern": world["test"]}
    given |= {"work_dir": tmp_path / "work", "eval_data_pattern": world["test"], "output_file": ""}
    plain = api.rerank(**given)
    embedded = api.rerank(**given, embedding_dir=world["folder"] / "other")
    assert [columns for _, columns in shapes] == [20, 24]
    assert plain.rows[0].figures.map == embedded.rows[0].figures.map
    with pytest.raises(UserError, match=r"--embedding_dir=.*half was trained further than on videos"):
        api.rerank(**{**given, "work_dir": tmp_path / "new"}, embedding_dir=world["folder"] / "half")
    assert not os.path.exists(tmp_path / "new")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"references": ""}, "--references is missing"),
        ({"data_pattern": ""}, "--data_pattern is missing"),
        ({"scores": "x"}, "--train_dir=.* is for runs, and stores of scores are named"),
        ({"train_dir": "{half},{half}"}, "a run is named twice"),
        ({"train_dir": "nowhere"}, "no model_flags.json there"),
        ({"batch_size": 0}, "--batch_size=0"),
        ({"nearest_references": 0}, "--nearest_references=0: must be above 0"),
        ({"vote_temperature": 0}, "--vote_temperature=0.0: must be above 0"),
        ({"method_options": "depth=3"}, "--method_options=depth: --method=logistic has strength"),
        ({"method_options": "strength=much"}, "--method_options: strength"),
        ({"method_options": "strength=0"}, "--method_options: strength=0: must be above 0"),
        ({"output_file": ""}, "nothing to make"),
    ],
)
def test_bad_flags(world, tmp_path, change, message):
    half = str(world["folder"] / "half")
    given = {"train_dir": half, "references": world["rated"], "data_pattern": world["test"], "work_dir": tmp_path / "work"}
    change = {name: value.format(half=half) if isinstance(value, str) else value for name, value in change.items()}
    with pytest.raises(UserError, match=message) as error:
        api.rerank(**{**given, **change})
    assert "\n" not in str(error.value) and not os.path.exists(tmp_path / "work")
