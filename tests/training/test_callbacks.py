"""Callbacks by the paths that they are imported by."""

import csv
import json
import sys
import types

import keras
import pytest

import yt8m
from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import config
from yt8m.errors import UserError
from yt8m.training import callbacks

LOG = "keras.callbacks.CSVLogger(filename={train_dir}/{stage}.csv,append=True)"


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    videos = [make_video(f"v{i:02d}", 9, labels=[i % 7], ratings=[(0, i % 7, 1.0), (0, (i + 1) % 7, 0.0)]) for i in range(12)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:6], videos[6:]])


def train(shards, folder, *more, stage="pretrain", steps=4):
    named = (f"--train_data_pattern={shards}", f"--train_dir={folder}", f"--stage={stage}", f"--max_steps={steps}")
    options = ("--model=FrameLevelLogisticModel", "--batch_size=4", "--save_steps=2", "--log_steps=2", *commands.TINY)
    return commands.run("train", *named, *options, *more)


def logged(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_keras_loggers_see_every_stage_and_go_on_with_the_run(shards, tmp_path, capsys):
    folder = tmp_path / "run"
    flag = f"--callbacks={LOG}, keras.callbacks.TensorBoard(log_dir={{train_dir}}/board)"
    assert train(shards, folder, flag) is None
    assert [row["epoch"] for row in logged(folder / "pretrain.csv")] == ["0", "1"]
    assert {"loss", "learning_rate", "gap"} < set(logged(folder / "pretrain.csv")[0])
    assert list((folder / "board").rglob("*tfevents*"))
    assert train(shards, folder, flag, steps=6) is None
    assert [row["epoch"] for row in logged(folder / "pretrain.csv")] == ["0", "1", "2"]
    assert train(shards, folder, flag, stage="finetune", steps=2) is None
    assert "rated_auc" in logged(folder / "finetune.csv")[0]
    capsys.readouterr()
    assert train(shards, folder, stage="finetune", steps=4) is None
    assert "--callbacks [" in (said := capsys.readouterr().out) and "-> []" in said and "from step 2 on." in said
    assert len(logged(folder / "finetune.csv")) == 1
    line = train(shards, folder, f"--callbacks={LOG}", stage="finetune", steps=4)
    assert "is finished at step 4" in line and "--callbacks=" in line


class Spoiler(keras.callbacks.Callback):
    """Stops a training at its first checkpoint."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def test_objects_and_paths_from_python(shards, tmp_path):
    seen = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen_epochs.append((epoch, logs["loss"])))
    seen_epochs = []
    options = {"feature_names": ("rgb", "audio"), "feature_sizes": (16, 8), "num_classes": 7, "max_steps": 6, "save_steps": 2}
    named = {"train_data_pattern": shards, "train_dir": tmp_path / "run", "model": "FrameLevelLogisticModel", "batch_size": 4}
    result = yt8m.train(callbacks=[f"{__name__}.Spoiler", seen], **options, **named)
    assert [epoch for epoch, _ in seen_epochs] == [0]
    noted = json.loads((tmp_path / "run" / "train_flags.json").read_text())["stages"]["pretrain"]["fields"]
    assert noted["callbacks"] == [f"{__name__}.Spoiler"] and result.model is not None


def test_em_gives_them_to_every_training(shards):
    from yt8m.recipes import resolve

    given = {"stage": "em", "model": "FrameLevelLogisticModel", "callbacks": (LOG,), "rated_data_pattern": shards}
    given |= {"feature_names": ("rgb", "audio"), "feature_sizes": (16, 8), "num_classes": 7, "train_data_pattern": shards}
    plan = resolve({**given, "train_dir": "em"}).plan
    candidates = [plan.initial, *(candidate for pair in plan.candidates for candidate in pair)]
    stages = [stage for candidate in candidates for stage in candidate.stages]
    assert len({callbacks.build(stage)[0].filename for stage in stages}) == len(stages) == 10


@pytest.mark.parametrize(
    "value, words",
    [
        ("keras.callbacks.NoSuchLogger", "NoSuchLogger"),
        ("no_such_package.Logger", "No module named 'no_such_package'. Install what has it"),
        ("CSVLogger", "No module named 'CSVLogger'"),
        ("keras..callbacks", "cannot be imported"),
        ("keras.layers.Dense(units=3)", "is no keras.callbacks.Callback"),
        ("math.pi", "is no keras.callbacks.Callback"),
        ("keras.callbacks.CSVLogger", "missing a required argument: 'filename'"),
        ("keras.callbacks.CSVLogger(filename=log.csv,colour=red)", "'colour'"),
        ("keras.callbacks.CSVLogger(filename=log.csv", "must be PATH or PATH(name=value,...)"),
        ("keras.callbacks.CSVLogger(log.csv)", "must be name=value"),
        ("keras.callbacks.EarlyStopping(mode=max,min_delta=high)", "cannot be made"),
        ("os.path.basename(p=x)", "gave str, no keras.callbacks.Callback"),
    ],
)
def test_bad_callbacks_are_one_line_before_anything_is_written(shards, tmp_path, value, words):
    line = train(shards, tmp_path / "run", f"--callbacks={value}")
    assert "--callbacks=" in line and words in line and "\n" not in line
    assert not (tmp_path / "run").exists()


def test_a_wandb_run_begins_where_there_is_none(monkeypatch):
    begun = []
    wandb = types.ModuleType("wandb")
    wandb.run, wandb.Logger = None, keras.callbacks.Callback
    wandb.init = lambda **settings: begun.append(settings)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    stage = config.TrainConfig("runs/mine", "pretrain", "*.tfrecord", 4, 0.1, 1.0, 100.0, callbacks=("wandb.Logger",))
    assert len(callbacks.build(stage)) == 1
    assert begun[0]["name"] == "mine" and begun[0]["config"]["stage"] == "pretrain"
    wandb.run = "the user's"
    callbacks.build(stage)
    assert len(begun) == 1
    wandb.init = wandb.run = None
    with pytest.raises(UserError, match="cannot be made"):
        callbacks.build(stage)
