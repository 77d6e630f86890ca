"""Attention and multi-attention networks of team Locust (papers 000, 001)."""

import keras
from keras import layers, ops

from yt8m.base_model import BaseModel, check_sizes, frame_inputs, model_inputs
from yt8m.errors import UserError
from yt8m.layers.attention_pooling import GatedAttentionPooling
from yt8m.layers.dequantize import Dequantize
from yt8m.layers.frame_mask import FrameMask
from yt8m.layers.frame_sampling import METHODS, FrameSampling
from yt8m.layers.gating import ContextGating
from yt8m.registry import register
from yt8m.video_level_models import make_head

SAMPLINGS = (*METHODS, "none")


def default_reduced_sizes(feature_sizes):
    """A quarter of each feature, but not under 64 (nor over the feature): 1024 -> 256, 128 -> 64."""
    return tuple(max(size // 4, min(size, 64)) for size in feature_sizes)


def default_attention_sizes(reduced_sizes):
    """Half of each reduced size: 256 -> 128, 64 -> 32."""
    return tuple(max(1, size // 2) for size in reduced_sizes)


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class MultiAttentionModel(BaseModel):
    """M attentions over the frames, one classifier for all of them; the prediction of a class is its maximum over the M.

    Frames -> sampled (training) -> features, L2-normalised -> noise (training) -> batch norm -> gated attention pooling of
    each feature, M sets -> concatenated [B, M, D] -> dense, batch norm, context gating -> head -> max over M.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        num_sets: M.
        attention: "softmax" or "sparsemax".
        sampling: frames that a training step sees: "random", "every" (as in FrameSampling) or "none" (all).
        num_samples, skip_head, skip_tail, stride: as in FrameSampling.
        normalize: L2-normalise each frame over D.
        noise: standard deviation of the Gaussian noise on the frames in training; 0: none.
        reduced_sizes: size of h in each feature's pooling; None: default_reduced_sizes.
        attention_sizes: size of the gated branches there; None: default_attention_sizes.
        hidden_size: of the dense layer and its gating.
        momentum, epsilon: of the trunk's batch norms.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer, over HEAD_DEFAULTS (the mixture of experts gates its probabilities).

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, M * hidden_size];
        attention -> [B, T, number of features, M]; set_probabilities -> [B, M, C] and the attention.
    Raises:
        UserError: sizes that are not positive, or an unknown name.
    Source: papers 000, 001; sampling, noise and initial values from the authors' code.
    Example:
        model = MultiAttentionModel(num_classes=1000, num_sets=8)
        probabilities = model({"frames": frames, "num_frames": num_frames})
    """

    HEAD_DEFAULTS = {"MoeModel": {"probability_gating": True}}
    RECIPE = "attention"

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        num_sets=8,
        attention="softmax",
        sampling="random",
        num_samples=120,
        skip_head=None,
        skip_tail=None,
        stride=5,
        normalize=True,
        noise=1e-3,
        reduced_sizes=None,
        attention_sizes=None,
        hidden_size=1024,
        momentum=0.99,
        epsilon=1e-3,
        video_level_classifier_model="MoeModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        _check_positive(num_sets=num_sets, hidden_size=hidden_size)
        reduced_sizes = _sizes("reduced_sizes", reduced_sizes, default_reduced_sizes(feature_sizes))
        attention_sizes = _sizes("attention_sizes", attention_sizes, default_attention_sizes(reduced_sizes))
        head_options = {**self.HEAD_DEFAULTS.get(video_level_classifier_model, {}), **(head_options or {})}
        norm = {"momentum": momentum, "epsilon": epsilon}

        inputs = frame_inputs(feature_sizes)
        sample = _sampling(sampling, num_samples, skip_head, skip_tail, stride)
        x, mask = _frames(inputs, sample, normalize, noise, norm)
        pooled, weights = _pool(x, mask, feature_sizes, reduced_sizes, attention_sizes, num_sets, attention, norm)
        hidden = layers.Dense(hidden_size, use_bias=False, name="hidden")(pooled)  # [B, M, hidden]
        hidden = layers.BatchNormalization(**norm, name="hidden_norm")(hidden)
        embedding = ContextGating(**norm, name="hidden_gating")(hidden)
        of_sets = make_head(video_level_classifier_model, num_classes, head_options)(embedding)  # [B, M, C]
        outputs = ops.max(of_sets, axis=1)
        embedding = ops.reshape(embedding, (-1, num_sets * hidden_size))
        weights = ops.stack(weights, axis=2)  # [B, T, number of features, M]
        super().__init__(inputs, outputs, embedding, attention=weights, name=name)
        self._classify_sets = keras.Model(inputs, (of_sets, weights)).__call__  # a bound method for BaseModel's reason

        self.num_classes, self.feature_sizes = num_classes, feature_sizes
        self.num_sets, self.attention_name = num_sets, attention
        self.sampling, self.num_samples, self.stride = sampling, num_samples, stride
        self.skip_head, self.skip_tail = skip_head, skip_tail
        self.normalize, self.noise = normalize, noise
        self.reduced_sizes, self.attention_sizes, self.hidden_size = reduced_sizes, attention_sizes, hidden_size
        self.momentum, self.epsilon = momentum, epsilon
        self.video_level_classifier_model, self.head_options = video_level_classifier_model, head_options

    def set_probabilities(self, inputs):
        """What each set says of the classes, and where it looks, in inference: all frames, no noise. Gradients pass.

        Args:
            inputs: a batch; entries that the model does not take are ignored.

        Returns:
            (float32 [B, M, C], whose maximum over M is the prediction; the weights as attention(inputs) gives them).
        """
        return self._classify_sets(model_inputs(self, inputs), training=False)

    def get_config(self):
        return {**super().get_config(), "attention": self.attention_name}  # the attribute of that name is the method


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

    def __init__(self, num_classes, feature_sizes=(1024, 128), num_sets=1, **options):
        super().__init__(num_classes, feature_sizes, num_sets, **options)


def _check_positive(**numbers):
    for name, number in numbers.items():
        if number < 1:
            raise UserError(f"{name}={number}: use a positive number.")


def _sizes(name, sizes, default):
    sizes = default if sizes is None else tuple(sizes)
    if len(sizes) != len(default) or min(sizes) < 1:
        raise UserError(f"{name}={sizes}: use one positive size a feature ({len(default)} of them), such as {default}.")
    return sizes


def _sampling(sampling, num_samples, skip_head, skip_tail, stride):
    if sampling not in SAMPLINGS:
        raise UserError(f"sampling={sampling!r}: use one of {', '.join(SAMPLINGS)}.")
    if sampling == "none":
        return None
    return FrameSampling(num_samples, sampling, skip_head, skip_tail, stride, name="sampling")


def _frames(inputs, sample, normalize, noise, norm):
    """What the pooling sees: x [B, T, D] and which of it is real, bool [B, T]."""
    frames, num_frames = inputs["frames"], inputs["num_frames"]
    if sample is not None:
        frames, num_frames = sample(frames, num_frames)
    mask = FrameMask(name="mask")(frames, num_frames)
    x = Dequantize(normalize=normalize, name="dequantize")(frames, num_frames)
    if noise:
        x = layers.GaussianNoise(noise, name="noise")(x)
    return layers.BatchNormalization(**norm, name="frame_norm")(x, mask=mask), mask


def _pool(x, mask, feature_sizes, reduced_sizes, attention_sizes, num_sets, attention, norm):
    """Each feature pooled with attentions of its own: [B, M, D], and their weights, a list of [B, T, M]."""
    pooled, weights, start = [], [], 0
    for index, (size, reduced, attended) in enumerate(zip(feature_sizes, reduced_sizes, attention_sizes)):
        pool = GatedAttentionPooling(reduced, attended, num_sets, attention, **norm, name=f"pooling_{index}")
        one, one_weights = pool(x[:, :, start : start + size], mask=mask)
        pooled.append(one)
        weights.append(one_weights)
        start += size
    return ops.concatenate(pooled, axis=-1), weights
