"""Which classes are scored, by default and when they are named."""

import pytest

from yt8m.config import ModelConfig
from yt8m.errors import UserError
from yt8m.readers import downloads, labels
from yt8m.scoring import classes
from yt8m.scoring.classes import columns_of, common_label_ids, predicted_label_ids, scored_label_ids

PLAIN = ModelConfig("LogisticModel", num_classes=10)
OWN = ModelConfig("LogisticModel", num_classes=10, label_ids=(1, 2, 3, 4, 6, 0, 9))


FULL = ModelConfig("LogisticModel")
TOLD = ModelConfig("LogisticModel", num_classes=10, segment_class_ids=(4, 5))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(downloads, "fetched", None)


@pytest.fixture
def ids(tmp_path):
    (tmp_path / "ids.csv").write_text("Index\n2\n5\n")
    return str(tmp_path / "ids.csv")


def test_the_file_counts_first(ids):
    for configs in ([PLAIN], [OWN, PLAIN], [TOLD], [FULL]):
        for kind in ("segments", "videos"):
            assert scored_label_ids(configs, ids, kind) == (2, 5)


def test_without_a_file(ids, monkeypatch):
    assert scored_label_ids([OWN]) is scored_label_ids([PLAIN, OWN]) is scored_label_ids([TOLD, OWN]) is None
    for config in (PLAIN, TOLD, FULL):
        assert scored_label_ids([config], kind="videos") is scored_label_ids([config], "") is None
    assert scored_label_ids([PLAIN, PLAIN]) is scored_label_ids([FULL, PLAIN]) is None
    assert scored_label_ids([TOLD]) == scored_label_ids([PLAIN, TOLD]) == (4, 5)
    assert scored_label_ids([FULL, FULL]) == labels.default_segment_label_ids(3862)
    sample = type("Sample", (), {"segment_label_ids_file": ids})
    monkeypatch.setattr(classes, "sample_of", lambda config: sample)
    assert scored_label_ids([PLAIN]) == scored_label_ids([FULL]) == (2, 5) and scored_label_ids([TOLD]) == (4, 5)


def test_columns():
    assert predicted_label_ids(PLAIN) == tuple(range(10)) and predicted_label_ids(OWN) == OWN.label_ids
    assert columns_of(PLAIN, (7, 3)) == [7, 3] and columns_of(OWN, (6, 1, 9)) == [4, 0, 6]
    with pytest.raises(UserError, match=r"--segment_label_ids_file: 1 of its 2 classes \(5, ...\) are none of the 7 of a/b"):
        columns_of(OWN, (2, 5), "a/b")


def test_common_classes_are_those_of_the_fewest():
    assert common_label_ids("ab", [PLAIN, OWN]) == OWN.label_ids
    other = ModelConfig("LogisticModel", num_classes=10, label_ids=(5, 6))
    with pytest.raises(UserError, match=r"--train_dir: b does not predict 1 of the 2 classes of another \(5, ...\)"):
        common_label_ids("abc", [PLAIN, OWN, other])
