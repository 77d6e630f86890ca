"""The papers' ensembles as flag files of inference.py: what they take, their members can be."""

import pathlib
import re
import shlex
from collections import Counter

import pytest

from tests import commands
from yt8m.reranking import rankers
from yt8m.reranking.command import RerankJob
from yt8m.reranking.references import NEIGHBOURHOOD

CONFIGS = pathlib.Path(__file__).parent.parent.parent / "configs"
# File -> how many members have each model.
ENSEMBLES = {
    "ensemble_ceshine": {"ContextAwareModel": 6, "NeXtVladModel": 3, "GatedDbofModel": 3},
    "ensemble_locust": {
        "MultiAttentionModel": 3,
        "AttentionModel": 3,
        "DbofModel": 2,
        "CnnModel": 2,
        "NetVladModel": 1,
        "LstmModel": 1,
    },
    "ensemble_em": {"TransformerModel": 2, "NeXtVladModel": 1, "BiGruModel": 1},
}


OURS = {"ensemble_best": ("AttentionModel", "MultiAttentionModel", "GatedDbofModel")}


def header(name):
    return "\n".join(line for line in (CONFIGS / f"{name}.flags").read_text().splitlines() if line.startswith("#"))


def inference_flags(name):
    return commands.given("inference", f"--flagfile={CONFIGS / name}.flags")


def members(name):
    """The folders of --train_dir, a flag of comma-separated folders."""
    return inference_flags(name)["train_dir"].split(",")


def training_commands(name):
    """The parsed flags of every train.py command in a file's header, with the recipe that it names."""
    for arguments in re.findall(r"#   python train\.py (.*)", header(name)):
        arguments = [re.sub("^--flagfile=", f"--flagfile={CONFIGS.parent}/", part) for part in shlex.split(arguments)]
        recipe = re.search(r"configs/(\w+)\.flags", arguments[0])[1]
        yield recipe, commands.given("train", *arguments)


def trained_models(name):
    """{folder: model} of what the header trains."""
    found = {}
    for _, given in training_commands(name):
        found[given["train_dir"]] = given["model"]
        if given.get("stage") == "em":
            for number, entry in enumerate(given["em_models"], start=1):
                model = re.match(r"(\w+Model)\(", entry)[1]
                found[f"{given['train_dir']}/iteration-{given.get('em_iterations', 2)}/F{number}"] = model
    return found


def test_the_papers_ensembles_are_these():
    assert {path.stem for path in CONFIGS.glob("ensemble_*.flags")} == {*ENSEMBLES, *OURS}


@pytest.mark.parametrize("name", ENSEMBLES)
def test_header(name):
    text = header(name)
    assert re.search(r"paper(s 000/001| 002| 004), section", text), "source"
    assert re.search(r"Published: .*(\d|none)", text), "score"
    assert "Not in the paper: " in text
    assert re.search(r"# Data: YouTube-8M 2/frame train .*3/frame", text), "parts of the dataset"
    assert "# Chosen by: " in text
    assert f"python inference.py --flagfile=configs/{name}.flags --input_data_pattern='DATA/3/frame/test/" in text


@pytest.mark.parametrize("name", ENSEMBLES)
def test_each_member_is_trained_as_the_header_says(name):
    folders = members(name)
    assert len(set(folders)) == len(folders) == sum(ENSEMBLES[name].values())
    trained = trained_models(name) or {
        f"runs/{path.stem}": commands.given("train", f"--flagfile={path}")["model"] for path in CONFIGS.glob("[!er]*.flags")
    }
    assert Counter(trained[folder] for folder in folders) == ENSEMBLES[name]


@pytest.mark.parametrize("name", ENSEMBLES)
def test_what_a_member_begins_with_is_trained_before(name):
    made = set()
    for _, given in training_commands(name):
        for source in ("init_checkpoint", "context_checkpoint", "segment_checkpoint"):
            assert source not in given or given[source] in made
        if given.get("pseudo_labels"):
            assert given["pseudo_labels"].split("/iteration-")[0] in made
        made.add(given["train_dir"])


