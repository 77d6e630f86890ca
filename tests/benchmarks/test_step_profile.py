"""benchmarks/step_profile.py: the kinds of operations, and what a row makes of their times."""

import importlib
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def step_profile(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setitem(sys.modules, "report", importlib.import_module("report"))
    return importlib.import_module("step_profile")


@pytest.mark.parametrize(
    "kind, operations",
    [
        ("products", ("MatMul", "_MklMatMul", "_MklEinsum", "_MklNativeFusedMatMul", "BatchMatMulV2")),
        ("update", ("ResourceApplyAdam",)),
        ("draws", ("StatelessRandomUniformV2",)),
        ("copies", ("Cast", "ConcatV2", "_MklTranspose")),
        ("passes", ("Mul", "Sum", "TanhGrad")),
    ],
)
def test_kinds(step_profile, kind, operations):
    assert {step_profile.kind_of(operation) for operation in operations} == {kind}


def test_a_row_shares_out_the_time_of_all_operations(step_profile):
    milliseconds = {"_MklMatMul": 50.0, "Mul": 30.0, "Cast": 15.0, "ResourceApplyAdam": 5.0}
    row = step_profile.row_of("M", "float32", {"milliseconds": milliseconds, "rate": 1e9, "operations": 4e7})
    assert row["value"] == 100 and sum(row["shares"].values()) == pytest.approx(1)
    assert (row["shares"]["products"], row["shares"]["passes"], row["shares"]["draws"]) == (0.5, 0.3, 0)
    assert row["product_rate"] == pytest.approx(0.8)  # 40 ms at the matrix rate
    assert list(row["longest"]) == ["Mul", "Cast", "ResourceApplyAdam"]
