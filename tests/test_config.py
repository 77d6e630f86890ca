"""The configs' own file."""

import json

from yt8m import config


def test_model_config_round_trip(tmp_path):
    model = config.ModelConfig(
        "MoeModel", {"num_mixtures": 4, "sizes": [1, 2]}, ("a", "b"), (3, 4), label_ids=(1, 5), num_classes=9
    )
    config.write_model_config(str(tmp_path), model)
    assert config.read_model_config(str(tmp_path)) == model


def test_the_names_of_all_classes_are_kept(tmp_path):
    names = ("", *(f"Ünit {label}, \n'" for label in range(3861)))
    model = config.ModelConfig("MoeModel", class_names=names)
    config.check_model_config(model)
    config.write_model_config(str(tmp_path), model)
    assert config.read_model_config(str(tmp_path)) == model


def test_a_file_of_before_there_were_names(tmp_path):
    config.write_model_config(str(tmp_path), config.ModelConfig("MoeModel"))
    path = tmp_path / config.MODEL_FILE
    values = json.loads(path.read_text())
    del values["class_names"]
    path.write_text(json.dumps(values))
    assert config.read_model_config(str(tmp_path)).class_names is None
