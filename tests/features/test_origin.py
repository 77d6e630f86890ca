"""Where features come from goes with the data, the run and the bundle; features of another kind are refused."""

import json

import pytest

from yt8m.config import ModelConfig, read_model_config, write_model_config
from yt8m.errors import UserError
from yt8m.features import origin
from yt8m.recipes import sources

SKETCH = {"name": "sketch", "options": {}, "files": {}, "whitening": None, "flag": "sketch", "weights_dir": None}
NETWORK = {
    **SKETCH,
    "name": "keras:MobileNetV2",
    "options": {"size": "224"},
    "files": {"w.h5": "ab" * 32},
    "whitening": "cd" * 32,
}
PUBLISHED = {"name": "yt8m", "options": {}, "files": {"vggish_model.ckpt": "01" * 32}}
MEDIAPIPE = {"name": "yt8m", "options": {"from": "mediapipe"}, "files": {}}
ARRAYS = {"name": "arrays", "whitening": "clip=ef"}


def write(folder, backbone=SKETCH, **changes):
    """A folder of features, so far as it says what they are."""
    folder.mkdir(exist_ok=True)
    values = {"format": "yt8m-features", "backbone": {name: backbone[name] for name in ("name", "options", "files")}}
    values |= {"whitening": backbone.get("whitening"), "flags": {"backbone": "sketch", "weights_dir": None}}
    (folder / "features.json").write_text(json.dumps(values | changes))
    return f"{folder}/train-*.tfrecord"


def test_what_a_folder_says(tmp_path):
    assert origin.of_shards(write(tmp_path / "a")) == SKETCH
    assert origin.of_shards(f"{tmp_path}/none/*.tfrecord", "gs://bucket/x*", None, "") is None
    several = write(tmp_path / "b", whitening={"clip": "12", "audio": "34"})
    assert origin.of_shards(several)["whitening"] == "audio=34,clip=12"
    for text in ("{", '{"backbone": {"name": 3}}', '{"backbone": []}'):
        (tmp_path / "a" / "features.json").write_text(text)
        with pytest.raises(UserError, match=r"features\.json: damaged"):
            origin.of_shards(f"{tmp_path}/a/*")


def test_two_kinds_of_features_are_not_mixed(tmp_path):
    first, second = write(tmp_path / "a"), write(tmp_path / "b", NETWORK)
    assert origin.of_shards(f"{first},{tmp_path}/none/*", first) == SKETCH
    with pytest.raises(
        UserError, match=r"a has features of sketch, .*b of keras:MobileNetV2,size=224 \(w\.h5 abababab, whit.*mixed"
    ):
        origin.of_shards(f"{first},{second}")
    with pytest.raises(UserError, match="mixed"):
        origin.of_shards(f"{tmp_path}/?/train-*.tfrecord")


@pytest.mark.parametrize(
    ("trained", "data", "good"),
    [
        (SKETCH, SKETCH, True),
        (SKETCH, None, True),
        (SKETCH, {**SKETCH, "flag": "other words", "weights_dir": "/elsewhere"}, True),
        (SKETCH, NETWORK, False),
        (NETWORK, {**NETWORK, "whitening": "00" * 32}, False),
        (NETWORK, {**NETWORK, "options": {"size": "96"}}, False),
        (NETWORK, {**NETWORK, "files": {"w.h5": "00" * 32}}, False),
        (None, None, True),
        (None, SKETCH, False),
        (None, PUBLISHED, True),
        (None, ARRAYS, True),
        ({}, SKETCH, True),
        (PUBLISHED, MEDIAPIPE, True),
        (MEDIAPIPE, PUBLISHED, True),
        (PUBLISHED, {**PUBLISHED, "files": {"vggish_model.ckpt": "02" * 32}}, False),
        (PUBLISHED, SKETCH, False),
        (ARRAYS, SKETCH, True),
        (ARRAYS, {**ARRAYS, "whitening": "clip=00"}, False),
        ({"name": "clip"}, {"name": "clip", "options": {}, "files": {}, "whitening": None}, True),
        ({"name": "clip"}, {"name": "dino"}, False),
    ],
)
def test_which_features_a_model_is_of_use_for(trained, data, good):
    assert origin.comparable(trained, data) == good


def test_a_refusal_names_both_and_what_to_do(tmp_path):
    pattern = write(tmp_path / "a", {**NETWORK, "whitening": "00" * 32})
    with pytest.raises(UserError) as error:
        origin.check_scored([(NETWORK, "run/model-3")], pattern)
    line = str(error.value)
    assert "\n" not in line and f"--input_data_pattern={pattern} has features of keras:MobileNetV2" in line
    assert (
        "run/model-3 was trained on keras:MobileNetV2" in line
        and "their whitening differ" in line
        and "Make the features" in line
    )
    with pytest.raises(UserError, match=r"--eval_data_pattern=.*taken for YouTube-8M's own"):
        origin.check_scored([(None, "the model")], pattern, "eval_data_pattern")
    origin.check_scored([(NETWORK, "run"), (SKETCH, "other")], f"{tmp_path}/none/*")


def test_a_run_knows_what_made_its_features(tmp_path):
    given = {"train_data_pattern": write(tmp_path / "a", NETWORK), "eval_data_pattern": write(tmp_path / "b", NETWORK)}
    assert sources.backbone(given, None) == {**NETWORK, "flag": "sketch"}
    assert sources.backbone({}, None) is None
    base = ModelConfig("LogisticModel", backbone=NETWORK)
    assert sources.backbone({"train_data_pattern": "elsewhere/*"}, base) == NETWORK
    with pytest.raises(UserError, match="the model that this run goes on from was trained on keras:MobileNetV2"):
        sources.backbone({"train_data_pattern": write(tmp_path / "c")}, base)
    with pytest.raises(UserError, match="cannot be mixed"):
        sources.backbone(given | {"rated_data_pattern": write(tmp_path / "c")}, None)


def test_it_is_kept_in_model_flags(tmp_path):
    for backbone in (NETWORK, None, {}):
        write_model_config(str(tmp_path), ModelConfig("LogisticModel", backbone=backbone))
        assert read_model_config(str(tmp_path)).backbone == backbone
    values = json.loads((tmp_path / "model_flags.json").read_text())
    (tmp_path / "model_flags.json").write_text(json.dumps({name: values[name] for name in values if name != "backbone"}))
    assert read_model_config(str(tmp_path)).backbone == {}
    for wrong in ("sketch", {"name": 3}, {"options": []}, {"flag": "a\nb"}):
        (tmp_path / "model_flags.json").write_text(json.dumps({**values, "backbone": wrong}))
        with pytest.raises(UserError, match="backbone"):
            read_model_config(str(tmp_path))
