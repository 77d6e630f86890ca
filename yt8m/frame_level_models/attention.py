"""Attention and multi-attention networks of team Locust (papers 000, 001)."""

import keras
from keras import layers, ops

from yt8m.base_model import FrameModel, Graph, model_inputs
from yt8m.base_model.checks import check_not_negative, check_positive
from yt8m.errors import UserError
from yt8m.layers.attention_pooling import GatedAttentionPooling
from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.layers.frame_places import FramePlaces
from yt8m.layers.gating import ContextGating
from yt8m.layers.gaussian_noise import GaussianNoise
from yt8m.registry import register


def default_reduced_sizes(feature_sizes):
    """A quarter of each feature, but not under 64 (nor over the feature): 1024 -> 256, 128 -> 64."""
    return tuple(max(size // 4, min(size, 64)) for size in feature_sizes)


def default_attention_sizes(reduced_sizes):
    """Half of each reduced size: 256 -> 128, 64 -> 32."""
    return tuple(max(1, size // 2) for size in reduced_sizes)


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class MultiAttentionModel(FrameModel):
    """M attentions over the frames, one classifier for all of them; the prediction of a class is its maximum over the M.

    Frames -> ends cut off, sampled (training) -> features, L2-normalised -> noise (training) -> batch norm -> gated attention
    pooling of each feature, M sets -> concatenated [B, M, D] -> dense, batch norm, context gating -> head -> max over M.

    Args:
        num_sets: M.
        attention: "softmax" or "sparsemax".
        noise: standard deviation of the Gaussian noise on the frames in training; 0: none.
        reduced_sizes: size of h in each feature's pooling; None: default_reduced_sizes.
        attention_sizes: size of the gated branches there; None: default_attention_sizes.
        hidden_size: of the dense layer and its gating.
        momentum, epsilon: of the trunk's batch norms.
        overlap_penalty: what each feature's pooling adds to the loss, times the squared cosine between the weights of two sets,
            the mean over pairs (Lin et al. 2017, not in the papers; --regularization_penalty multiplies it); 0: nothing.
        num_classes, feature_sizes, sampling, num_samples, skip_head, skip_tail, stride, normalize,
            video_level_classifier_model, head_options: as in FrameModel; the mixture of experts gates its probabilities.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, M * hidden_size];
        attention -> [B, T, number of features, M], 0 on the ends; set_probabilities -> [B, M, C] and weights of all frames.
    Raises:
        UserError: sizes that are not positive, or an unknown name.
    Source: papers 000, 001; sampling, noise and initial values from the authors' code.
    Example:
        model = MultiAttentionModel(num_classes=1000, num_sets=8)
        probabilities = model({"frames": frames, "num_frames": num_frames})
    """

    HEAD_DEFAULTS = {"MoeModel": {"probability_gating": True}}
    GAINS_BY_BFLOAT16 = True
    RECIPE = "attention"
    POOLS_FRAMES = True
    SAMPLE = {"hyperparameters": {"skip_head": 0, "skip_tail": 0}}  # its videos are short

    ARGUMENTS = {
        "num_sets": 8,
        "attention": "softmax",
        **FrameModel.SAMPLING,
        "normalize": True,
        "noise": 1e-3,
        "reduced_sizes": None,
        "attention_sizes": None,
        "hidden_size": 1024,
        "momentum": 0.99,
        "epsilon": 1e-3,
        "overlap_penalty": 0.0,
        **FrameModel.HEAD_ARGUMENTS,
    }

    def check_arguments(self):
        check_positive(self, "num_sets", "hidden_size")
        check_not_negative(self, "overlap_penalty")
        self.reduced_sizes = _sizes("reduced_sizes", self.reduced_sizes, default_reduced_sizes(self.feature_sizes))
        self.attention_sizes = _sizes("attention_sizes", self.attention_sizes, default_attention_sizes(self.reduced_sizes))

    def graph(self):
        inputs, frames, mask = self.read_frames()
        embedding, weights = self.encode(frames, mask)
        of_sets = self.head()(embedding)  # [B, M, C]
        self._classify_sets = keras.Model([frames, mask], [of_sets, weights]).__call__  # a bound method for BaseModel's reason
        ends = self.ends({name: getattr(self, name) for name in ("sampling", "skip_head", "skip_tail")})
        if any(ends):
            frames, num_frames = self.taken(inputs, "segments_of_places")
            weights = FramePlaces(*ends, name="places")(weights, frames=frames, num_frames=num_frames)
        return Graph(inputs, ops.max(of_sets, axis=1), ops.reshape(embedding, (-1, self.num_sets * self.hidden_size)), weights)

    def encode(self, frames, mask):
        """What the head sees of each set, [B, M, hidden_size], and the sets' weights, [B, T, number of features, M]."""
        norm = {"momentum": self.momentum, "epsilon": self.epsilon}
        if self.noise:
            frames = GaussianNoise(self.noise, name="noise")(frames)
        frames = BatchNormalization(**norm, name="frame_norm")(frames, mask=mask)
        pooled, weights = [], []
        for index, (feature, *sizes) in enumerate(zip(self.features_of(frames), self.reduced_sizes, self.attention_sizes)):
            pool = GatedAttentionPooling(
                *sizes, self.num_sets, self.attention_name, **norm, overlap_penalty=self.overlap_penalty, name=f"pooling_{index}"
            )
            vectors, attention = pool(feature, mask=mask)  # [B, M, size], [B, T, M]
            pooled.append(vectors)
            weights.append(attention)
        x = layers.Dense(self.hidden_size, use_bias=False, name="hidden")(ops.concatenate(pooled, axis=-1))
        x = BatchNormalization(**norm, name="hidden_norm")(x)
        return ContextGating(**norm, name="hidden_gating")(x), ops.stack(weights, axis=2)

    def set_probabilities(self, inputs):
        """What each set says of the classes, and where it looks, in inference, of all frames, the ends too. Gradients pass.

        Args:
            inputs: a batch; entries that the model does not take are ignored.

        Returns:
            (float32 [B, M, C], weights float32 [B, T, number of features, M]). Where no end is cut off the maximum over M is
            the prediction, and the weights are attention(inputs).
        """
        taken = model_inputs(self, inputs)
        frames, mask = self.get_layer("dequantize")(**taken), self.get_layer("mask")(**taken)
        return self._classify_sets([frames, mask], training=False)


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class AttentionModel(MultiAttentionModel):
    """One attention over the frames: MultiAttentionModel with one set, and all its arguments.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, hidden_size];
        attention -> [B, T, number of features, 1].
    Raises:
        UserError: as MultiAttentionModel.
    Source: paper 000 and the authors' code.
    """

    ARGUMENTS = {**MultiAttentionModel.ARGUMENTS, "num_sets": 1}


def _sizes(name, sizes, default):
    sizes = default if sizes is None else tuple(sizes)
    if len(sizes) != len(default) or min(sizes) < 1:
        raise UserError(f"{name}={sizes}: use one positive size a feature ({len(default)} of them), such as {default}.")
    return sizes
