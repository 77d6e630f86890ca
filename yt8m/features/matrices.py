"""Means and principal components: of published files, whose layouts differ, and of what is fitted here."""

import dataclasses
import io

import numpy as np

from yt8m.arrays import read_array, read_arrays
from yt8m.errors import UserError
from yt8m.readers.wire import UnusualLayout, decode_varint

EPSILON = 1e-4  # added to a component's variance before its root divides
VIDEO_NETWORK, VIDEO, AUDIO = 2048, 1024, 128  # values of a frame: of Inception's last layer, and what the PCAs leave


@dataclasses.dataclass(frozen=True)
class Projection:
    """y = P (x - m), computed in float64.

    Attributes:
        mean: m, float64 [n].
        matrix: P, float64 [k, n].
    """

    mean: np.ndarray
    matrix: np.ndarray

    @property
    def size(self):
        """k, the values that are left."""
        return len(self.matrix)

    def apply(self, values):
        """float [..., n] -> float32 [..., k]."""
        return ((np.asarray(values, np.float64) - self.mean) @ self.matrix.T).astype(np.float32)


def whitening_projection(mean, variances, components):
    """PCA with whitening: y = V^T (x - m) / sqrt(variance + 1e-4).

    Args:
        mean: [n].
        variances: [k], along the components; a negative one is rounding, and counts as 0.
        components: V^T, [k, n], a component a row.
    """
    scale = np.sqrt(np.maximum(np.asarray(variances, np.float64), 0) + EPSILON)
    return Projection(np.asarray(mean, np.float64), np.asarray(components, np.float64) / scale[:, None])


# ---------------------------------------------------------------- published files, as weights.WeightFile has them


def video_projection(files):
    """YouTube-8M's PCA of a picture, 2048 values to 1024.

    Args:
        files: mean.npy, eigenvals.npy and eigenvecs.npy of the starter's feature extractor, or MediaPipe's mean and projection as
            MatrixData, in this order.

    Raises:
        UserError: a file is damaged or has another shape.
    Source: feature_extractor.py of google/youtube-8m; tensors to matrices of MediaPipe's YouTube-8M graph.
    """
    if len(files) == 2:
        return _matrix_projection(files, VIDEO_NETWORK, VIDEO)
    mean, variances, components = (_npy(file) for file in files)
    mean = _first_column(files[0], mean, VIDEO_NETWORK)
    variances = _first_column(files[1], variances, VIDEO)
    if components.ndim != 2 or components.shape[0] < VIDEO or components.shape[1] != VIDEO_NETWORK:
        raise _wrong_shape(files[2], components.shape, f"{VIDEO} rows or more of {VIDEO_NETWORK}")
    return whitening_projection(mean[:VIDEO_NETWORK], variances[:VIDEO], components[:VIDEO])


def audio_projection(files):
    """VGGish's PCA, 128 values to 128, with the whitening in it.

    Args:
        files: vggish_pca_params.npz, or MediaPipe's mean and projection as MatrixData, in this order.

    Raises:
        UserError: a file is damaged or has another shape.
    Source: vggish_postprocess.py of tensorflow/models, research/audioset/vggish.
    """
    if len(files) == 2:
        return _matrix_projection(files, AUDIO, AUDIO)
    try:
        arrays = read_arrays(io.BytesIO(files[0].read()), ("pca_eigen_vectors", "pca_means"))
    except ValueError as error:
        raise damaged(files[0], error) from error
    matrix, mean = (_numbers(files[0], array) for array in arrays.values())
    if matrix.shape != (AUDIO, AUDIO):
        raise _wrong_shape(files[0], matrix.shape, f"[{AUDIO}, {AUDIO}] as `pca_eigen_vectors`")
    if mean.size != AUDIO:
        raise _wrong_shape(files[0], mean.shape, f"{AUDIO} values as `pca_means`")
    return Projection(mean.ravel(), matrix)


def damaged(file, error):
    """The UserError for a weight file that cannot be read."""
    return UserError(f"{file.path}: cannot be read as {file.name} ({error}). Get it again from {file.address}.")


def _matrix_projection(files, size, kept):
    mean, matrix = (_matrix_of(file) for file in files)
    if mean.size != size or 1 not in mean.shape:
        raise _wrong_shape(files[0], mean.shape, f"[{size}, 1]")
    if matrix.shape != (kept, size):
        raise _wrong_shape(files[1], matrix.shape, f"[{kept}, {size}]")
    return Projection(mean.ravel(), matrix)


def _matrix_of(file):
    try:
        return _numbers(file, parse_matrix(file.read()))
    except ValueError as error:
        raise error if isinstance(error, UserError) else damaged(file, error) from error


def _npy(file):
    try:
        return _numbers(file, read_array(io.BytesIO(file.read())))
    except ValueError as error:
        raise error if isinstance(error, UserError) else damaged(file, error) from error


def _numbers(file, array):
    """An array in float64; UserError unless all of it is finite."""
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise damaged(file, "values that are no finite numbers")
    return array.astype(np.float64)


def _first_column(file, array, least):
    """Column 0 of [n, 1 or more], or [n] itself; UserError with fewer than `least` values."""
    column = array if array.ndim == 1 else array[:, 0] if array.ndim == 2 and array.shape[1] else np.zeros(0)
    if len(column) < least or (least == VIDEO_NETWORK and len(column) != least):
        raise _wrong_shape(file, array.shape, f"[{least}, 1]")
    return column


def _wrong_shape(file, shape, expected):
    return UserError(f"{file.path}: {list(shape)} values, expected {expected}. Get the published file from {file.address}.")


# ---------------------------------------------------------------- MediaPipe's MatrixData


def parse_matrix(data):
    """The matrix in a serialized MatrixData message.

    Args:
        data: bytes. Fields: 1 rows, 2 columns, 3 floats (packed or one by one), 4 layout (0 column-major, 1 row-major).

    Returns:
        float32 [rows, columns].

    Raises:
        ValueError: it is no such message, or has another number of floats than rows times columns.
    Source: mediapipe/framework/formats/matrix_data.proto.
    """
    try:
        numbers, floats = _matrix_fields(memoryview(data))
    except UnusualLayout:
        raise ValueError("no MatrixData message") from None
    rows, columns, layout = (numbers.get(field, 0) for field in (1, 2, 4))
    if not rows or not columns or rows * columns != len(floats):
        raise ValueError(f"{rows} x {columns} is said, {len(floats)} values are there")
    if layout not in (0, 1):
        raise ValueError(f"unknown layout {layout}")
    return floats.reshape(rows, columns, order="C" if layout == 1 else "F")


def _matrix_fields(view):
    """({field number: int} of the varint fields, float32 [n] of field 3)."""
    numbers, pieces, at = {}, [], 0
    while at < len(view):
        tag, at = decode_varint(view, at, len(view))
        if tag & 7 == 0 and tag >> 3 in (1, 2, 4):
            numbers[tag >> 3], at = decode_varint(view, at, len(view))
            continue
        if tag == 0x1A:
            size, at = decode_varint(view, at, len(view))
        elif tag == 0x1D:
            size = 4
        else:
            raise UnusualLayout
        if at + size > len(view) or size % 4:
            raise UnusualLayout
        pieces.append(view[at : at + size])
        at += size
    return numbers, np.frombuffer(b"".join(pieces), "<f4")
