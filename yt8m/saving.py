"""`import yt8m` is enough for keras.saving.load_model to know this package's classes.

Keras looks up the class of a saved object by the name under which it was registered, and imports no package for it. To import all
of ours together with yt8m would make `--help` wait for TensorFlow. So, once Keras is there, each name stands for a class that
imports its module when Keras builds an object of it; the module then registers the class itself under that name.
"""

import importlib
import importlib.util
import sys

PACKAGE = "yt8m"
# Module -> its classes that Keras can save; tests/test_saving.py compares it with what is registered.
CLASSES = {
    "frame_level_models.attention": ("AttentionModel", "MultiAttentionModel"),
    "frame_level_models.bert": ("BertModel",),
    "frame_level_models.cnn": ("CnnLstmModel", "CnnModel"),
    "frame_level_models.context_aware": ("ContextAwareModel",),
    "frame_level_models.dbof": ("DbofModel", "GatedDbofModel"),
    "frame_level_models.joint_context": ("JointContextModel",),
    "frame_level_models.logistic": ("FrameLevelLogisticModel",),
    "frame_level_models.mixture": ("MixtureModel",),
    "frame_level_models.multi_level": ("MultiLevelAttentionModel",),
    "frame_level_models.netvlad": ("NetVladModel",),
    "frame_level_models.nextvlad": ("NeXtVladModel",),
    "frame_level_models.recurrent": ("GruModel", "LstmModel"),
    "frame_level_models.sequence": ("BiGruModel", "TransformerModel"),
    "frame_level_models.soft_dbof": ("SoftDbofModel",),
    "layers.attention_pooling": ("GatedAttentionPooling",),
    "layers.batch_normalization": ("BatchNormalization",),
    "layers.block_dense": ("BlockDense",),
    "layers.bottleneck_gating": ("BottleneckGating",),
    "layers.class_attention": ("ClassAttention",),
    "layers.conditioned_lstm": ("ConditionedLSTM",),
    "layers.dequantize": ("Dequantize",),
    "layers.experts": ("LogisticHead", "MixtureOfExperts"),
    "layers.frame_mask": ("FrameMask",),
    "layers.frame_places": ("FramePlaces",),
    "layers.frame_sampling": ("FrameSampling",),
    "layers.gated_sum": ("GatedSum",),
    "layers.gating": ("ContextGating",),
    "layers.gaussian_noise": ("GaussianNoise",),
    "layers.netvlad": ("NetVlad",),
    "layers.nextvlad": ("NeXtVlad",),
    "layers.pooling": ("FramePooling",),
    "layers.position_encoding": ("PositionEncoding",),
    "layers.recurrence": ("GRU", "LSTM"),
    "layers.se_gating": ("SEContextGating",),
    "layers.segment_mean": ("SegmentMean",),
    "layers.segments_of_videos": ("AttentionOfSegments", "MeanOfSegments", "SegmentSplit"),
    "layers.shared_gate_moe": ("SharedGateMixtureOfExperts",),
    "layers.softmax_head": ("SoftmaxHead",),
    "layers.transformer_block": ("TransformerBlock",),
    "layers.unwhiten": ("Unwhiten",),
    "layers.weighted_pooling": ("WeightedPooling",),
    "training.optimizers": ("Adagrad", "Adam", "AdamW", "RMSprop", "SGD"),
    "training.schedules": ("SlantedTriangular",),
    "video_level_models": ("LogisticModel", "MlpModel", "MoeModel", "SharedGateMoeModel", "SoftmaxMlpModel"),
}


def register():
    """Makes the classes known to Keras: now if it is imported already, else as soon as it is."""
    if "keras" in sys.modules:
        _register_names()
    elif not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


def _register_names():
    """Puts a stand-in under each name that nobody has registered so far."""
    saving = getattr(sys.modules["keras"], "saving", None)
    if saving is None:  # it is being imported just now, by whoever imports yt8m meanwhile
        return
    known = saving.get_custom_objects()
    for module, names in CLASSES.items():
        for name in names:
            known.setdefault(f"{PACKAGE}>{name}", _stand_in(f"{PACKAGE}.{module}", name))


def _stand_in(module, name):
    """A class whose from_config gives an object of another class, which is imported by then."""

    def from_config(cls, config):
        return getattr(importlib.import_module(module), name).from_config(config)

    return type(
        name, (), {"__module__": module, "__doc__": f"Stands for {module}.{name}.", "from_config": classmethod(from_config)}
    )


class _KerasFinder:
    """Finds Keras where it would be found anyway, and has the names registered when its import is done."""

    def __init__(self):
        self._asking = False

    def find_spec(self, name, path=None, target=None):
        """As importlib.abc.MetaPathFinder's; it may be asked without an import that follows."""
        if name != "keras" or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking = False
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module):
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _register_names()

        spec.loader.exec_module = execute_and_register
        return spec
