"""The configs' own file."""

from yt8m import config


def test_model_config_round_trip(tmp_path):
    model = config.ModelConfig(
        "MoeModel", {"num_mixtures": 4, "sizes": [1, 2]}, ("a", "b"), (3, 4), label_ids=(1, 5), num_classes=9
    )
    config.write_model_config(str(tmp_path), model)
    assert config.read_model_config(str(tmp_path)) == model
