"""The local report: one HTML file to look at a table, a sweep or a run with, that sends nothing anywhere.

It draws with uPlot (MIT), whose file is in `page/vendor`. It measures nothing: numbers come from
`rlvr.tables`, texts from the samples that runs keep.
"""

from rlvr.report.sources import find_runs
from rlvr.report.write import write_report

__all__ = ["find_runs", "write_report"]
