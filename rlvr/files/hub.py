"""Is a server within reach? Asked once, so that a machine without a network is told so at once."""

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from rlvr.errors import NotHere, UserError
from rlvr.files.atomic import write_whole


@cache
def reachable(address: str | None = None) -> bool:
    """Whether anything answers at an address, by default the hub's, within five seconds.

    The hub's own client tries for a minute.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        request = urllib.request.Request(address or constants.ENDPOINT, method="HEAD")
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError:
        return True  # even a refusal is an answer
    except OSError:
        return False
    return True


# what a data file is given as
PATH_KEY = "data.path= (or data.parts.<its name>.path=, of a benchmark benchmark.tasks.<its name>.path=)"


def download(address: str, name: str | None = None) -> Path:
    """A file from the web. Kept on this machine where the address names a commit; else fetched each time.

    Args:
        name: of the file in a folder of data files (`data.root`), without its suffixes; None where it is not
            looked for there.

    Raises:
        UserError: when it can't be had; says the command that fetches it. `NotHere` without a network.
    """
    from huggingface_hub import constants

    digest = hashlib.blake2b(address.encode(), digest_size=8).hexdigest()
    file = Path(constants.HF_HOME) / "rlvr" / "files" / digest / Path(urlsplit(address).path).name
    if re.search(r"/[0-9a-f]{40}/", address) and file.exists():
        return file
    kept_as = f"{name}{''.join(file.suffixes)}" if name else file.name
    or_folder = ", or its folder as data.root=" if name else ""
    advice = (
        f"fetch it where there is a network with `curl -L -o {kept_as} {address}`, and give it "
        f"as {PATH_KEY}{or_folder}"
    )
    if not reachable(address):
        raise NotHere(f"{file.name} is not on this machine and can't be reached: {advice}")
    try:
        with urllib.request.urlopen(address, timeout=60) as response:
            content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise UserError(f"{address} can't be fetched ({error}): {advice}") from error
    write_whole(file, content)
    return file
