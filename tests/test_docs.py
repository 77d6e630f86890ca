"""What the pages say of the code is what the code says."""

import importlib.util
import json
import pathlib

import pytest

DOCS = pathlib.Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("make_tables", DOCS / "make_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NAMES = ("recipes", "methods", "localization", "starter")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_what_it_is_made_from(tables, name):
    assert set(tables.TABLES) == set(NAMES)
    assert tables.TABLES[name][0].read_text(encoding="utf-8") == tables.page(name), "run: python docs/make_tables.py"


def test_the_table_of_video_level_models_is_the_log(tables, tmp_path):
    """As benchmarks/video_level.py writes it: a row with a baseline, and one without."""
    values = {"gap": 0.7, "hit_at_one": 0.79, "perr": 0.66, "map": 0.31, "spread": 0.002, "parameters": 22_300_000}
    rows = [
        {"name": "recipe", **values, "baseline": "plain", "gain": 0.0104, "gain_spread": 0.001},
        {"name": "plain", **values, "spread": None, "baseline": ""},
    ]
    (tmp_path / "log.json").write_text(json.dumps({"rows": rows}))
    lines = tables.video_level_table(tmp_path / "log.json").splitlines()
    assert lines[2] == "| recipe | .700 ± .002 | .790 | .660 | .310 | 22.3 M | plain | +.010 ± .001 |"
    assert lines[3] == "| plain | .700 | .790 | .660 | .310 | 22.3 M |  |  |"
