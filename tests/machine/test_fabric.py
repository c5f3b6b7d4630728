"""The machine's choices."""

import pytest
import torch

from voxgen.machine.fabric import fastest


@pytest.mark.parametrize(
    ("has_bf16", "torchs", "onednns", "chosen"),
    [
        (True, "AVX512", None, "bf16"),
        (True, "AVX512", "AVX512_CORE_BF16", "bf16"),
        (True, "AVX512", "ALL", "bf16"),
        (True, "AVX512", "AVX2", "fp32"),
        (True, "AVX512", "avx512_core", "fp32"),
        (True, "AVX2", None, "fp32"),
        (True, "DEFAULT", None, "fp32"),
        (False, "AVX512", None, "fp32"),
    ],
)
def test_a_cpu_computes_in_bf16_where_torch_and_onednn_use_it(
    has_bf16: bool, torchs: str, onednns: str | None, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_bf16)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: torchs)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if onednns is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", onednns)
    assert fastest("cpu") == chosen
