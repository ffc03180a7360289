"""The same algorithms on verl 0.9, for many nodes.

`launch` turns a composed config into files and verl's own command; `plugin` is what verl's processes load.
Modules that import verl are `plugin`, `losses`, `reward` and `trainer`; the others run without it.
A full run needs GPUs, vLLM and verl: it has not been made here. docs/verl.md says what has been tested.
"""
