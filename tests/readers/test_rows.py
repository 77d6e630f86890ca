"""Which rows there are, before their frames are read."""

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
