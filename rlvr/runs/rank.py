"""What torchrun starts once a GPU: a process's share of the run that the variable RLVR_RUN holds."""

import json
import os
import sys

from omegaconf import OmegaConf

from rlvr.config import check
from rlvr.errors import UserError, printable
from rlvr.runs.start import Start


def main() -> None:
    from rlvr.runs.run import run

    what = json.loads(os.environ["RLVR_RUN"])
    try:
        run(check(OmegaConf.create(what["config"])), Start(**what["start"]))
    except UserError as error:
        print(f"rlvr: {printable(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
