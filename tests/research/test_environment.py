import pytest

from research import environment


@pytest.mark.parametrize(
    ("flags", "units"),
    [
        ("fpu avx512_bf16 amx_bf16", "matrix units"),
        ("fpu avx512_bf16", "vector units"),
        ("fpu avx512f", "none: slower than float32"),
        ("", "unknown"),
    ],
)
def test_units_for_bfloat16_are_told_by_the_flags(monkeypatch, flags, units):
    told = {"flags": flags}
    monkeypatch.setattr(environment, "_entry", lambda name: told.get(name, ""))
    assert environment.bfloat16_units() == units
