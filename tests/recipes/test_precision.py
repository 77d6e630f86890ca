"""What --precision=auto stands for: what the machine multiplies faster when a run begins, and what the run has from then on."""

import json

import pytest
import tensorflow as tf

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import config, models
from yt8m.errors import UserError
from yt8m.recipes import precision, resolve

MODEL = "MultiAttentionModel"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Function (times that bfloat16 is faster) that makes this a CPU of that kind; it gives how often was measured, a list."""
    monkeypatch.delenv(precision.VARIABLE)
    monkeypatch.setenv("YT8M_CACHE", str(tmp_path / "cache"))
    measured = []

    def of(ratio, name="a"):
        def rates():
            measured.append(name)
            return {"float32": 1e11, "bfloat16": ratio * 1e11}

        monkeypatch.setattr(precision, "measured_rates", rates)
        monkeypatch.setattr(precision, "cpu", lambda: name)
        return measured

    return of


@pytest.mark.parametrize(
    "ratio, expected", [(2.3, "mixed_bfloat16"), (1.5, "mixed_bfloat16"), (1.4, "float32"), (0.1, "float32")]
)
def test_a_cpu_that_multiplies_bfloat16_faster_trains_in_it(machine, ratio, expected):
    machine(ratio)
    for given in ({}, {"precision": "auto"}):
        choice = precision.choose(given, MODEL)
        assert choice.precision == expected
        assert choice.line.startswith(f"--precision=auto: {expected}, since this CPU multiplies bfloat16 {ratio} times as fast")
        assert f"({100 * ratio:.0f} and 100 GFLOP/s)" in choice.line and "\n" not in choice.line


def test_what_is_said_is_taken_and_nothing_is_measured(machine):
    measured = machine(9)
    for name in precision.CHOICES:
        assert precision.choose({"precision": name}, MODEL) == (name, "")
    assert not measured


@pytest.mark.parametrize("given", [{}, {"precision": "auto"}])
def test_a_run_goes_on_with_what_it_began_with(machine, given):
    measured = machine(9)
    for name in ("float32", "mixed_bfloat16"):
        base = config.ModelConfig(model=MODEL, precision=name)
        assert precision.choose(given, MODEL, base) == (name, "")
        assert resolve({**given, "model": MODEL, "train_data_pattern": "*", "train_dir": "dir"}, base).model.precision == name
    assert not measured


def test_a_run_that_is_resumed_elsewhere_keeps_it(machine, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(models.model_class("FrameLevelLogisticModel"), "GAINS_BY_BFLOAT16", True)
    write_frame_shards(tmp_path / "data", [[make_video("v", 9, labels=[1])] * 4])
    flags = ("--model=FrameLevelLogisticModel", f"--train_data_pattern={tmp_path}/data/*.tfrecord", *commands.TINY)
    for steps, ratio, said in ((1, 2.0, 1), (2, 1.0, 0)):
        machine(ratio)
        run = (*flags, f"--train_dir={tmp_path}/run", "--batch_size=4", f"--max_steps={steps}")
        assert commands.run("train", *run) is None
        printed = capsys.readouterr().out
        assert printed.count("--precision=auto: mixed_bfloat16") == said and ", mixed_bfloat16, from step" in printed
        assert config.read_model_config(tmp_path / "run").precision == "mixed_bfloat16"


def test_em_goes_on_with_what_it_began_with(machine, tmp_path):
    machine(9)
    given = {"stage": "em", "train_dir": str(tmp_path)}
    assert precision.choose(given, MODEL).precision == "mixed_bfloat16"
    (tmp_path / "initial").mkdir()
    config.write_model_config(tmp_path / "initial", config.ModelConfig(model=MODEL, precision="float32"))
    assert precision.choose(given, MODEL) == ("float32", "")
    assert precision.choose({**given, "start_new_model": True}, MODEL).precision == "mixed_bfloat16"


def test_a_machine_is_measured_once(machine, tmp_path):
    for name in "aaba":
        measured = machine(2, name)
        assert precision.product_rates() == {"float32": 1e11, "bfloat16": 2e11}
    assert measured == ["a", "b"]
    (kept,) = (tmp_path / "cache").iterdir()
    assert len(json.loads(kept.read_text())) == 2


@pytest.mark.parametrize("damage", ["", "[]", "{", "null", '{"MACHINE": {"float32": 0, "bfloat16": 1}}'])
def test_damaged_notes_are_made_anew(machine, tmp_path, damage):
    measured = machine(2)
    precision.product_rates()
    (kept,) = (tmp_path / "cache").iterdir()
    good = kept.read_text()
    kept.write_text(damage.replace("MACHINE", next(iter(json.loads(good)))))
    assert precision.product_rates()["bfloat16"] == 2e11
    assert measured == ["a", "a"] and kept.read_text() == good


def test_without_a_folder_to_keep_them_in_rates_are_measured_each_time(machine, tmp_path):
    measured = machine(2)
    (tmp_path / "cache").write_text("no folder")
    assert precision.choose({}, MODEL).precision == precision.choose({}, MODEL).precision == "mixed_bfloat16"
    assert measured == ["a", "a"]


def test_the_variable_speaks_for_the_machine(machine, monkeypatch):
    measured = machine(9)
    monkeypatch.setenv(precision.VARIABLE, "float32")
    assert precision.choose({}, MODEL) == ("float32", "--precision=auto: float32, since YT8M_PRECISION says so.")
    assert precision.choose({"precision": "mixed_bfloat16"}, MODEL).precision == "mixed_bfloat16"
    monkeypatch.setenv(precision.VARIABLE, "int8")
    with pytest.raises(UserError, match="YT8M_PRECISION=int8: use one of float32, mixed_bfloat16, mixed_float16, or unset it"):
        precision.choose({}, MODEL)
    assert not measured


@pytest.mark.parametrize("given, cluster", [({"devices": 2}, None), ({}, "{}")])
def test_hosts_agree_and_devices_are_made_before_anything_is_computed(machine, monkeypatch, given, cluster):
    measured = machine(9)
    if cluster:
        monkeypatch.setenv("TF_CONFIG", cluster)
    assert precision.choose(given, MODEL).precision == "float32" and not measured


def test_a_gpu_needs_no_measurement(machine, monkeypatch):
    measured = machine(0.1)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert precision.choose({"devices": 2}, MODEL).precision == "mixed_bfloat16" and not measured


def test_models_that_gain_nothing_stay_in_float32(machine):
    measured = machine(9)
    gains = {name: models.model_class(name).GAINS_BY_BFLOAT16 for name in models.model_names()}
    assert gains[MODEL] and not gains["LogisticModel"]
    slow = [name for name in gains if not gains[name]]
    for name in slow:
        assert precision.choose({}, name).precision == "float32" and name in precision.choose({}, name).line
    assert not measured


def test_the_measurement_is_of_both_types(monkeypatch):
    monkeypatch.setattr(precision, "PRODUCT", (8, 16, 8))
    monkeypatch.setattr(precision, "SECONDS", 0.001)
    rates = precision.measured_rates.__wrapped__()
    assert set(rates) == {"float32", "bfloat16"} and all(1e3 < rate < 1e15 for rate in rates.values())
    assert precision.cpu()
