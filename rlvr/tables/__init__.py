"""Tables and figures, made of the files that runs leave behind and nothing else.

`spec` reads a table's file, `page` assembles the table from runs, `write` renders it to files; importing
this package imports none of them.
"""
