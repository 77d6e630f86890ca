"""Scores of a video by every kind of model, against the model asked window by window."""

import numpy as np
import pytest
import tensorflow as tf

import yt8m
from tests.testing import make_video, write_frame_shards
from tests.timelines.runs import CLASSES, build
from yt8m.errors import UserError
from yt8m.export import signatures
from yt8m.scoring.scorer import Member
from yt8m.segments import mean_features
from yt8m.timelines.models import RunScorer, SavedModelScorer


def frames_of(length, size=24):
    return np.random.default_rng(length).integers(0, 256, (length, size)).astype("uint8")


def of_windows(model, windows):
    """float32 [N, C]: the model asked of these frames alone, lists of 5 or fewer."""
    frames, counts = np.zeros((len(windows), 5, 24), np.uint8), np.array([len(window) for window in windows], np.int32)
    for row, window in zip(frames, windows):
        row[: len(window)] = window
    batch = {"frames": frames, "num_frames": counts} if model.TAKES_FRAMES else {"features": mean_features(frames, counts)}
    return np.asarray(model({name: tf.constant(value) for name, value in batch.items()}))


@pytest.mark.parametrize("name", ["MultiAttentionModel", "LogisticModel"])
def test_windows_of_any_video(name):
    model, config = build(name)
    scorer = RunScorer([Member(model, config)], label_ids=(2, 5))
    assert scorer.label_ids == (2, 5)
    for length in (3, 12, 61):  # the longest is longer than max_frames
        frames = frames_of(length)
        every5 = of_windows(model, [frames[start : start + 5] for start in range(0, length, 5)])[:, [2, 5]]
        np.testing.assert_allclose(scorer.scores(frames, 5), every5, atol=1e-5)
        starts = range(max(length - 4, 1))
        windows = of_windows(model, [frames[start : start + 5] for start in starts])[:, [2, 5]]
        expected = [windows[max(second - 4, 0) : second + 1].mean(axis=0) for second in range(length)]
        np.testing.assert_allclose(scorer.scores(frames, 1), expected, atol=1e-5)


