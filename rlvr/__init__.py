"""rlvr: experiments in reinforcement learning with verifiable rewards."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlvr.api import Run, UserError, evaluate, load_run, train

__version__ = "0.1.0"
__all__ = ["Run", "UserError", "__version__", "evaluate", "load_run", "train"]


def __getattr__(name: str) -> Any:
    """`rlvr.train` and the like, imported when they are first asked for: `import rlvr` takes no time."""
    if name in __all__:
        import warnings

        warnings.filterwarnings("ignore", message="IProgress not found")  # no bar of rlvr's is a widget
        from rlvr import api

        return getattr(api, name)
    raise AttributeError(f"module 'rlvr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
