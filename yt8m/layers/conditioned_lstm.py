"""An LSTM that reads a video for several questions at once."""

import keras
from keras import layers, ops

from yt8m.layers.recurrence import all_steps, recurrent_weights
from yt8m.layers.recurrent_cells import LstmCell
from yt8m.registry import register


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class ConditionedLSTM(layers.Layer):
    """An LSTM whose input at each step is a frame beside a vector: of a row its video's frames, and the row's own vector.

    The frames' products are computed once a video, not once a row: x_t W = frame_t W_f + vector W_v. Values and weights are
    those of keras.layers.LSTM on frames and repeated vectors side by side, kernel [F + E, 4 U].

    Args:
        units: U.
        backwards: read the last frame first; the outputs stay in the order of the frames.

    Shapes: frames [V, T, F], vectors [N, E], places int [N] (each row's video), mask bool [N, T] or None -> [N, T, U].
    """

    def __init__(self, units, backwards=False, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.backwards = backwards
        self.cell = layers.LSTMCell(units, name="lstm_cell", dtype=self.dtype_policy)

    def build(self, frames_shape, vectors_shape, places_shape=None, mask_shape=None):
        self.cell.build((None, frames_shape[-1] + vectors_shape[-1]))

    def call(self, frames, vectors, places, mask=None, training=None):
        of_frames, of_vectors = ops.split(ops.convert_to_tensor(self.cell.kernel), [frames.shape[-1]], axis=0)
        x = ops.matmul(ops.transpose(frames, (1, 0, 2)), of_frames)  # [T, V, 4 U]
        x = ops.take(x, places, axis=1) + ops.matmul(vectors, of_vectors)  # [T, N, 4 U]
        mask = None if mask is None else ops.transpose(ops.cast(mask, "float32"))[:, :, None]  # [T, N, 1]
        states = [ops.zeros((ops.shape(vectors)[0], self.units), dtype="float32")] * 2
        outputs, _ = all_steps(LstmCell, x, *recurrent_weights(self.cell), mask, states, self.backwards, bool(training))
        return ops.cast(ops.transpose(outputs, (1, 0, 2)), self.compute_dtype)

    def compute_output_shape(self, frames_shape, vectors_shape, places_shape=None, mask_shape=None):
        return vectors_shape[0], frames_shape[1], self.units

    def compute_mask(self, *args, **kwargs):
        return None

    def get_config(self):
        return {**super().get_config(), "units": self.units, "backwards": self.backwards}
