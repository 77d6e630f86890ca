"""Which classes are scored, by default and when they are named."""

import pytest

from yt8m.config import ModelConfig
from yt8m.errors import UserError
from yt8m.readers import labels
from yt8m.scoring import classes
from yt8m.scoring.classes import columns_of, common_label_ids, predicted_label_ids, scored_label_ids

PLAIN = ModelConfig("LogisticModel", num_classes=10)
OWN = ModelConfig("LogisticModel", num_classes=10, label_ids=(1, 2, 3, 4, 6, 0, 9))


@pytest.fixture
def ids(tmp_path, monkeypatch):
    (tmp_path / "ids.csv").write_text("Index\n2\n5\n")
    (tmp_path / "official.csv").write_text("Index\n8\n")
    monkeypatch.setattr(labels, "DEFAULT_SEGMENT_LABEL_IDS_URL", str(tmp_path / "official.csv"))
    return str(tmp_path / "ids.csv")


def test_the_file_counts_first(ids):
    for configs in ([PLAIN], [OWN, PLAIN]):
        for kind in ("segments", "videos"):
            assert scored_label_ids(configs, ids, kind) == (2, 5)


def test_without_a_file(ids, monkeypatch):
    assert scored_label_ids([OWN]) is scored_label_ids([PLAIN, OWN]) is None
    assert scored_label_ids([PLAIN], kind="videos") is scored_label_ids([PLAIN], "") is None
    assert scored_label_ids([PLAIN, PLAIN]) == (8,)
    sample = type("Sample", (), {"segment_label_ids_file": ids})
    monkeypatch.setattr(classes, "sample_of", lambda config: sample if config is PLAIN else None)
    assert scored_label_ids([PLAIN]) == (2, 5)


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
