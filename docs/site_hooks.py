"""What the site has beside the pages of docs/: the README as its front page, and the reference, a page a room of the package."""

import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "yt8m"
OF_THE_ROOT = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
FILES = ("LICENSE", "CITATION.cff")
BADGE = "[![CI](../../actions/workflows/ci.yml/badge.svg)](../../actions/workflows/ci.yml)\n"  # leads out of the repository
LEFT_OUT = ("cli",)  # its flags are told by --help


def on_files(files, config):
    """Adds the pages that are made."""
    pages = {name: (ROOT / name).read_text(encoding="utf-8") for name in OF_THE_ROOT}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages["index.md"] = readme.replace(BADGE, "")
    rooms = reference()
    pages |= rooms
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    for name in FILES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    next(entry for entry in config.nav if "Python" in entry)["Python"].append({"Reference": list(rooms)})
    return files


def on_page_markdown(markdown, page, config, files):
    """Links between the root of the repository and docs/ as links of the site."""
    if page.file.src_uri == "index.md" or page.file.src_uri in OF_THE_ROOT:
        return re.sub(r"\]\(docs/([^)]*)\)", lambda link: f"]({link[1] or 'training.md'})", markdown)
    return re.sub(r"\]\(\.\./(" + "|".join(map(re.escape, (*OF_THE_ROOT, *FILES))) + r")\)", r"](\1)", markdown)


def reference():
    """{page: Markdown} of the reference: the docstrings of all modules, a page a room."""
    pages = {}
    for path in sorted(PACKAGE.iterdir()):
        room = path.stem
        modules = sorted(path.rglob("*.py")) if path.is_dir() else [path] * (path.suffix == ".py")
        if not modules or room in LEFT_OUT or path.name == "__init__.py":
            continue
        names = [".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for module in modules]
        pages[f"reference/{room}.md"] = "\n\n".join([f"# {room}", *(f"::: {name}" for name in names)]) + "\n"
    return pages
