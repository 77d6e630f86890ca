"""The files that hosts read: CITATION.cff and the workflow of hosted CI say what the project is."""

import re

import pytest

import yt8m
from tests.commands import ROOT

yaml = pytest.importorskip("yaml", reason="pip install -e '.[test]'")
# Of the schema of the Citation File Format 1.2.0: the keys used here.
KEYS = {"cff-version", "message", "title", "type", "version", "license", "abstract", "keywords", "authors", "references"}
OF_A_REFERENCE = {"type", "title", "authors", "collection-title", "year", "repository-code", "notes", "institution"}
OF_AN_AUTHOR = ({"family-names", "given-names"}, {"name"})


def read(*path):
    return yaml.safe_load(ROOT.joinpath(*path).read_text(encoding="utf-8"))


def test_the_citation():
    """What the schema asks for is there, the version is the package's, and every model's paper is cited."""
    citation = read("CITATION.cff")
    assert set(citation) == KEYS and citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert citation["version"] == yt8m.__version__ and citation["license"] == "Apache-2.0"
    papers = citation["references"]
    assert len(papers) == 4
    for entry in papers:
        assert set(entry) <= OF_A_REFERENCE and {"type", "title", "authors"} <= set(entry)
        assert entry["type"] in ("conference-paper", "report") and entry.get("year", 2019) == 2019
    for author in [*citation["authors"], *(author for entry in papers for author in entry["authors"])]:
        assert set(author) in OF_AN_AUTHOR and all(author.values())
    cited = " ".join(entry["notes"] for entry in papers)
    assert all(f"{number:03}" in cited for number in range(5))
    assert set(re.findall(r"\w+Model\b", cited)) <= set(yt8m.model_names())


def test_the_workflow():
    """Hosted CI runs .ci/run on every Python that the package is for."""
    jobs = read(".github", "workflows", "ci.yml")["jobs"]
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert jobs["checks"]["strategy"]["matrix"]["python"] == re.findall(r"Python :: (3\.\d+)", setup)
    assert jobs["checks"]["steps"][-1]["run"] == "bash .ci/run"
    install, build = (step["run"] for step in jobs["docs"]["steps"][-2:])
    (wanted,) = re.findall(r'"docs": \[(.*)\]', setup)
    assert install == f"python -m pip install {wanted.replace(', ', ' ')}"
    assert build == "mkdocs build --strict" and "mkdocs build --strict" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