def test_a_model_of_whole_videos_scores_long_ones_in_pieces():
    model, config = build("BiGruModel")
    scorer, frames = RunScorer([Member(model, config)]), frames_of(61)
    assert scorer.longest == 30

    def asked(piece):
        batch = {"frames": tf.constant(piece[None]), "num_frames": tf.constant([len(piece)])}
        return np.asarray(model.segment_probabilities(batch))[0]

    expected = np.concatenate([asked(frames[begin : begin + 30]) for begin in (0, 30, 60)])
    np.testing.assert_allclose(scorer.scores(frames, 5), expected, atol=1e-5)
    moved = [asked(frames[shift:30]) for shift in range(5)]  # window s + shift is segment s of the video moved by shift
    windows = np.array([moved[start % 5][start // 5] for start in range(26)])
    np.testing.assert_allclose(scorer.scores(frames, 1)[10], windows[6:11].mean(axis=0), atol=1e-5)


def test_several_models_are_averaged():
    members = [Member(*build("MultiAttentionModel"), weight=1), Member(*build("LogisticModel"), weight=3)]
    scorer, frames = RunScorer(members), frames_of(12)
    one, other = (RunScorer([member]).scores(frames, 1) for member in members)
    np.testing.assert_allclose(scorer.scores(frames, 1), (one + 3 * other) / 4, atol=1e-6)
    assert scorer.attention(frames, [0]) is None  # whose would it be?


def test_attention_is_of_the_set_that_decides():
    model, config = build("MultiAttentionModel")
    frames = frames_of(40)
    video = {"frames": tf.constant(frames[None]), "num_frames": tf.constant([40])}
    probabilities, weights = (np.asarray(part)[0] for part in model.set_probabilities(video))
    looked = RunScorer([Member(model, config)], label_ids=(6, 1, 4)).attention(frames, [2, 0])
    for row, label in zip(looked, (4, 6)):
        expected = weights[:, :, probabilities[:, label].argmax()].mean(axis=1)
        np.testing.assert_allclose(row, expected / expected.max(), rtol=1e-5)
    assert RunScorer([Member(*build("LogisticModel"))]).attention(frames, [0]) is None


def test_attention_of_a_model_whose_videos_are_means_of_segments():
    model, config = build("MultiAttentionModel", video_prediction="segments_mean")
    frames = frames_of(13)
    (looked,) = RunScorer([Member(model, config)]).attention(frames, [4])
    expected = []
    for start in (0, 5, 10):
        window, count = np.zeros((1, 5, 24), np.uint8), min(13 - start, 5)
        window[0, :count] = frames[start : start + 5]
        given = {"frames": tf.constant(window), "num_frames": tf.constant([count])}
        probabilities, weights = (np.asarray(part)[0] for part in model.set_probabilities(given))
        expected.extend(weights[:count, :, probabilities[:, 4].argmax()].mean(axis=1))
    np.testing.assert_allclose(looked, np.array(expected) / max(expected), rtol=1e-5)


def test_scores_that_are_no_numbers():
    model, config = build("LogisticModel")
    model.set_weights([np.full(weight.shape, np.nan) for weight in model.weights])
    with pytest.raises(UserError, match="NaN"):
        RunScorer([Member(model, config)]).scores(frames_of(12), 5)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(a model, the folder of its SavedModel with MediaPipe's signature)."""
    model, config = build("MultiAttentionModel")
    folder = str(tmp_path_factory.mktemp("exported") / "model")
    module = tf.Module()
    module.model = model
    tf.saved_model.save(module, folder, signatures={"serving_default": signatures.mediapipe(model, config)})
    return model, config, folder


@pytest.mark.parametrize("stride", [5, 1])
def test_a_saved_model_with_mediapipes_signature(exported, stride):
    model, config, folder = exported
    scorer = SavedModelScorer(folder, ("rgb", "audio"), (16, 8))
    assert scorer.label_ids == tuple(range(CLASSES)) and scorer.attention(frames_of(9), [0]) is None
    ours = RunScorer([Member(model, config)])
    for length in (3, 23):
        np.testing.assert_allclose(scorer.scores(frames_of(length), stride), ours.scores(frames_of(length), stride), atol=1e-5)
    some = SavedModelScorer(folder, ("rgb", "audio"), (16, 8), label_ids=(6, 2))
    np.testing.assert_allclose(some.scores(frames_of(9), 5), ours.scores(frames_of(9), 5)[:, [6, 2]], atol=1e-5)


def test_a_saved_model_and_records_with_another_name_of_the_id(exported, tmp_path):
    pattern = write_frame_shards(tmp_path, [[make_video("own", 12)]], id_feature="video_id")
    given = {"saved_model": exported[2], "input_data_pattern": pattern, "feature_sizes": [16, 8], "formats": "json"}
    yt8m.timeline(**given, id_feature="video_id", output_dir=tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["own.timeline.json"]


@pytest.mark.parametrize(
    "given, line",
    [
        ({"frame_features": False}, "--noframe_features: a --saved_model takes frames"),
        ({"feature_names": ["a", "b", "c"]}, "--feature_names=a,b,c, --feature_sizes=1024,128: give one size a name"),
        ({"id_feature": "video_id"}, "cannot be loaded"),  # nothing that is wrong with it
    ],
)
def test_what_is_said_of_the_records_of_a_saved_model(given, line, tmp_path):
    with pytest.raises(UserError, match=line):
        yt8m.timeline(saved_model=str(tmp_path), input_data_pattern="none*", **given)


def test_saved_models_that_do_not_do(exported, tmp_path):
    folder = exported[2]
    with pytest.raises(UserError, match=r"takes 24 values a frame.*1024,128"):
        SavedModelScorer(folder)
    with pytest.raises(UserError, match="class 7 is none of the 7"):
        SavedModelScorer(folder, ("rgb", "audio"), (16, 8), label_ids=(7,))
    with pytest.raises(UserError, match="cannot be loaded"):
        SavedModelScorer(str(tmp_path))
    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path / "other"))
    with pytest.raises(UserError, match="rgb_and_audio"):
        SavedModelScorer(str(tmp_path / "other"))
