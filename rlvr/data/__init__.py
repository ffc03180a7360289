"""The nouns of rlvr, in the order data meets them: what is asked, what was answered, what was found.

A `Problem` is asked; the policy's `Completion`s of it make a `Group`; verification gives each a `Verdict`.
This room imports nothing else of rlvr.
"""

from rlvr.data.group import Completion, Group
from rlvr.data.problem import Problem
from rlvr.data.verdict import UNSCORABLE, Verdict

__all__ = ["UNSCORABLE", "Completion", "Group", "Problem", "Verdict"]
