"""Build the book: stage, execute, render, publish.

``python -m book._tools build`` is what ``make book`` runs. The steps, one module each:

* ``layout``    where things lie, and which pages there are
* ``chapters``  what a chapter is, and the hash that decides whether it runs again
* ``execute``   run chapters with papermill, several at once
* ``claims``    the register: whether the evidence carries the verdicts
* ``figure_data``, ``data_files``, ``data_links``  what each figure shows, as a file that its caption links to
* ``assets``    the scripts that pages load, from npm
* ``render``    stage the pages and turn them into HTML with jupyter-book
* ``pages``     the register on the pages (a Sphinx extension)
* ``publish``   put a complete site in place, and only a complete one
* ``build``     the steps in order

Beside them: ``format`` (the layout of the code in chapters), ``numbers`` (results typed into prose),
``export`` (notebooks for Colab), ``picture`` (the README's).
"""
