"""The names that MONAI's networks have had for their parameters, brought to the present ones, which are ours.

- Attention of monai-generative (0.2.1 to 0.2.3): `to_q`, `to_k`, `to_v` and `proj_attn` in the block itself.
  Its blocks never apply `proj_attn`, so the identity takes that place.
- Attention of MONAI: the same below `attn`, with `out_proj`; without it where `include_fc` is off, which is
  the identity too; and all three in `qkv` where `use_combined_linear` is on.
- The convolution after upsampling: `conv` of monai-generative is `postconv`.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

UPSAMPLED = re.compile(r"^(decoder\.blocks\.\d+|up_blocks\.\d+\.upsampler)\.conv\.(?=conv\.)")


def in_our_names(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """The weights under the names of voxgen's networks, and how many tensors of `proj_attn` were left out."""
    ours, unused = dict[str, Tensor](), 0
    for name, tensor in weights.items():
        place, _, kind = name.rpartition(".")
        block, _, layer = place.rpartition(".")
        of_old_attention = f"{block}.norm.weight" in weights and f"{block}.to_q.weight" in weights
        if of_old_attention and layer == "proj_attn":
            unused += 1
        elif of_old_attention and layer in ("to_q", "to_k", "to_v"):
            ours[f"{block}.attn.{layer}.{kind}"] = tensor
        elif layer == "qkv":
            thirds = zip("qkv", tensor.chunk(3), strict=False)
            ours |= {f"{block}.to_{each}.{kind}": third for each, third in thirds}
        else:
            ours[UPSAMPLED.sub(r"\1.postconv.", name)] = tensor
    return ours | _identities(ours), unused


def _identities(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Projections after attention that change nothing, where no block has one."""
    if any(name.endswith(".attn.out_proj.weight") for name in ours):
        return {}
    made = dict[str, Tensor]()
    for name, tensor in ours.items():
        if name.endswith(".attn.to_q.weight"):
            projection = name.replace(".to_q.weight", ".out_proj")
            made[f"{projection}.weight"] = torch.eye(len(tensor))
            made[f"{projection}.bias"] = torch.zeros(len(tensor))
    return made
