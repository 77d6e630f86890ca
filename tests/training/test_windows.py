"""Shifted windows and skipped segments against a slow loop over every window of every video."""

import keras
import numpy as np
import pytest

import yt8m
from tests.testing import FEATURE_SIZES
from yt8m.backend import dtype_policy
from yt8m.segments import segments_of
from yt8m.training import predict as scoring

CONTEXT = {
    "context_model": "FrameLevelLogisticModel",
    "segment_model": "AttentionModel",
    "segment_options": {"hidden_size": 6},
    "segment_layer": None,
    "hidden_size": 8,
}
MODELS = {
    "FrameLevelLogisticModel": {},
    "AttentionModel": {"hidden_size": 6},
    "LogisticModel": {},
    "TransformerModel": {"num_blocks": 1, "position": "learned", "max_length": 18},
    "BiGruModel": {"units": 3, "num_layers": 1},
    "ContextAwareModel": CONTEXT,
}
LENGTHS, MAX_FRAMES = (1, 7, 18, 15), 18


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return yt8m.build_model(request.param, num_classes=7, feature_sizes=FEATURE_SIZES, **MODELS[request.param])


@pytest.fixture(scope="module")
def videos():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (length, sum(FEATURE_SIZES)), np.uint8) for length in LENGTHS]


def batch_of(videos, length=None):
    frames = np.zeros((len(videos), length or max(map(len, videos)), videos[0].shape[1]), np.uint8)
    for row, video in zip(frames, videos):
        row[: len(video)] = video
    return {"frames": frames, "num_frames": np.array([len(video) for video in videos], np.int32)}


def slow_windows(model, videos, expansion, shifts):
    """{(row, start): the frames of each of its windows that has some}; of a sequence model (moved video, segment)."""
    found = {(row, start): [] for row, video in enumerate(videos) for start in range(0, len(video), 5)}
    for (row, start), windows in found.items():
        video = videos[row]
        for shift in range(-shifts, shifts + 1):
            first, last = start + shift - expansion, start + shift + 5 + expansion
            if not model.SCORES_WINDOWS and first < len(video) and last > 0:
                moved = video[shift:] if shift >= 0 else np.concatenate([video[:1]] * -shift + [video])[:MAX_FRAMES]
                windows.append((moved, start // 5))
            elif model.SCORES_WINDOWS and max(first, 0) < min(last, len(video)):
                windows.append(video[max(first, 0) : last])
    return found


def slow_scores(model, videos, expansion, shifts):
    """Each segment's mean over its windows; a model call for all windows of one length."""
    windows = slow_windows(model, videos, expansion if model.SCORES_WINDOWS else 0, shifts)
    flat = [(key, window) for key, own in windows.items() for window in own]
    frames_of = [window if model.SCORES_WINDOWS else window[0] for _, window in flat]
    lengths, scores = np.array([len(frames) for frames in frames_of]), np.zeros((len(flat), 7))
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        frames = np.stack([frames_of[row] for row in rows])
        inputs = {"frames": frames, "num_frames": np.full(len(rows), length, np.int32)}
        if not model.SCORES_WINDOWS:
            segments = [flat[row][1][1] for row in rows]
            scores[rows] = np.asarray(model.segment_probabilities(inputs))[np.arange(len(rows)), segments]
            continue
        if not model.TAKES_FRAMES:
            inputs = {"features": (frames.mean(axis=1) * 4 / 255 - 2 + 4 / 512).astype(np.float32)}
        if model.HAS_ENCODERS:
            whole = batch_of([videos[flat[row][0][0]] for row in rows])
            inputs |= {f"context_{name}": value for name, value in whole.items()}
        scores[rows] = model(inputs)
    return [np.mean([score for (key, _), score in zip(flat, scores) if key == one], axis=0) for one in windows]


@pytest.mark.parametrize(("expansion", "shifts"), [(0, 2), (1, 6)])
def test_shifts_equal_a_loop_over_windows(model, videos, expansion, shifts):
    batch, predict = batch_of(videos, 30 if model.SCORES_WINDOWS else None), scoring.make_predict(model)
    rows, starts = segments_of(batch["num_frames"])
    assert list(zip(rows, starts)) == [(row, start) for row, n in enumerate(LENGTHS) for start in range(0, n, 5)]
    scores = scoring.scores_at(
        model, predict, batch["frames"], batch["num_frames"], rows, starts, expansion, shifts, MAX_FRAMES, chunk=4
    )
    np.testing.assert_allclose(scores, slow_scores(model, videos, expansion, shifts), atol=2e-6)


def test_shifting_changes_scores(model, videos):
    batch, predict = batch_of(videos[2:]), scoring.make_predict(model)
    _, _, plain = scoring.segment_scores(model, predict, batch)
    _, _, shifted = scoring.segment_scores(model, predict, batch, shifts=2)
    assert np.abs(plain - shifted).max() > 1e-4


def test_some_segments_are_scored_as_all_are(model, videos):
    batch, predict = batch_of(videos), scoring.make_predict(model)
    rows, starts, scores = scoring.segment_scores(model, predict, batch, 1, shifts=1)
    chosen = np.array([5, 0, 9, 3])
    some = scoring.scores_at(model, predict, batch["frames"], batch["num_frames"], rows[chosen], starts[chosen], 1, 1)
    np.testing.assert_allclose(some, scores[chosen], atol=1e-6)


def test_no_segment(model, videos):
    batch, none = batch_of(videos), np.zeros(0, np.int64)
    scores = scoring.scores_at(model, scoring.make_predict(model), batch["frames"], batch["num_frames"], none, none)
    assert scores.shape == (0, 7)


def test_the_context_is_encoded_once(videos, monkeypatch):
    model = yt8m.build_model("ContextAwareModel", num_classes=7, feature_sizes=FEATURE_SIZES, **CONTEXT)
    predict, calls = scoring.make_predict(model), []
    encode = predict.context
    monkeypatch.setattr(predict, "context", lambda *inputs: calls.append(len(inputs[0])) or encode(*inputs))
    scoring.segment_scores(model, predict, batch_of(videos), shifts=3, chunk=2)
    assert calls == [len(LENGTHS)]


def test_halves_have_the_models_precision_whatever_was_restored_since(monkeypatch):
    seen = []
    with dtype_policy("mixed_bfloat16"):
        model = yt8m.build_model("AttentionModel", num_classes=7, feature_sizes=FEATURE_SIZES, hidden_size=6)
    halves = type(model).shared_frames
    noted = lambda *given: seen.append(keras.config.dtype_policy().name) or halves(*given)  # noqa: E731
    monkeypatch.setattr(type(model), "shared_frames", noted)
    scoring.make_predict(model).shared(7)
    assert seen == ["mixed_bfloat16"] and keras.config.dtype_policy().name == "float32"


def test_other_numbers_of_windows_are_not_traced_anew(videos):
    model = yt8m.build_model("AttentionModel", num_classes=7, feature_sizes=FEATURE_SIZES, hidden_size=6)
    predict = scoring.make_predict(model)
    for chunk in (4, 3):
        scoring.segment_scores(model, predict, batch_of(videos), chunk=chunk)
    assert predict._predict.function.experimental_get_tracing_count() == 1
    for part in (videos, videos[1:3]):
        scoring.segment_scores(model, predict, batch_of(part), expansion=1)
    assert [half.function.experimental_get_tracing_count() for half in predict.shared(7)] == [1, 1]
