"""An attack on rlvr that can be repeated: `python -m tests.attack [section ...]`.

Each section makes odd or damaged input by the hundred, gives it to the real commands, and counts what
happens. What must never happen: a wrong number without a word (`silent`), a traceback, a hang, a wrong answer
judged right.
"""
