from voxgen.models.layers.acceleration import accelerate, compile_blocks

__all__ = ["accelerate", "compile_blocks"]
