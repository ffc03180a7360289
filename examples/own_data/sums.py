"""Writes questions.jsonl and held-out.jsonl: 200 and 40 sums of three digits, for the policy that ships."""

import itertools
import json
import random

digits = list(itertools.product(range(1, 10), repeat=3))
random.Random(7).shuffle(digits)
rows = [{"problem": f"compute {a} + {b} - {c}", "answer": str(a + b - c)} for a, b, c in digits if a + b >= c]
for name, part in (("questions", rows[:200]), ("held-out", rows[200:240])):
    with open(f"{name}.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in part)
