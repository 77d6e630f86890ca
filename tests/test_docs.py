"""What the pages say of the code is what the code says."""

import importlib.util
import json
import pathlib
import re

import pytest

DOCS = pathlib.Path(__file__).parent.parent / "docs"


def script(name):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_table_is_looked_at():
    assert {"recipes", "methods", "audioset", "audioset_published", "localization", "starter", "video_level"} <= set(
        script("make_tables").TABLES
    )


@pytest.mark.parametrize("name", script("make_tables").TABLES)
def test_a_table_is_what_it_is_made_from(name):
    tables = script("make_tables")
    assert tables.TABLES[name][0].read_text(encoding="utf-8") == tables.page(name), "run: python docs/make_tables.py"


def test_the_pictures_of_the_readme():
    """They are there, small, and made by the script."""
    pictures = re.findall(r"!\[[^]]+\]\(docs/pictures/(\w+\.png)\)", (DOCS.parent / "README.md").read_text(encoding="utf-8"))
    assert pictures == ["where.png", "page.png"]
    for name in pictures:
        data = (DOCS / "pictures" / name).read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) < 200_000
        assert f'PICTURES / "{name}"' in (DOCS / "make_pictures.py").read_text(encoding="utf-8")


def test_pictures_without_a_browser(monkeypatch, tmp_path):
    make_pictures = script("make_pictures")
    monkeypatch.setattr(make_pictures.browser, "PROGRAM", None)
    monkeypatch.setattr("sys.argv", ["make_pictures.py", f"--work={tmp_path / 'work'}"])
    with pytest.raises(SystemExit, match="no browser: none of chromium"):
        make_pictures.main()
    assert not (tmp_path / "work").exists()


def test_the_table_of_video_level_models_is_the_log(tmp_path):
    """As benchmarks/video_level.py writes it: a row with a baseline, and one without."""
    values = {"gap": 0.7, "hit_at_one": 0.79, "perr": 0.66, "map": 0.31, "spread": 0.002, "parameters": 22_300_000}
    rows = [
        {"name": "recipe", **values, "baseline": "plain", "gain": 0.0104, "gain_spread": 0.001},
        {"name": "plain", **values, "spread": None, "baseline": ""},
    ]
    (tmp_path / "log.json").write_text(json.dumps({"rows": rows}))
    lines = script("make_tables").video_level_table(tmp_path / "log").splitlines()
    assert lines[2] == "| recipe | .7000 ± .0020 | .790 | .660 | .310 | 22.3 M | plain | +.0104 ± .0010 |"
    assert lines[3] == "| plain | .7000 | .790 | .660 | .310 | 22.3 M |  |  |"