def test_weights_are_one_a_member():
    weights = inference_flags("ensemble_locust")["weights"].split(",")
    assert [float(weight) for weight in weights] == [1] * 12
    assert not any(inference_flags(name).get("weights") for name in ("ensemble_ceshine", "ensemble_em"))


def test_the_segments_that_paper_002_drops():
    given = inference_flags("ensemble_ceshine")
    assert (given["skip_head_segments"], given["skip_tail_segments"], given["segment_labels"]) == (6, 2, True)
    assert not any(inference_flags(name).get("skip_head_segments", 0) for name in ("ensemble_em", "ensemble_locust"))


def test_folds_and_steps_are_table_3s_and_4s():
    tuned = [command for command in training_commands("ensemble_ceshine") if command[1].get("stage") == "finetune"]
    steps = {(recipe, given.get("fold", 0)): given["max_steps"] for recipe, given in tuned}
    assert steps == {
        ("agnostic_nextvlad_2", 2): 12000,
        ("agnostic_nextvlad_2", 1): 8000,
        ("agnostic_nextvlad_2", 0): 12000,
        ("agnostic_gated_dbof_3", 2): 8000,
        ("agnostic_gated_dbof_3", 1): 8000,
        ("agnostic_gated_dbof_3", 0): 9000,
        ("aware_dbof_1_with_nextvlad_2", 6): 12000,
        ("aware_dbof_1_with_nextvlad_2", 7): 12000,
        ("aware_dbof_2_with_nextvlad_2", 5): 12000,
        ("aware_nextvlad_2_with_nextvlad_2", 5): 15000,
        ("aware_dbof_3_with_nextvlad_2", 3): 9000,
        ("aware_dbof_3_with_nextvlad_2", 4): 9000,
    }


def test_the_best_ensemble_says_what_trains_its_members_and_leaves_them_the_same_fold():
    given = commands.given("rerank", f"--flagfile={CONFIGS / 'ensemble_best.flags'}")
    text, folders = header("ensemble_best"), given["train_dir"].split(",")
    for part in ("# Source: ", "# Published: none", "# Run:", "# Data: YouTube-8M ", "# Not in the papers: "):
        assert part in text, part
    trained = [(of["train_dir"], of) for _, of in training_commands("ensemble_best")]
    last = dict(trained)  # of each folder its last command
    assert tuple(last[folder]["model"] for folder in folders) == OURS["ensemble_best"]
    assert {(last[folder]["stage"], last[folder]["folds"], last[folder]["fold"]) for folder in folders} == {("finetune", 8, 0)}
    assert last["runs/best/gated_dbof"]["init_checkpoint"] in last
    crossed = [of.get("loss_options") for folder, of in trained if folder in folders[:2]]
    assert crossed == [{"epsilon": 1e-7}] * 4, "as they were measured"
    run = re.search(r"#   yt8m rerank (.*)", text)[1]
    again = commands.given("rerank", *[part.replace("configs/", f"{CONFIGS}/") for part in shlex.split(run)])
    assert {**given, "references": again["references"]}.items() <= again.items() and "data_pattern" in again


def test_the_best_ensemble_hides_no_number():
    """What its flags say is what the command does without them, but for the video's maximum and the candidates."""
    given = commands.given("rerank", f"--flagfile={CONFIGS / 'ensemble_best.flags'}")
    defaults = rankers.options_of(given["method"], {})
    assert given["method_options"] == defaults
    assert (given["candidates"], given["candidates_by"]) == (RerankJob.max_pred, "videos")  # as many as a list has places
    assert (given["video_maximum"], RerankJob.video_maximum) == (1, 0)
    assert (given["nearest_references"], given["top_references"], given["vote_temperature"]) == NEIGHBOURHOOD
