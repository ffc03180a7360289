"""Pages show files of the repository, not copies of them."""

import re

from markdown_commands import PAGES, ROOT

INCLUDED = re.compile(r'^--8<-- "(.+)"$')


def test_what_a_page_includes_is_there():
    lines = [line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines()]
    # anything that looks like an include: a formatter once put spaces in, and the page showed the line itself
    wanted = [line for line in lines if re.match(r"\s*-+ ?8 ?<", line)]
    assert len(wanted) >= 4
    for line in wanted:
        include = INCLUDED.match(line)
        assert include, f'{line!r} is not of the form --8<-- "path"'
        assert (ROOT / include[1]).is_file(), f"{include[1]} is not in the repository"
