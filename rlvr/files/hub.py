"""Is a server within reach? Asked once, so that a machine without a network is told so at once."""

import urllib.error
import urllib.request
from functools import cache


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
