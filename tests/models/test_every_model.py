"""What must hold of every registered model."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest

from tests import cases, harness
from yt8m.base_model import model_inputs
from yt8m.losses import CrossEntropyLoss
from yt8m.models import hyperparameters
from yt8m.training.optimizers import Adam

# Every training step is the same then.
NOT_RANDOM = {
    "sampling": "none", "sample_at_inference": False, "context_sampling": "none", "noise": 0, "dropout": 0.0,
    "cluster_dropout": 0.0, "frame_dropout": 0.0,
}  # fmt: skip
# The others pool frames as a set.
ORDERED = {"BiGruModel", "CnnLstmModel", "CnnModel", "GruModel", "LstmModel", "TransformerModel"}
SMALL_HEADS = [cases.ModelCase(name, {}) for name in ("LogisticModel", "SharedGateMoeModel", "FrameLevelLogisticModel")]
each = pytest.mark.parametrize("case", cases.MODELS, ids=cases.case_id)
first_of_each = cases.first_of_each_model(cases.MODELS)


@pytest.fixture(scope="module")
def models():
    """The models by case, built once."""
    return {cases.case_id(case): case.build() for case in cases.MODELS}


def fresh_weights(model):
    harness.randomise(model)
    return model


def test_every_model_is_tested():
    assert cases.missing("model", cases.MODELS) == []


@each
def test_config_rebuilds_the_model(case, models):
    model = models[cases.case_id(case)]
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


@first_of_each
def test_saved_model_predicts_the_same_and_stores_each_weight_once(case, models, tmp_path):
    model = fresh_weights(models[cases.case_id(case)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    batch = harness.batch_for(model)
    np.testing.assert_array_equal(harness.predict(again, batch), harness.predict(model, batch))
    np.testing.assert_array_equal(again.embed(batch), model.embed(batch))
    sizes = []
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file.visititems(lambda path, item: sizes.append(item.size) if "/vars/" in path and "seed" not in path else None)
    assert sum(sizes) == model.count_params()
    assert len({id(w) for w in model.weights}) == len(model.weights)


@each
def test_output_is_float32_probabilities(case, models):
    model = fresh_weights(models[cases.case_id(case)])
    predictions = harness.predict(model, harness.batch_for(model))
    assert predictions.dtype == np.float32
    assert predictions.shape == (3, harness.CLASSES)
    assert predictions.min() >= 0 and predictions.max() <= 1 + 1e-6


@each
def test_padding_never_changes_a_prediction(case, models):
    model = fresh_weights(models[cases.case_id(case)])
    batch = harness.batch_for(model)
    if "frames" not in batch:
        pytest.skip("no frames")
    longer = harness.pad_frames(batch, extra=17, fill=200)
    np.testing.assert_allclose(harness.predict(model, longer), harness.predict(model, batch), atol=1e-5)


@each
def test_order_of_frames_counts_where_it_should(case, models):
    model = fresh_weights(models[cases.case_id(case)])
    batch = harness.batch_for(model)
    if "frames" not in batch:
        pytest.skip("no frames")
    permuted = harness.permute_frames(batch, ends=case.arguments.get("skip_head", 0))  # in the cases as many as skip_tail
    before, after = harness.predict(model, batch), harness.predict(model, permuted)
    of_places = {"sample_at_inference", "video_prediction"} & set(case.arguments)  # of these frames, of segments
    if case.name in ORDERED or of_places:
        assert np.abs(after - before).max() > 1e-4
    else:
        np.testing.assert_allclose(after, before, atol=1e-5)


@first_of_each
def test_padding_never_changes_the_batch_statistics(case):
    if "frames" not in harness.batch_for(case.build()):
        pytest.skip("no frames")
    known = hyperparameters(case.name, case.arguments.get("video_level_classifier_model"))
    case = cases.ModelCase(case.name, {**case.arguments, **{k: v for k, v in NOT_RANDOM.items() if k in known}})
    statistics = []
    for extra in (0, 9):
        model = fresh_weights(case.build())
        batch = harness.batch_for(model)
        harness.predict(model, harness.pad_frames(batch, extra, fill=200) if extra else batch, training=True)
        statistics.append(model.get_weights())
    for one, other in zip(*statistics):
        np.testing.assert_allclose(one, other, atol=1e-5)


@each
def test_bfloat16_is_close_to_float32(case, models):
    model = fresh_weights(models[cases.case_id(case)])
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = case.build()
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(model.get_weights())
    batch = harness.batch_for(model)
    predictions = harness.predict(half, batch)
    assert predictions.dtype == np.float32
    np.testing.assert_allclose(predictions, harness.predict(model, batch), atol=0.03)
    heads = [layer.compute_dtype for layer in half.layers if layer.name.endswith("head")]
    assert heads and set(heads) == {"bfloat16"}


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "bfloat16", "float64"])
def test_heads_of_other_policies_are_float32(policy):
    keras.config.set_dtype_policy(policy)
    try:
        heads = [case.build().get_layer("head") for case in SMALL_HEADS]
    finally:
        keras.config.set_dtype_policy("float32")
    assert {(head.compute_dtype, head.variable_dtype) for head in heads} == {("float32", "float32")}


@first_of_each
def test_training_lowers_the_loss(case):
    keras.utils.set_random_seed(6)
    model = case.build()
    batch = harness.batch_for(model)
    labels = np.zeros((3, harness.CLASSES), "float32")
    labels[[0, 1, 2], [1, 3, 3]] = 1
    cross_entropy = CrossEntropyLoss()
    model.compile(Adam(0.03), loss=lambda y, p: cross_entropy(p, y), run_eagerly=True)
    losses = []
    for _ in range(6):
        model.reset_metrics()  # older Keras gives the mean since the last reset
        losses.append(float(model.train_on_batch(batch, labels)))
    assert min(losses[-3:]) < 0.8 * losses[0]  # steps with dropout on three examples go up and down
    assert all(np.isfinite(losses))


@each
def test_other_entries_of_a_batch_are_left_out(case, models):
    model = models[cases.case_id(case)]
    batch = harness.batch_for(model)
    more = {**batch, "ids": np.array([b"a", b"b", b"c"]), "labels": np.zeros((3, harness.CLASSES))}
    assert set(model_inputs(model, more)) == set(batch)
    np.testing.assert_array_equal(model.embed(more), model.embed(batch))


@each
def test_embedding_is_one_vector_an_example(case, models):
    model = models[cases.case_id(case)]
    embedding = np.array(model.embed(harness.batch_for(model)))
    assert embedding.ndim == 2 and embedding.shape[0] == 3
