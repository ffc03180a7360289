"""Tables and figures, made of the files that runs leave behind and nothing else."""

from rlvr.tables.claims_page import write_claims
from rlvr.tables.report import write_table
from rlvr.tables.spec import check_spec, read_spec

__all__ = ["check_spec", "read_spec", "write_claims", "write_table"]
