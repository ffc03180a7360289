"""Tables and figures, made of the files that runs leave behind and nothing else.

Importing this package imports none of its modules. The road through them, from runs to files:

    what a table is    `spec`; `names` and `read_spec` find and read one, `adhoc` makes one of any runs
    which runs         `runs`; what tells them apart is in `settings`
    numbers            `collect` has pass@k; `effort`, `measures`, `delta_nll`, `graded`, `frontier` and
                       `rates` have the rest, each as a `part`
    the page           `page` puts all together, `panels` has the text of pass@k, `figures`,
                       `sweep_figures` and `training_figures` draw, `published` has the papers' numbers
    files              `write`; `terminal` prints the averages

A paper's claims go from `claims_file` over `claims`, which tries them, to `claims_page`; `declared` has
their dates. `assumptions` is what a plan takes for granted, `toy_tree` the page of one simulation.
"""
