"""A model as C: one header and one source without dependencies.

`export` writes the files. `vectors`, `windows`, `cells` and `normalized_cells` print operations of
:mod:`gatewise.layers.step_ops`; each puts the function of an operation, its weights and its state
on a `sheet`. `program` makes a program of the sheets; `helpers` has the C functions that they call.
"""
