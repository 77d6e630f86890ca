"""docs/tour.ipynb runs top to bottom, and is kept without outputs."""

import pytest

from tests.commands import ROOT

nbformat = pytest.importorskip("nbformat", reason="pip install -e '.[test]'")
nbclient = pytest.importorskip("nbclient", reason="pip install -e '.[test]'")
TOUR = ROOT / "docs" / "tour.ipynb"


@pytest.mark.slow
def test_the_tour(tmp_path, monkeypatch):
    """With few steps of small models; what it shows is what it should."""
    notebook = nbformat.read(TOUR, 4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    for name, value in {"YT8M_TOUR_QUICK": "1", "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [output for cell in cells for output in cell.outputs]
    assert "error" not in {output.output_type for output in shown}
    kinds = [kind for output in shown for kind in output.get("data", {})]
    assert kinds.count("image/png") == 1
    pages = [output.data["text/html"] for output in shown if "text/html" in output.get("data", {})]
    assert sum("where it is there" in page for page in pages) == 2
    text = "".join(output.get("text", "") for output in shown) + "".join(pages)
    assert "ceiling" in text and "video,class,name,start,end,score,peak" in text
