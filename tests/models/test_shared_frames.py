"""Windows judged by frames that were described once, against the same windows by themselves."""

import keras
import numpy as np
import pytest

from tests import cases, harness
from yt8m.segments import windows_at, windows_of

EXPANSION, WIDTH = 2, 9
NUM_FRAMES = (23, 5, 1, 12)
POOLING = {
    "AttentionModel",
    "ContextAwareModel",
    "DbofModel",
    "GatedDbofModel",
    "JointContextModel",
    "MixtureModel",
    "MultiAttentionModel",
    "NeXtVladModel",
    "NetVladModel",
}


def no_ends(case):
    """The case, without ends of videos that would be cut off windows, too."""
    ends = {"skip_head": 0, "skip_tail": 0}
    if "segment_options" in case.arguments:
        return cases.ModelCase(case.name, {**case.arguments, "segment_options": {**case.arguments["segment_options"], **ends}})
    return cases.ModelCase(case.name, {**case.arguments, **ends})


def sharing():
    """Cases of which windows can be judged by described frames."""
    sampled = ("sample_at_inference", "video_prediction")
    return [no_ends(case) for case in cases.MODELS if case.name in POOLING and not any(n in case.arguments for n in sampled)]


def windows():
    """(videos, row, indices and counts of windows, their frames); each overlaps the next by 2 to 4 frames."""
    videos = harness.frames_batch(NUM_FRAMES, 24)
    rows = np.repeat(np.arange(len(NUM_FRAMES)), [5, 1, 1, 3])
    starts = np.array([0, 5, 10, 15, 20, 0, 0, 0, 5, 10])
    indices, counts = windows_at(starts, videos["num_frames"][rows], EXPANSION)
    return videos, rows, indices, counts, windows_of(videos["frames"], rows, indices, counts)


def both_ways(model):
    """Probabilities of the windows: by described frames, by the windows themselves."""
    videos, rows, indices, counts, frames = windows()
    batch, context = {"frames": frames, "num_frames": counts}, None
    if model.HAS_ENCODERS:
        video = {f"context_{name}": values for name, values in videos.items()}
        embedding = model.encode_context(video)
        batch |= {"context_embedding": embedding, "segment_rows": rows}
        context = keras.ops.take(embedding, rows, axis=0)
    tensors = {name: keras.ops.convert_to_tensor(values) for name, values in batch.items()}
    shared = model.shared_frames(WIDTH)
    described = shared.describe(keras.ops.convert_to_tensor(videos["frames"].reshape(-1, harness.D)))
    places = (rows[:, None] * videos["frames"].shape[1] + indices).astype("int32")
    judged = shared.judge(described, keras.ops.convert_to_tensor(places), keras.ops.convert_to_tensor(counts), context)
    return [keras.ops.convert_to_numpy(scores) for scores in (judged, model.predict_rated(tensors))]


@pytest.mark.parametrize("case", sharing(), ids=cases.case_id)
def test_described_frames_give_what_windows_give(case):
    model = case.build()
    harness.randomise(model)
    judged, expected = both_ways(model)
    assert expected.std(axis=0).max() > 1e-4
    np.testing.assert_allclose(judged, expected, atol=2e-6)


def test_in_bfloat16_too():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = no_ends(cases.ModelCase("NeXtVladModel", {"cluster_size": 4, "groups": 4, "hidden_size": 12})).build()
    finally:
        keras.config.set_dtype_policy("float32")
    harness.randomise(model)
    judged, expected = both_ways(model)
    np.testing.assert_allclose(judged, expected, atol=0.02)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("GatedDbofModel", {"cluster_size": 6, "hidden_size": 8, "skip_head": 3, "skip_tail": 1}),  # cuts windows of 5 and more
        ("DbofModel", {"cluster_size": 6, "hidden_size": 8, "sample_at_inference": True}),
        ("NetVladModel", {"cluster_size": 3, "hidden_size": 8, "video_prediction": "segments_mean"}),
        ("TransformerModel", {"num_blocks": 1}),
        ("FrameLevelLogisticModel", {}),
    ],
)
def test_who_sees_more_than_single_frames_gets_whole_windows(name, arguments):
    assert cases.ModelCase(name, arguments).build().shared_frames(WIDTH) is None


def test_a_window_within_the_ends_is_used_whole():
    model = cases.ModelCase("GatedDbofModel", {"cluster_size": 6, "hidden_size": 8}).build()  # 30 and 10 frames
    assert model.shared_frames(WIDTH) is not None
    assert model.shared_frames(41) is None
