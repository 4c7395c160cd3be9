"""Numbers for the prose of a notebook that is rendered with MyST."""

from __future__ import annotations

from typing import Any

import numpy as np


def glue(**values: Any) -> None:
    """Put numbers, fractions and words aside under their names, for the role ``glue:text`` in the text.

    Numbers of numpy become plain ones, or a format after the name would not apply. Whatever is no number is
    put aside as its words: of a `Fraction`, say, with its interval.

    Parameters
    ----------
    values
        By name: numbers, text, or anything with words.

    Raises
    ------
    ImportError
        If myst-nb is not installed; it belongs to the extra "notebook".

    Examples
    --------
    >>> import tms
    >>> tms.glue(n_seeds=100, pentagons=tms.fraction([True, True, False]))
    """
    try:
        from myst_nb import glue as put
    except ImportError as error:
        raise ImportError("tms.glue needs myst-nb; install tms with its extra 'notebook'") from error
    for name, value in values.items():
        plain = value.item() if isinstance(value, np.generic) else value
        put(name, plain if isinstance(plain, (int, float)) else str(plain), display=False)
