"""features.pb of MediaPipe's graph as records."""

import numpy as np
import pytest
import tensorflow as tf

import yt8m
from yt8m.errors import UserError
from yt8m.features import mediapipe
from yt8m.features.decode import Unusable
from yt8m.features.extraction import Settings
from yt8m.segments import quantise


def write_features(path, **values):
    """Writes float arrays [T, D] as the graph does: {"RGB": ..., "AUDIO": ...}."""
    lists = {}
    for name, rows in values.items():
        features = [tf.train.Feature(float_list=tf.train.FloatList(value=row)) for row in rows]
        lists[f"{name}/feature/floats"] = tf.train.FeatureList(feature=features)
    example = tf.train.SequenceExample(feature_lists=tf.train.FeatureLists(feature_list=lists))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(example.SerializeToString())
    return str(path)


def convert(path, **settings):
    return mediapipe.convert(path, mediapipe.MediaPipe(), Settings(**settings), 1)


def test_floats_become_bytes(tmp_path):
    rgb, audio = np.random.default_rng(0).normal(size=(2, 7, 1024)).astype(np.float32)
    path = write_features(tmp_path / "features.pb", RGB=rgb, AUDIO=audio[:6, :128])
    frames, facts = convert(path)
    np.testing.assert_array_equal(frames["rgb"], quantise(rgb[:6]))
    np.testing.assert_array_equal(frames["audio"], quantise(audio[:6, :128]))
    assert facts.frames == 6 and convert(path, max_frames=2)[1].frames == 2


def test_what_is_none(tmp_path):
    (tmp_path / "bad.pb").write_bytes(b"no proto")
    for path, words in (
        (str(tmp_path / "bad.pb"), "no SequenceExample"),
        (write_features(tmp_path / "a.pb", RGB=np.zeros((2, 1024))), "AUDIO/feature/floats; it has RGB/feature/floats"),
        (write_features(tmp_path / "b.pb", RGB=np.zeros((2, 5)), AUDIO=np.zeros((2, 128))), "no 1024 floats"),
        (write_features(tmp_path / "c.pb", RGB=np.full((2, 1024), np.nan), AUDIO=np.zeros((2, 128))), "finite"),
    ):
        with pytest.raises(Unusable, match=words):
            convert(path)


def test_the_command(tmp_path):
    for name in ("a", "b"):
        write_features(tmp_path / name / "features.pb", RGB=np.zeros((5, 1024)), AUDIO=np.zeros((5, 128)))
    with pytest.raises(UserError, match="same id features"):
        yt8m.extract_features(from_mediapipe=tmp_path, output_dir=tmp_path / "out")
    features = yt8m.extract_features(from_mediapipe=tmp_path, output_dir=tmp_path / "out", id_from="path", num_workers=2)
    assert (
        len(features.videos) == 2
        and not features.failed
        and '"from": "mediapipe"' in (tmp_path / "out/features.json").read_text()
    )
