"""Published matrices in their layouts, and what the PCAs compute."""

import io

import numpy as np
import pytest

from tests.features.published import matrix_data, weight_file, write_starter_pca, write_vggish_pca
from yt8m.errors import UserError
from yt8m.features.matrices import audio_projection, parse_matrix, video_projection

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)
STARTER = ("mean.npy", "eigenvals.npy", "eigenvecs.npy")
MEDIAPIPE = ("inception3_mean_matrix_data.pb", "inception3_projection_matrix_data.pb")


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


# Rows and columns, floats, layout as `protoc --encode` writes them: 2 x 3, column-major where nothing is said.
GOLDEN = bytes.fromhex("08021003 1a18 00000000 00004040 0000803f 00008040 00000040 0000a040".replace(" ", ""))


def test_a_matrix_byte_by_byte():
    np.testing.assert_array_equal(parse_matrix(GOLDEN), MATRIX)
    assert matrix_data(MATRIX) == GOLDEN


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("layout", [None, 0, 1])
def test_both_layouts(layout, packed):
    np.testing.assert_array_equal(parse_matrix(matrix_data(MATRIX, layout, packed)), MATRIX)


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "0 x 0 is said"),
        (GOLDEN[:-4], "no MatrixData"),
        (GOLDEN[:4] + b"\x1a\x14" + GOLDEN[6:-4], "2 x 3 is said, 5 values"),
        (GOLDEN + b"\x20\x02", "unknown layout 2"),
        (b"\x08\x02\x10\x03\x1a\x03abc", "no MatrixData"),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + GOLDEN[2:], "no MatrixData"),
        (b"\x0a\x02hi", "no MatrixData"),
        (b"\x08", "no MatrixData"),
    ],
)
def test_damaged_matrices(data, words):
    with pytest.raises(ValueError, match=words):
        parse_matrix(data)


def test_the_starters_pca(tmp_path):
    """As its feature_extractor.py computes it, in float64."""
    mean, values, vectors = write_starter_pca(tmp_path)
    outputs = np.random.default_rng(1).random((5, 2048)).astype(np.float32)
    expected = (outputs.astype(np.float64) - mean[:, 0]).dot(vectors.astype(np.float64).T[:, :1024]) / np.sqrt(
        values[:1024, 0] + 1e-4
    )
    computed = video_projection([weight_file(tmp_path / name) for name in STARTER]).apply(outputs)
    assert computed.shape == (5, 1024) and computed.dtype == np.float32
    np.testing.assert_allclose(computed, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layout", [0, 1])
def test_mediapipes_pca(tmp_path, layout):
    """y = P (x - m), with nothing after it."""
    random = np.random.default_rng(2)
    mean, matrix, outputs = (random.random(shape).astype(np.float32) for shape in ((2048, 1), (1024, 2048), (4, 2048)))
    files = [tmp_path / name for name in MEDIAPIPE]
    for path, values in zip(files, (mean, matrix), strict=True):
        path.write_bytes(matrix_data(values, layout))
    computed = video_projection([weight_file(path) for path in files]).apply(outputs)
    np.testing.assert_allclose(computed, (matrix.astype(np.float64) @ (outputs.T.astype(np.float64) - mean)).T, rtol=1e-6)


def test_vggishs_pca(tmp_path):
    """As its vggish_postprocess.py computes it before it clips."""
    vectors, means = write_vggish_pca(tmp_path)
    embeddings = np.random.default_rng(3).standard_normal((6, 128)).astype(np.float32)
    computed = audio_projection([weight_file(tmp_path / "vggish_pca_params.npz")]).apply(embeddings)
    np.testing.assert_allclose(computed, np.dot(vectors, (embeddings.T - means)).T, rtol=1e-4, atol=1e-4)


def test_vggishs_pca_of_mediapipe(tmp_path):
    vectors, means = write_vggish_pca(tmp_path)
    paths = [tmp_path / name for name in ("vggish_mean_matrix_data.pb", "vggish_projection_matrix_data.pb")]
    for path, values in zip(paths, (means, vectors), strict=True):
        path.write_bytes(matrix_data(values))
    pair = audio_projection([weight_file(path) for path in paths])
    archive = audio_projection([weight_file(tmp_path / "vggish_pca_params.npz")])
    np.testing.assert_array_equal(pair.matrix, archive.matrix)
    np.testing.assert_array_equal(pair.mean, archive.mean)


@pytest.mark.parametrize(
    "name, data, words",
    [
        ("mean.npy", b"", "cannot be read as mean.npy"),
        ("mean.npy", npy(np.zeros((1024, 1))), r"\[1024, 1\] values, expected \[2048, 1\]"),
        ("mean.npy", npy(np.full((2048, 1), np.nan)), "no finite numbers"),
        ("mean.npy", npy(np.array([{}] * 2048)), "cannot be read"),
        ("mean.npy", npy(np.array(["x"] * 2048)), "no finite numbers"),
        ("eigenvals.npy", npy(np.zeros((10, 1))), r"\[10, 1\] values, expected \[1024, 1\]"),
        ("eigenvals.npy", npy(np.zeros((0, 0, 3))), "values, expected"),
        ("eigenvecs.npy", npy(np.zeros((2048, 1024))), "1024 rows or more of 2048"),
        ("eigenvecs.npy", npy(np.zeros((1024, 2048)))[:-1], "cannot be read as eigenvecs.npy"),
    ],
)
def test_wrong_files_of_the_starter(tmp_path, name, data, words):
    for other in STARTER:
        (tmp_path / other).write_bytes(npy(np.ones((2048, 1) if other != "eigenvecs.npy" else (1024, 2048))))
    video_projection([weight_file(tmp_path / other) for other in STARTER])
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=words) as error:
        video_projection([weight_file(tmp_path / other) for other in STARTER])
    assert str(error.value).startswith(str(tmp_path / name)) and "http://the.address" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "data, words",
    [
        (b"PK", "cannot be read"),
        (npz(pca_means=np.zeros(128)), "no array 'pca_eigen_vectors'"),
        (npz(pca_means=np.zeros(128), pca_eigen_vectors=np.zeros((128, 64))), r"\[128, 64\] values"),
        (npz(pca_means=np.zeros(12), pca_eigen_vectors=np.zeros((128, 128))), r"\[12\] values"),
    ],
)
def test_wrong_files_of_vggish(tmp_path, data, words):
    path = tmp_path / "vggish_pca_params.npz"
    path.write_bytes(data)
    with pytest.raises(UserError, match=words):
        audio_projection([weight_file(path)])


@pytest.mark.parametrize("mean, matrix", [((1024, 1), (1024, 2048)), ((2048, 1), (2048, 1024)), ((32, 64), (1024, 2048))])
def test_wrong_matrices_of_mediapipe(tmp_path, mean, matrix):
    for name, shape in zip(MEDIAPIPE, (mean, matrix), strict=True):
        (tmp_path / name).write_bytes(matrix_data(np.zeros(shape)))
    with pytest.raises(UserError, match=r"values, expected \["):
        video_projection([weight_file(tmp_path / name) for name in MEDIAPIPE])
