"""Tables and figures, made of the files that runs leave behind and nothing else."""

from importlib import import_module
from typing import Any

HOMES = {"check_spec": "spec", "read_spec": "spec", "write_claims": "claims_page", "write_table": "report"}
__all__ = ["check_spec", "read_spec", "write_claims", "write_table"]


def __getattr__(name: str) -> Any:
    """Import what is asked for: a table's name and layout are read without pandas and torch."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
