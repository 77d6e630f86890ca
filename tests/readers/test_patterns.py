"""Which files a pattern names."""

import pytest

from tests.readers.reading import spec_of
from yt8m.errors import UserError
from yt8m.readers import patterns
from yt8m.readers.batches import training_batches


def test_files_of_several_globs(tmp_path):
    for name in ("b1", "a1", "a2"):
        (tmp_path / name).write_text("")
    assert patterns.match_files(f"{tmp_path}/b*, {tmp_path}/a*,{tmp_path}/a1") == [f"{tmp_path}/{n}" for n in ("a1", "a2", "b1")]


@pytest.mark.parametrize("pattern", ["{}/x*.tfrecord", "{}/nowhere/x", "{}/a1,{}/x*", "", ","])
def test_no_file_matches(tmp_path, pattern):
    (tmp_path / "a1").write_text("")
    with pytest.raises(UserError, match=r"no file matches --train_data_pattern='"):
        patterns.match_files(pattern.replace("{}", str(tmp_path)), "train_data_pattern")
    with pytest.raises(UserError, match=r"no file matches --eval_data_pattern='"):
        spec = spec_of(pattern.replace("{}", str(tmp_path)), pattern_flag="eval_data_pattern")
        training_batches(spec, 2, 1)
