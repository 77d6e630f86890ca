"""Which ends of a video the context of a segment leaves out: those that its encoder does."""

import numpy as np
import pytest

from tests import harness
from tests.models.test_contextual_models import ENCODERS, build, encoders, video_of
from yt8m import models


def long_batch():
    """Two segments in a video of 60 frames and one in a video of 40."""
    videos = {f"context_{k}": v for k, v in harness.frames_batch((60, 60, 40), length=64).items()}
    return {**harness.frames_batch((5, 11, 9), length=11), **videos}


def cut(batch, head, tail):
    """The batch without the ends of the contexts that are longer than both."""
    cut = {**batch, "context_frames": batch["context_frames"].copy(), "context_num_frames": batch["context_num_frames"].copy()}
    for row, n in enumerate(batch["context_num_frames"]):
        if n > head + tail:
            cut["context_num_frames"][row] = n - head - tail
            cut["context_frames"][row, : n - head - tail] = batch["context_frames"][row, head : n - tail]
    return cut


CUT = [
    ({}, 30, 10),
    ({"context_options": {"cluster_size": 20, "hidden_size": 12, "skip_head": 4, "skip_tail": 5}}, 4, 5),
    ({"context_options": {"cluster_size": 20, "hidden_size": 12, "sampling": "none"}}, 0, 0),
    ({"context_options": {"cluster_size": 20, "hidden_size": 12, "sampling": "every", "skip_head": 1, "skip_tail": None}}, 1, 30),
    ({"context_model": "AttentionModel", "context_options": {"hidden_size": 9}}, 15, 15),
    ({"context_model": "NetVladModel", "context_options": {"cluster_size": 5, "hidden_size": 9}}, 0, 0),
    ({"context_model": "BiGruModel", "context_options": {"units": 3}}, 0, 0),
]


@pytest.mark.parametrize("name, sampling, options, head, tail", [
    *(("ContextAwareModel", "without_replacement", *row) for row in CUT[:3]),
    *(pytest.param("ContextAwareModel", "without_replacement", *row, marks=pytest.mark.slow) for row in CUT[3:]),
    ("ContextAwareModel", "none", *CUT[0]),
    pytest.param("ContextAwareModel", "random", *CUT[0], marks=pytest.mark.slow),
    pytest.param("JointContextModel", "none", *CUT[0], marks=pytest.mark.slow),
    ("JointContextModel", "without_replacement", *CUT[5]),
])  # fmt: skip
def test_the_ends_of_the_context_are_the_encoders_own(name, sampling, options, head, tail):
    """In training and in inference, and once; no more frames than samples, so that training draws nothing."""
    given = {"segment_options": {**ENCODERS["segment_options"], "sampling": "none"}, **options}
    model = build(name, **given, context_sampling=sampling, context_num_samples=70)
    whole_options = dict(options.get("context_options", ENCODERS["context_options"]))
    if "units" not in whole_options:
        whole_options["sampling"] = "none"
    whole = build(name, **{**given, "context_options": whole_options}, context_sampling="none")
    batch = long_batch()
    of_middle, of_all = (np.array(whole.encode_context(videos)) for videos in (cut(batch, head, tail), batch))
    assert (np.abs(of_middle - of_all).max() > 1e-4) == (head > 0)
    for training in (True, False):
        np.testing.assert_allclose(model.encode_context(batch, training=training), of_middle, atol=1e-5)


@pytest.mark.parametrize("name", ["ContextAwareModel", "JointContextModel"])
def test_the_ends_of_a_pretrained_encoder_are_cut_off_in_the_context_model(name):
    """The embedding in the context model is that of the video model itself, whose inference cuts the ends."""
    model, (video, _) = build(name), encoders()
    model.load_encoders(context=video)
    batch = long_batch()
    np.testing.assert_allclose(model.encode_context(batch), video.embed(video_of(batch)), atol=1e-5)


@pytest.mark.parametrize("name", ["ContextAwareModel", "JointContextModel"])
@pytest.mark.parametrize("training", [True, False])
def test_on_the_built_in_sample_nothing_is_cut(name, training):
    hyperparameters = models.model_class(name).SAMPLE["hyperparameters"]
    model = models.build_model(name, harness.CLASSES, harness.SIZES, **{**hyperparameters, "context_num_samples": 300})
    harness.randomise(model)
    batch = long_batch()
    changed = {**batch, "context_frames": batch["context_frames"].copy()}
    changed["context_frames"][:, 0] += 100
    first, second = (np.array(model.encode_context(given, training=training)) for given in (batch, changed))
    assert (np.abs(first - second).max(axis=1) > 1e-5).all()
