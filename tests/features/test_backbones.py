"""What --backbone is given, and what every backbone answers."""

import pytest

from yt8m.errors import UserError
from yt8m.features import backbones


def test_an_unknown_backbone_lists_the_known():
    with pytest.raises(UserError, match=r"--backbone=skech: unknown. Use one of keras, keras_hub, onnx, sketch, yt8m."):
        backbones.build("skech")


def test_options_are_names_and_values():
    assert backbones.split_options("NAME,a=1,b=x=y") == ("NAME", {"a": "1", "b": "x=y"})
    assert backbones.split_options("") == ("", {})
    with pytest.raises(UserError, match=r"'quick' is not name=value"):
        backbones.split_options("NAME,quick")


@pytest.mark.parametrize("text", ["yt8m", "keras:MobileNet", "keras_hub:tiny", "onnx:net.onnx"])
def test_a_network_needs_tensorflow(text, monkeypatch):
    monkeypatch.setattr("yt8m.backend.keras_backend", lambda: ("jax", "KERAS_BACKEND=jax"))
    with pytest.raises(UserError, match=r"KERAS_BACKEND=jax: --backbone=.* needs Keras's TensorFlow backend"):
        backbones.build(text)
    backbones.build("sketch")
