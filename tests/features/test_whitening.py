"""Whitening: what it makes of a network's outputs, which frames it is fitted on, and its file."""

import numpy as np
import pytest

from yt8m.errors import UserError
from yt8m.features import whitening
from yt8m.segments import dequantise, quantise

FINGERPRINT = {"name": "keras:Tiny", "options": {"size": "32"}, "files": {"tiny.h5": "ab" * 32}}


def outputs(count=400, size=20, seed=0):
    """What a network's last ReLU gives: never negative, dependent, of a scale of its own."""
    random = np.random.default_rng(seed)
    return np.maximum(random.standard_normal((count, size)) @ random.standard_normal((size, size)) * 30 + 20, 0).astype(
        np.float32
    )


def test_components_are_independent_with_variance_1():
    values = outputs()
    whitened = whitening.fit(values).apply(values)
    assert whitened.dtype == np.float32
    np.testing.assert_allclose(whitened.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(whitened.T, bias=True), np.eye(20), atol=1e-3)


def test_against_the_definition():
    values = outputs().astype(np.float64)
    variances, vectors = np.linalg.eigh(np.cov(values.T, bias=True))
    order = np.argsort(-variances)
    expected = (values - values.mean(axis=0)) @ vectors[:, order] / np.sqrt(variances[order] + 1e-4)
    np.testing.assert_allclose(np.abs(whitening.fit(values).apply(values)), np.abs(expected), atol=1e-5)


def test_bytes_keep_what_they_would_lose_without_it():
    """Through the bytes and back, clipped outputs say next to nothing of each other's distances; whitened ones do."""
    values, fitted = outputs(), whitening.fit(outputs(seed=0))
    whitened = fitted.apply(values)
    assert np.ptp(quantise(values[:, :1]), axis=0).item() == 0 or (quantise(values) == 255).mean() > 0.5
    assert np.corrcoef(dequantise(quantise(whitened)).ravel(), whitened.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("count, size, kept", [(30, 50, 29), (400, 20, 20), (300, 60, 40)])
def test_how_many_components(count, size, kept, monkeypatch):
    assert whitening.COMPONENTS == 1024
    monkeypatch.setattr(whitening, "COMPONENTS", 40)
    values = np.random.default_rng(0).standard_normal((count, size))
    assert whitening.fit(values).size == kept
    assert whitening.fit(values).apply(values[:3]).shape == (3, kept)


def test_directions_without_variance_go():
    values = np.repeat(outputs(), 2, axis=1)
    values[:, 0] = 7
    assert whitening.fit(values).size == 20


@pytest.mark.parametrize(
    "values, words",
    [
        (np.zeros((0, 5)), "0 frames"),
        (np.ones((1, 5)), "1 frames"),
        (np.ones((9, 5)), "all frames have the same outputs"),
        (np.full((9, 5), np.nan), "no finite numbers"),
        (np.array([[1.0, np.inf], [2.0, 0.0]]), "no finite numbers"),
    ],
)
def test_what_cannot_be_whitened(values, words):
    with pytest.raises(UserError, match=words):
        whitening.fit(values)


# ---------------------------------------------------------------- the file


def test_a_file_gives_the_same_values_and_the_same_bytes(tmp_path):
    fitted = whitening.fit(outputs(), FINGERPRINT)
    fitted.save(tmp_path / "a" / "whitening.npz")
    fitted.save(tmp_path / "b.npz")
    loaded = whitening.load(tmp_path / "b.npz", FINGERPRINT)
    np.testing.assert_array_equal(loaded.apply(outputs(seed=1)), fitted.apply(outputs(seed=1)))
    assert loaded.size == fitted.size and loaded.fingerprint == FINGERPRINT
    assert (tmp_path / "a" / "whitening.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    whitening.fit(outputs()).save(tmp_path / "c.npz")
    assert whitening.load(tmp_path / "c.npz", FINGERPRINT).fingerprint == {}


def test_another_backbones_whitening_is_refused(tmp_path):
    whitening.fit(outputs(), FINGERPRINT).save(tmp_path / "w.npz")
    with pytest.raises(
        UserError, match=r"w.npz: it was fitted to outputs of keras:Tiny,size=32 \(tiny.h5 abababab\), not of keras:Big"
    ):
        whitening.load(tmp_path / "w.npz", {**FINGERPRINT, "name": "keras:Big"})
    with pytest.raises(UserError, match=r"for 20 values a frame, the backbone gives 21"):
        whitening.load(tmp_path / "w.npz").apply(np.zeros((3, 21)))


def arrays(**changes):
    good = {"mean": np.zeros(4), "variances": np.ones(2), "components": np.ones((2, 4)), "fingerprint": np.array("{}")}
    return {**good, **changes}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 and no more",
        {"mean": np.zeros(4)},
        arrays(components=np.ones((4, 2))),
        arrays(variances=np.ones((2, 1))),
        arrays(mean=np.full(4, np.nan)),
        arrays(mean=np.array(["a"] * 4)),
        arrays(components=np.zeros((0, 4)), variances=np.zeros(0)),
        arrays(fingerprint=np.array("{")),
        arrays(fingerprint=np.array("[" * 100_000)),
        arrays(fingerprint=np.array("[]")),
        arrays(fingerprint=np.zeros(3)),
        arrays(fingerprint=np.array([{}])),
    ],
)
def test_damaged_files(tmp_path, content):
    path = tmp_path / "whitening.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"whitening.npz: no whitening can be read") as error:
        whitening.load(path)
    assert "\n" not in str(error.value)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"No such file"):
        whitening.load(tmp_path / "none.npz")


# ---------------------------------------------------------------- which frames


def videos():
    """{id: outputs [T, 3]}; a frame's values say whose it is."""
    return {f"v{number}": np.array([[number, second, 1.0] for second in range(5 + 3 * number)]) for number in range(8)}


def sampled(ids, size, pieces=1):
    sample = whitening.FrameSample(size)
    for id in ids:
        for seconds in np.array_split(np.arange(len(videos()[id])), pieces):
            wanted = seconds[sample.wants(id, seconds)]
            sample.add(id, wanted, videos()[id][wanted])
    return sample.outputs()


def test_the_sample_is_the_least_hashes_in_any_order():
    frames = [
        (code, values)
        for id, rows in videos().items()
        for code, values in zip(whitening.frame_hashes(id, range(len(rows))), rows)
    ]
    expected = np.array([values for _, values in sorted(frames, key=lambda frame: frame[0])[:20]])
    ids = list(videos())
    for order, pieces in ((ids, 1), (ids[::-1], 3), (ids[4:] + ids[:4], 2)):
        np.testing.assert_array_equal(sampled(order, 20, pieces), expected)


def test_a_sample_of_fewer_frames_has_all():
    assert len(sampled(videos(), 1000)) == sum(map(len, videos().values()))
    assert whitening.SAMPLE == 20_000


HASHES = ("5f36efce86f68877", "bfcf0b9cbe9d8208")  # sha256sum of "abc:0" and of "abc:1"


def test_hashes_are_the_same_in_every_process():
    assert whitening.frame_hashes("abc", [0, 1]).tolist() == [int(hashed, 16) for hashed in HASHES]
