"""Formulas of the pages become MathML: nothing is fetched, and none is left as it is written."""

import re

import pytest
from markdown_commands import PAGES

pytest.importorskip("latex2mathml", reason="the extra docs")

import docs_formulas

BLOCK = re.compile(r"^\$\$(.+?)\$\$$", re.M | re.S)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.S)


def test_a_formula_becomes_mathml():
    page = '<span class="arithmatex">\\(a &lt; \\frac{1}{2}\\)</span>'
    page += '<div class="arithmatex">\\[x^2\\]</div>'
    made = docs_formulas.on_page_content(page)
    assert made.count("<math") == 2
    assert "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>" in made
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in made
    assert 'display="block"' in made and "arithmatex" not in made


def test_every_formula_of_the_docs_converts():
    texts = {page: CODE.sub("", page.read_text(encoding="utf-8")) for page in PAGES}
    formulas = [formula for text in texts.values() for formula in BLOCK.findall(text)]
    formulas += [f for t in texts.values() for f in re.findall(r"(?<!\$)\$([^$\n]+)\$(?!\$)", t)]
    assert len(formulas) >= 8
    for formula in formulas:
        made = docs_formulas.mathml(formula)
        assert made.startswith("<math")
        assert "\\" not in re.sub(r"<annotation.*?</annotation>", "", made), (
            formula
        )  # no command is left over
