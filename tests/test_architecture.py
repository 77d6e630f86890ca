"""Imports point one way (CONTRIBUTING.md, "The house")."""

import ast
import graphlib
import pathlib

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "yt8m"
LEVELS = [
    {"errors"},
    {"arrays", "backend", "commands", "files", "folders", "intervals", "jsonfiles", "progress", "saving", "segments"},
    {"registry", "config", "plots"},
    {"flags"},
    {"metrics"},
    {"layers", "losses", "readers"},
    {"features"},
    {"base_model"},
    {"video_level_models"},
    {"frame_level_models"},
    {"models"},
    {"sample"},
    {"training"},
    {"stages"},
    {"recipes"},
    {"scoring"},
    {"comparisons", "ensembles", "export", "pseudo_labels", "sharing", "timelines"},
    {"reranking"},
    {"api"},
    {"cli"},
    {"doors"},
]
RANK = {name: rank for rank, names in enumerate(LEVELS) for name in names}
DOORS = sorted(path for path in ROOT.glob("*.py") if path.name != "setup.py")


def room(path):
    """The room that a file belongs to, None for the package's own __init__.py, whose names are loaded when they are used."""
    if path in DOORS:
        return "doors"
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return None if name == "__init__" else name


def imported(path):
    """Rooms of yt8m that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "yt8m":
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("yt8m."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("yt8m."))


def files_imported(path):
    """Files of yt8m that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "yt8m":
            yield from (file_of(f"{node.module}.{name.name}") or file_of(node.module) for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (file_of(name.name) for name in node.names if name.name.split(".")[0] == "yt8m")


def file_of(module):
    """The file of a module or a package by its dotted name, or None where there is none."""
    place = ROOT.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.exists()), None)


def modules(path):
    """Top-level names of the packages that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)


def test_imports_point_one_way():
    wrong, seen = [], 0
    for path in [*PACKAGE.rglob("*.py"), *DOORS]:
        own = room(path)
        if own is None:
            continue
        for other in imported(path):
            seen += 1
            if RANK[other] > RANK[own] or (RANK[other] == RANK[own] and other != own):
                wrong.append(f"{path.relative_to(ROOT)} imports yt8m.{other}")
    assert not wrong
    assert seen > 50 and len(DOORS) >= 7


def test_no_file_needs_itself():
    """Without the package's own __init__.py, whose names are loaded when they are used."""
    own = PACKAGE / "__init__.py"
    graph = {path: set(files_imported(path)) - {own} for path in PACKAGE.rglob("*.py") if path != own}
    assert sum(map(len, graph.values())) > 500
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the files of a circle


def test_every_room_has_a_floor():
    rooms = {room(path) for path in PACKAGE.rglob("*.py")} - {None}
    assert rooms | {"doors"} == set(RANK)


def test_doors_only_open_the_cli():
    for path in DOORS:
        assert set(imported(path)) == {"cli"}
        assert len(path.read_text().splitlines()) < 25


def test_only_cli_knows_the_command_line():
    for path in PACKAGE.rglob("*.py"):
        knows = {"absl", "argparse"} & set(modules(path)) or "sys.argv" in path.read_text()
        assert room(path) == "cli" or not knows, path
