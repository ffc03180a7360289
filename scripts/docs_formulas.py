"""A hook of MkDocs (mkdocs.yml): formulas between dollars become MathML, which browsers typeset themselves.

Nothing is fetched and no script runs in the page. GitHub typesets the same dollars in the Markdown files.
"""

import html
import re
from typing import Any

from latex2mathml.converter import convert

# what pymdownx.arithmatex leaves of $...$ and of $$...$$
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.S)


def on_page_content(content: str, **_: Any) -> str:
    """A page's HTML, with its formulas as MathML."""
    return FORMULA.sub(lambda found: mathml(found[3], display=found[2] == "["), content)


def mathml(formula: str, *, display: bool = False) -> str:
    """A formula in LaTeX as MathML, in a paragraph of its own for `display`."""
    written = convert(html.unescape(formula).strip(), display="block" if display else "inline")
    return f'<p class="formula">{written}</p>' if display else written
