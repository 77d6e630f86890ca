"""Which rows there are, before their frames are read."""

import numpy as np
import pytest

from tests.readers.reading import read_error, spec_of
from tests.testing import make_video, write_frame_shards
from yt8m.errors import UserError
from yt8m.readers import failures, patterns, rows
from yt8m.readers.batches import count_examples, evaluation_batches, training_batches
from yt8m.readers.ratings import read_ratings
from yt8m.readers.spec import RatedSegments


def test_training_starts_before_all_shards_are_read(many, monkeypatch):
    seen, index_shard = set(), rows.index_shard
    monkeypatch.setattr(rows, "index_shard", lambda path: seen.add(path) or index_shard(path))
    next(rows.shuffled_rows(spec_of(many), patterns.match_files(many), 1, None, 0, shuffle_shards=2))
    assert len(seen) == 2


def test_no_rated_segment_at_all(many):
    line = "no rated segment in .*: needs version-3 validate shards"
    for read in (count_examples, lambda spec: read_ratings(spec.pattern)):
        with pytest.raises(UserError, match=line):
            read(spec_of(many, kind=RatedSegments))
    for batches in (evaluation_batches(spec_of(many, kind=RatedSegments), 4),
                    training_batches(spec_of(many, kind=RatedSegments), 4, seed=1)):  # fmt: skip
        with pytest.raises(UserError, match=line), failures.errors_as_user_errors():
            next(iter(batches))


def test_no_video_with_the_labels(many, tmp_path):
    pattern = write_frame_shards(tmp_path, [[make_video("aaaa", labels=[1])]])
    assert "carries one of the 1 label ids" in read_error(pattern, label_ids=[2], only_videos_with_label_ids=True)


@pytest.fixture(scope="module")
def unequal(tmp_path_factory):
    """Two shards of 60 videos: 81 of class 0, 36 of class 1, one of both, one of 9, which has no column, one without labels."""
    labels = [[0]] * 81 + [[1]] * 36 + [[0, 1], [9], []]
    videos = [make_video(f"v{number:03d}", 2, labels=of_video) for number, of_video in enumerate(labels)]
    order = np.random.default_rng(4).permutation(len(videos))
    shards = [[videos[number] for number in part] for part in (order[:60], order[60:])]
    return write_frame_shards(tmp_path_factory.mktemp("unequal"), shards)


def of_classes(pattern, epochs=1, **changes):
    """Labels of the videos of some epochs of training, and their ids."""
    batches = list(training_batches(spec_of(pattern, label_ids=[0, 1], **changes), 20, seed=1, num_epochs=epochs))
    return np.concatenate([batch["labels"] for batch in batches]), [b for batch in batches for b in batch["ids"].numpy().tolist()]


def test_classes_come_as_often_as_asked_for(unequal):
    """120 videos an epoch whatever the balance: with b the classes' shares are as n^(1 - b)."""
    for balance, share in ((0.5, 9 / (9 + 6)), (1.0, 0.5)):
        labels, ids = of_classes(unequal, 20, class_balance=balance)
        assert len(ids) == 2400
        single = labels[labels.sum(axis=1) == 1]
        assert abs(single[:, 0].mean() - share) < 0.03
    labels, ids = of_classes(unequal, class_balance=0.0)
    assert len(set(ids)) == len(ids) == 120 and labels.sum(axis=0).tolist() == [82, 37]


def test_chances_of_rows(unequal):
    files = patterns.match_files(unequal)
    spec = spec_of(unequal, label_ids=[0, 1], class_balance=1.0)
    references = np.concatenate(list(rows.ordered_rows(spec, files)))
    mixed = np.random.default_rng(1).permutation(references)
    chances = {tuple(row): chance for row, chance in zip(mixed.tolist(), rows.chances(spec, files, mixed))}
    labels = np.concatenate([batch["labels"] for batch in evaluation_batches(spec, 50)])
    weights = np.array([1 / 82, 1 / 37])
    expected = [weights[row > 0].mean() if row.any() else 1 / 82 for row in labels]
    np.testing.assert_allclose([chances[tuple(row)] for row in references.tolist()], expected / np.sum(expected))


def test_balanced_batches_are_the_same_from_any_step_on(unequal):
    spec = spec_of(unequal, label_ids=[0, 1], class_balance=1.0)
    whole = [batch["ids"].numpy().tolist() for batch in training_batches(spec, 20, seed=1, num_epochs=3)]
    later = [batch["ids"].numpy().tolist() for batch in training_batches(spec, 20, seed=1, num_epochs=3, start_step=7)]
    assert whole[7:] == later and whole[:6] != whole[6:12]
    assert whole != [batch["ids"].numpy().tolist() for batch in training_batches(spec, 20, seed=2, num_epochs=3)]
