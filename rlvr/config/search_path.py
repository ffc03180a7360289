"""Where Hydra looks for config groups after `conf/`: the plug-ins' folders, and those of `--config-dir`.

A search-path plug-in of Hydra's, imported when something is composed, since Hydra takes a while.
"""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from rlvr.config import plugins
from rlvr.config.compose import CONFIG_DIRS


class ConfigFolders(SearchPathPlugin):
    """What `conf/` is followed by."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in plugins.config_folders():
            search_path.append("rlvr.plugins", f"file://{folder.resolve()}")
        for folder in CONFIG_DIRS:
            search_path.append("command-line", f"file://{folder.resolve()}")


def register() -> None:
    """Have Hydra ask `ConfigFolders` whenever it is initialised; once or often is the same."""
    Plugins.instance().register(ConfigFolders)
