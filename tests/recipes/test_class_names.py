"""What the classes of a run are called, and how many there are where only their names are given."""

import pytest

from tests.commands import given
from yt8m import config
from yt8m.errors import UserError
from yt8m.recipes import resolve


@pytest.fixture
def run(tmp_path):
    """Function of --train_data_pattern's flags and a base that returns the ModelConfig."""
    (tmp_path / "own.csv").write_text("Index,Name,Vertical\n3,dog,x\n1,cat,y\n0,,z\n")

    def asked(*arguments, base=None):
        common = (f"--train_dir={tmp_path}", "--train_data_pattern=x")
        return resolve(given("train", *common, *(argument.format(tmp_path) for argument in arguments)), base).model

    return asked


OWN = "--vocabulary_file={}/own.csv"


def test_the_names_go_with_the_run(run):
    model = run(OWN)
    assert model.class_names == ("label 0", "cat", "", "dog") and model.num_classes == 4
    assert run(OWN, "--num_classes=9").num_classes == 9
    assert run().class_names is None and run().num_classes == 3862
    base = config.ModelConfig("FrameLevelLogisticModel", num_classes=4, class_names=("a", "b"))
    assert run("--model=FrameLevelLogisticModel", base=base).class_names == ("a", "b")
    assert run("--model=FrameLevelLogisticModel", OWN, base=base).class_names == model.class_names


def test_own_classes_are_not_youtube_8ms(run, tmp_path):
    common = (f"--train_dir={tmp_path}", "--train_data_pattern=x", OWN.format(tmp_path))
    stages = resolve(given("train", *common, "--segment_class_weight=3")).stages
    assert stages[0].segment_label_ids == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Index,Name\n-1,cat\n", "Index -1"),
        ("Index,Name\n99999999,cat\n", "Index 99999999"),
        ("Index,Name\n", "no class"),
        ("Name\ncat\n", "Index"),
        ("Index,Name\n7,cat\n", r"class 7 \(cat\) is none of --num_classes=5"),
    ],
)
def test_bad_vocabularies(run, tmp_path, text, words):
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(UserError, match=words) as refused:
        run(OWN, "--num_classes=5")
    assert "\n" not in str(refused.value)
