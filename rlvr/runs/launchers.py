"""Around Hydra's launchers and sweepers: the processes they keep, and what goes wrong in them, said."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rlvr.errors import UserError


@contextmanager
def plugins_as_sentences() -> Iterator[None]:
    """What launchers and sweepers lack on this machine, in a sentence with what to do."""
    try:
        yield
    except ImportError as error:  # a plug-in of Hydra's imports its own package when it is made
        reason = " ".join(str(error).split("IS THE PLUGIN")[0].split())
        package = "rlvr[ray]" if error.name == "ray" else error.name
        missing = f": `pip install '{package}'`"
        advice = missing if package else "; install the plug-in again, with what it asks for"
        raise UserError(f"{reason}{advice}") from error
    except RuntimeError as error:
        if "srun" not in str(error):
            raise
        raise UserError(
            "cluster=slurm: there is no srun here, so this is no login node of a SLURM cluster; accepted are "
            "cluster=local and cluster=ray"
        ) from error


_worked_for: tuple[str, dict[str, str]] | None = None  # the folder and environment of the last sweep here


def end_workers_of_elsewhere() -> None:
    """End the processes that joblib keeps for the next sweep, unless that is from the same place.

    They would run it in the folder, and with the environment variables, that they were started with.
    """
    global _worked_for
    from joblib.externals.loky import get_reusable_executor

    if _worked_for != (here := (os.getcwd(), dict(os.environ))):
        get_reusable_executor().shutdown(wait=True)
    _worked_for = here


class LostJob(Exception):
    """A scheduler's job that ended without a result: cancelled, killed for memory, or of a lost node."""


@contextmanager
def lost_jobs_as_failures(launcher: str) -> Iterator[None]:
    """In the block a job that submitit lost is one that failed, among the results of the others.

    submitit raises for it, and Hydra's launcher asks for one result after the other: what comes after a lost
    job would go on without anyone who waits for it.

    Args:
        launcher: Hydra's `_target_`.
    """
    if "submitit" not in launcher:
        yield
        return
    from hydra.core.utils import JobReturn, JobStatus
    from submitit.core.core import Job
    from submitit.core.utils import FailedJobError, UncompletedJobError

    results = Job.results

    def results_or_failure(job: Job) -> list:
        try:
            return results(job)
        except (FailedJobError, UncompletedJobError):
            lost = LostJob(f"job {job.job_id} was lost ({job.state}), its log is {job.paths.stderr}")
            return [JobReturn(status=JobStatus.FAILED, _return_value=lost)]

    Job.results = results_or_failure
    try:
        yield
    finally:
        Job.results = results
