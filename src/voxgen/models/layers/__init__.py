from voxgen.models.layers.computing import compile_blocks, lay_out, recompute_blocks

__all__ = ["compile_blocks", "lay_out", "recompute_blocks"]
