"""Imports point one way (CONTRIBUTING.md, "The house")."""

import ast
import pathlib

PACKAGE = pathlib.Path(__file__).parent.parent / "yt8m"
LEVELS = [
    {"errors"},
    {"files", "segments"},
    {"registry", "config", "plots", "command_line"},
    {"metrics"},
    {"layers", "losses", "readers"},
    {"base_model"},
    {"video_level_models"},
    {"frame_level_models"},
    {"models"},
    {"sample"},
    {"training"},
    {"stages"},
    {"scoring"},
    {"ensembles", "export", "pseudo_labels"},
    {"flags"},
]
RANK = {name: rank for rank, names in enumerate(LEVELS) for name in names}


def imported(path):
    """Rooms of yt8m that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "yt8m":
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("yt8m."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("yt8m."))


def test_imports_point_one_way():
    wrong, seen = [], 0
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for other in imported(path):
            seen += 1
            if RANK[other] > RANK[room] or (RANK[other] == RANK[room] and other != room):
                wrong.append(f"{path.relative_to(PACKAGE)} imports yt8m.{other}")
    assert not wrong
    assert seen > 50


def test_only_flags_knows_absl():
    users = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if "absl" in path.read_text()}
    assert users <= {"flags.py", "sample/sample.py"}
