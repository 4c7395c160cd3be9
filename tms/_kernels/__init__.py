"""The compiled pieces of the fused engine.

Small functions: draw samples (`_sample`), activations, loss and gradient of a tile of samples (`_network`,
with the products in `_vector` and the functions in `_special`), update (`_update`), put together into one
loop (`_loop`). Only the dtype is compiled twice; everything else is decided while running, once for a tile.
"""
