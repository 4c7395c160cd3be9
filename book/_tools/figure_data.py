"""What a matplotlib figure shows, as a table: one row for every point, bar, cell or arrow.

``to_csv(figure)`` walks the axes and writes down what was drawn, in the units of the axes and to the last
digit. Left out is what holds no data: ticks, grids, legends, texts, frames, what is hidden, and what was
placed by hand somewhere on the page. The columns are explained to readers on the page *Notation*.

The kernels that run the chapters load this file by its path, so it imports nothing of the book.
"""

import csv
import functools
import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import artist as martist
from matplotlib import axis as maxis
from matplotlib import (
    collections,
    colors,
    container,
    contour,
    image,
    legend,
    lines,
    offsetbox,
    patches,
    quiver,
    spines,
    table,
    text,
    ticker,
)
from matplotlib import path as mpath
from matplotlib.axes import Axes
from matplotlib.category import StrCategoryFormatter
from matplotlib.figure import Figure
from matplotlib.transforms import BlendedAffine2D, BlendedGenericTransform, Transform

Row = dict[str, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

#: Columns of every table, and those that are there only where a figure has something to put in.
COLUMNS = ("panel", "title", "x_label", "y_label", "kind", "series", "color", "point", "x", "y")
EXTRA = (
    *("z", "z_label", "part", "x_end", "y_end", "x_low", "x_high", "y_low", "y_high", "length"),
    *("value", "value_low", "value_high", "value_label", "size", "x_name", "y_name"),
)

PLACES = ("x", "y", "z", "x_low", "y_low")

# Artists that carry no data.
DECORATION = (
    *(text.Text, table.Table, legend.Legend, offsetbox.OffsetBox, maxis.Axis, spines.Spine, Axes),
    quiver.QuiverKey,
)


def to_csv(figure: Figure) -> str | None:
    """The table as text, with a line of headings; None if the figure shows no data.

    Raises:
        TypeError: something was drawn of which is not known what its data are.
    """
    found = rows(figure)
    if not found:
        return None
    used = set().union(*found)
    columns = [*COLUMNS, *(column for column in EXTRA if column in used)]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_written(row.get(column)) for column in columns] for row in found)
    return file.getvalue()


def rows(figure: Figure) -> list[Row]:
    """The rows of the table, each a mapping from column to value; what a row does not have is not in it."""
    result: list[Row] = []
    panels: dict[Axes, int] = {}
    shown = list(_axes(figure.axes))
    value_labels = _value_labels(figure)
    for ax in shown:
        drawn = [_clean(row) for row in _of_axes(ax, value_labels)]
        if not drawn:
            continue
        # Two axes on top of each other, with two scales, are one panel.
        twins = _private(ax, "_twinned_axes").get_siblings(ax)
        number = next((panels[twin] for twin in twins if twin in panels), len({*panels.values()}) + 1)
        panels[ax] = number
        head: Row = {"panel": number, "title": _title(ax)}
        for name in _private(ax, "_axis_names"):
            head[f"{name}_label"] = _label(ax, name, shown)
        names = {name: _names(getattr(ax, f"{name}axis")) for name in ("x", "y")}
        for row in drawn:
            named = {f"{name}_name": find(row[name]) for name, find in names.items() if find and name in row}
            result.append({**_clean(head), **row, **_clean(named)})
    return sorted(result, key=lambda row: row["panel"])


def _axes(given: Sequence[Any]) -> Iterator[Axes]:
    """All axes that are to be seen, those inside others as well, without those of colour bars."""
    for ax in given:
        if ax.get_visible() and not hasattr(ax, "_colorbar"):
            yield ax
            yield from _axes(ax.child_axes)


def _of_axes(ax: Axes, value_labels: Mapping[Axes, str]) -> Iterator[Row]:
    """What is drawn on one axes, in the order in which it was drawn."""
    member_of = {id(part): group for group in ax.containers for part in _parts(group)}
    labelled = _labelled(ax)
    done: set[int] = set()
    found: list[tuple[str, str, list[Row]]] = []
    for child in ax.get_children():
        one: Any = member_of.get(id(child), child)
        if one is ax.patch or id(one) in done:
            continue
        done.add(id(one))
        if one is not child:
            drawn = list(_container(one, ax))
        else:
            drawn = list(_artist(one, ax)) if one.get_visible() else []
        if not any(np.isfinite(row.get(key, np.nan)) for row in drawn for key in PLACES):
            continue  # nothing, or something without a place, which stands there for the legend
        series = _own_label(one) or labelled.get(_look(one), f"#{len(found) + 1}")
        bar = getattr(child, "colorbar", None)
        found.append((series, value_labels.get(bar.ax if bar else ax, ""), drawn))
    alike = Counter((series, drawn[0]["kind"]) for series, _, drawn in found)
    before: Counter[tuple[str, str]] = Counter()
    for series, value_label, drawn in found:
        key = series, drawn[0]["kind"]
        # Stretches of one artist are counted already.
        part = {"part": before[key]} if alike[key] > 1 and "part" not in drawn[0] else {}
        before[key] += 1
        for row in drawn:
            has_value = "value" in row or "value_low" in row
            yield {"series": series, **part, **row, **({"value_label": value_label} if has_value else {})}


def _own_label(one: Any) -> str:
    label = _line_up(str(one.get_label()))
    return "" if label.startswith("_") else label


def _labelled(ax: Axes) -> dict[tuple[Any, ...], str]:
    """What the legend says of lines, by their look: of several that look alike, often one has the label."""
    found: dict[tuple[Any, ...], set[str]] = {}
    for one in (*ax.lines, *ax.containers):
        label, look = _own_label(one), _look(one)
        if look and label:
            found.setdefault(look, set()).add(label)
    return {look: labels.pop() for look, labels in found.items() if len(labels) == 1}


def _look(one: Any) -> tuple[Any, ...]:
    """By what readers tell a line from others; nothing if it is no line."""
    if isinstance(one, container.ErrorbarContainer):
        one = one.lines[0]
    if not isinstance(one, lines.Line2D) or one.axes is None or one.get_transform() is not one.axes.transData:
        return ()
    stroke = (one.get_linewidth(), str(vars(one)["_unscaled_dash_pattern"]))
    marks = (str(one.get_marker()), colors.to_rgba(one.get_markerfacecolor()))
    return (*_line_look(one), *stroke, *marks)


# ------------------------------------------------------------------ kinds of artists


def _artist(one: martist.Artist, ax: Axes) -> Iterator[Row]:
    """The rows of one artist.

    Raises:
        TypeError: it is of no known kind.
    """
    if isinstance(one, text.Annotation):
        yield from _annotation(one, ax)
    elif isinstance(one, DECORATION) or type(one).__name__ == "InsetIndicator":
        return
    elif ax.name == "3d":
        yield from _in_space(one)
    elif isinstance(one, lines.Line2D):
        yield from _line(one, ax)
    elif isinstance(one, patches.Patch):
        yield from _patch(one, ax)
    elif isinstance(one, collections.Collection):
        yield from _collection(one, ax)
    elif type(one) is image.AxesImage:
        yield from _image(one, ax)
    else:
        raise _unknown(one)


def _unknown(one: object) -> TypeError:
    return TypeError(f"it is not known what the data of a {type(one).__name__} are; see figure_data.py")


def _line(line: Any, ax: Axes) -> Iterator[Row]:
    kind, color = _line_look(line)
    if not kind:
        return
    head = {"kind": kind, "color": color}
    if isinstance(line, lines.AxLine):
        (x, y), slope = np.asarray(line.get_xy1()), line.get_slope()
        other = line.get_xy2() if slope is None else (x + 1, y + slope)
        yield from _points(np.array([(x, y), other], float), {**head, "kind": "endless line"})
        return
    placed = _placed(line.get_xydata(), line.get_transform(), ax)
    if placed is None:
        return
    # From one side of the panel to the other, or a given part of the way.
    if np.isnan(placed[:, 0]).all() and _is_constant(placed[:, 1]):
        yield from _points(placed[:1], {**head, "kind": "horizontal line"})
    elif np.isnan(placed[:, 1]).all() and _is_constant(placed[:, 0]):
        yield from _points(placed[:1], {**head, "kind": "vertical line"})
    else:
        yield from _points(placed, head)


def _line_look(line: lines.Line2D) -> tuple[str, str]:
    """Whether a line or only its points are drawn, and the colour; an empty kind if neither."""
    has_line = line.get_linestyle() not in ("None", "none", " ", "") and line.get_linewidth() > 0
    has_points = str(line.get_marker()) not in ("None", "none", " ", "")
    if has_line:
        return "line", _hex(line.get_color())
    face = line.get_markerfacecolor()
    empty = isinstance(face, str) and face.lower() == "none"
    return ("points", _hex(line.get_markeredgecolor() if empty else face)) if has_points else ("", "")


def _annotation(note: text.Annotation, ax: Axes) -> Iterator[Row]:
    """The arrow from a note to a place. Without an arrow, or from no place of the axes, it is a text."""
    arrow, inside = note.arrow_patch, ("data", ax.transData)
    if arrow is None or note.xycoords not in inside or note.anncoords not in inside:
        return
    (x, y), (x_end, y_end) = note.xyann, note.xy
    color = _hex(arrow.get_edgecolor())
    yield {"kind": "arrow", "color": color, "point": 0, "x": x, "y": y, "x_end": x_end, "y_end": y_end}


def _patch(patch: Any, ax: Axes) -> Iterator[Row]:
    transform = patch.get_data_transform()
    head: Row = {"color": _patch_color(patch)}
    if isinstance(patch, patches.ConnectionPatch):
        if patch.coords1 == patch.coords2 == "data":
            yield from _arrows([patch.xy1], [patch.xy2], head)
    elif getattr(patch, "_posA_posB", None) is not None:
        ends = _placed(patch._posA_posB, patch.get_transform(), ax)
        if ends is not None:
            yield from _arrows(ends[:1], ends[1:], head)
    elif isinstance(patch, patches.FancyArrow):
        x, y, dx, dy = (getattr(patch, f"_{name}") for name in ("x", "y", "dx", "dy"))
        ends = _placed([(x, y), (x + dx, y + dy)], transform, ax)
        if ends is not None:
            yield from _arrows(ends[:1], ends[1:], head)
    elif isinstance(patch, patches.StepPatch):
        values, edges, _ = patch.get_data()
        if _placed(np.zeros((1, 2)), transform, ax) is not None:
            upright = patch.orientation == "vertical"
            across, along = ("x", "y") if upright else ("y", "x")
            for i, value in enumerate(_filled(values)):
                low, high = sorted(edges[i : i + 2])
                place = {across: _middle(low, high), f"{across}_low": low, f"{across}_high": high}
                yield {**head, "kind": "step", "point": i, along: value, **place}
    elif isinstance(patch, patches.Rectangle) and not patch.get_angle():
        yield from _box("rectangle", patch.get_bbox().get_points(), transform, ax, head)
    elif type(patch) in (patches.Ellipse, patches.Circle) and not patch.get_angle():
        centre = np.asarray(patch.get_center(), float)
        half = np.array([patch.get_width(), patch.get_height()]) / 2
        kind = "circle" if half[0] == half[1] else "ellipse"
        yield from _box(kind, np.array([centre - half, centre + half]), transform, ax, head, centre)
    else:
        outline = patch.get_path()
        inside = mpath.Path(patch.get_patch_transform().transform(outline.vertices), outline.codes)
        yield from _outlines([inside], transform, ax, "polygon", [head])


def _box(
    kind: str, corners: Any, transform: Transform, ax: Axes, head: Row, centre: Any = None
) -> Iterator[Row]:
    """Something with a middle and an extent: a rectangle, a circle."""
    placed = _placed(corners, transform, ax)
    if placed is None:
        return
    row = {**head, "kind": kind, "point": 0}
    for i, name in enumerate("xy"):
        low, high = sorted(placed[:, i])
        given = centre is not None and transform is ax.transData
        row |= {name: centre[i] if given else _middle(low, high), f"{name}_low": low, f"{name}_high": high}
    yield row


def _image(picture: image.AxesImage, ax: Axes) -> Iterator[Row]:
    values = picture.get_array()
    if values is None or _placed(np.zeros((1, 2)), picture.get_transform(), ax) is None:
        return
    n_rows, n_columns = values.shape[:2]
    left, right, bottom, top = picture.get_extent()
    first, last = (top, bottom) if picture.origin == "upper" else (bottom, top)
    across, upwards = (
        _middle(start + (end - start) * np.arange(n) / n, start + (end - start) * np.arange(1, n + 1) / n)
        for start, end, n in ((left, right, n_columns), (first, last, n_rows))
    )
    x, y = np.meshgrid(across, upwards)
    yield from _cells("image", x.ravel(), y.ravel(), values, {})


def _cells(kind: str, x: Floats, y: Floats, values: Any, extent: dict[str, Floats]) -> Iterator[Row]:
    """The cells of an image or a mesh, row by row, with their values, or their colours if they have those."""
    if values is not None and values.ndim == 3:
        shades = values.reshape(len(x), -1) / (255 if values.dtype.kind == "u" else 1)
        contents: list[Row] = [{"color": _hex(shade)} for shade in shades]
    else:
        flat = np.full(len(x), np.nan) if values is None else _filled(values).ravel()
        contents = [{"value": value} for value in flat]
    for i, content in enumerate(contents):
        edges = {name: at[i] for name, at in extent.items()}
        yield {"kind": kind, "point": i, "x": x[i], "y": y[i], **content, **edges}


def _collection(group: Any, ax: Axes) -> Iterator[Row]:
    if isinstance(group, contour.ContourSet):
        yield from _contours(group, ax)
    elif hasattr(group, "get_coordinates"):
        yield from _mesh(group, ax)
    elif isinstance(group, quiver.Quiver):
        yield from _quiver(group, ax)
    elif isinstance(group, collections.LineCollection):
        yield from _segments([path.vertices for path in group.get_paths()], group, ax)
    elif isinstance(group, collections.FillBetweenPolyCollection):
        yield from _band(group, ax)
    elif group._offsets is not None:
        placed = _placed(group.get_offsets(), group.get_offset_transform(), ax)
        if placed is not None:
            yield from _scattered(placed, group, group.get_sizes() if hasattr(group, "get_sizes") else [])
    else:
        paths = group.get_paths()
        yield from _outlines(paths, group.get_transform(), ax, "polygon", _looks(group, len(paths)))


def _scattered(places: Floats, group: Any, sizes: Any) -> Iterator[Row]:
    sizes = [{"size": size} for size in sizes] if len(sizes) == len(places) > 1 else [{}]
    for i, (place, look) in enumerate(zip(places, _looks(group, len(places)), strict=True)):
        at = dict(zip("xyz", place, strict=False))
        yield {"kind": "points", "point": i, **at, **look, **sizes[i % len(sizes)]}


def _looks(group: Any, n: int) -> list[Row]:
    """Value or colour of each of the n members of a collection."""
    values = group.get_array()
    if values is not None:
        return [{"value": value} for value in np.resize(_filled(values), n)]
    # Not what the artist itself says: one in space says it in the order of distance.
    shades = collections.Collection.get_facecolor(group)
    if not len(shades) or not np.any(np.asarray(shades)[:, 3]):
        shades = collections.Collection.get_edgecolor(group)
    return [{"color": _hex(shades[i % len(shades)]) if len(shades) else ""} for i in range(n)]


def _segments(given: Sequence[Any], group: Any, ax: Axes) -> Iterator[Row]:
    """Pieces of lines: one row each if they are straight."""
    placed = [_placed(segment, group.get_transform(), ax) for segment in given]
    kept = [(p, look) for p, look in zip(placed, _looks(group, len(given)), strict=True) if p is not None]
    if all(len(points) == 2 for points, _ in kept):
        for i, ((start, end), look) in enumerate(kept):
            ends = {"x": start[0], "y": start[1], "x_end": end[0], "y_end": end[1]}
            yield {"kind": "segment", **look, "point": i, **ends}
    else:
        for part, (points, look) in enumerate(kept):
            yield from _points(points, {"kind": "line", **look, "part": part})


def _band(group: Any, ax: Axes) -> Iterator[Row]:
    """The area between two curves; a part for every stretch of it."""
    across, along = ("x", "y") if group.t_direction == "x" else ("y", "x")
    paths = group.get_paths()
    for part, (path, look) in enumerate(zip(paths, _looks(group, len(paths)), strict=True)):
        placed = _placed(path.vertices, group.get_transform(), ax)
        if placed is None:
            continue
        # A point to start from, one curve, a point to turn at, the other curve backwards, the start again.
        n = (len(placed) - 3) // 2
        at, first = placed[1 : n + 1].T if across == "x" else placed[1 : n + 1, ::-1].T
        other = placed[n + 2 : 2 * n + 2, 1 if across == "x" else 0][::-1]
        low, high = np.minimum(first, other), np.maximum(first, other)
        head = {"kind": "band", **look, **({"part": part} if len(paths) > 1 else {})}
        for i in range(n):
            yield {**head, "point": i, across: at[i], f"{along}_low": low[i], f"{along}_high": high[i]}


def _quiver(arrows: Any, ax: Axes) -> Iterator[Row]:
    """Arrows. Where their length is in no units of the axes, they end where the vectors as such would."""
    in_units = arrows.angles == "xy" and arrows.scale_units == "xy" and arrows.scale
    shift = np.stack([_filled(np.ma.array(along, mask=arrows.Umask)) for along in (arrows.U, arrows.V)], 1)
    shift = shift / (arrows.scale if in_units else 1.0)
    start = np.asarray(arrows.XY, float)
    if in_units:
        start = start - {"tail": 0.0, "middle": 0.5, "tip": 1.0}[arrows.pivot] * np.nan_to_num(shift)
    starts, ends = (_placed(p, arrows.get_offset_transform(), ax) for p in (start, start + shift))
    if starts is not None and ends is not None:
        for row, look in zip(_arrows(starts, ends, {}), _looks(arrows, len(starts)), strict=True):
            yield {**row, **look}


def _arrows(starts: Any, ends: Any, head: Row) -> Iterator[Row]:
    for i, ((x, y), (x_end, y_end)) in enumerate(zip(starts, ends, strict=True)):
        yield {**head, "kind": "arrow", "point": i, "x": x, "y": y, "x_end": x_end, "y_end": y_end}


def _mesh(mesh: Any, ax: Axes) -> Iterator[Row]:
    """The cells of a mesh, with their edges where these are parallel to the axes."""
    corners = _filled(mesh.get_coordinates())
    values = mesh.get_array()
    if _placed(np.zeros((1, 2)), mesh.get_transform(), ax) is None:
        return
    n_rows, n_columns = corners.shape[0] - 1, corners.shape[1] - 1
    if values is not None and values.size == corners[..., 0].size:
        # Shaded from corner to corner.
        yield from _cells("mesh", corners[..., 0].ravel(), corners[..., 1].ravel(), values, {})
        return
    if values is not None and values.ndim < 3:
        values = values.reshape(n_rows, n_columns)
    x, y = corners[..., 0], corners[..., 1]
    if (x == x[:1]).all() and (y == y[:, :1]).all():
        extent: dict[str, Floats] = {}
        middles = []
        for name, edges, axis in (("x", x[0], ax.xaxis), ("y", y[:, 0], ax.yaxis)):
            shape = (1, -1) if name == "x" else (-1, 1)
            for key, kept in (
                ("low", np.minimum(edges[:-1], edges[1:])),
                ("high", np.maximum(edges[:-1], edges[1:])),
            ):
                extent[f"{name}_{key}"] = np.broadcast_to(kept.reshape(shape), (n_rows, n_columns)).ravel()
            middle = _middle(edges[:-1], edges[1:], axis.get_transform())
            middles.append(np.broadcast_to(middle.reshape(shape), (n_rows, n_columns)).ravel())
        yield from _cells("mesh", middles[0], middles[1], values, extent)
    else:
        x, y = ((c[:-1, :-1] + c[1:, :-1] + c[:-1, 1:] + c[1:, 1:]) / 4 for c in (x, y))
        yield from _cells("mesh", x.ravel(), y.ravel(), values, {})


def _contours(levels: Any, ax: Axes) -> Iterator[Row]:
    """Contour lines with their values, or the outlines of regions with the values between which they lie."""
    bounds = np.asarray(levels._levels if levels.filled else levels.levels, float)
    bounds = np.where(abs(bounds) > 1e200, np.copysign(np.inf, bounds), bounds)  # regions without an end
    paths = levels.get_paths()
    shades = levels.get_facecolor() if levels.filled else levels.get_edgecolor()
    heads: list[Row] = []
    for i in range(len(paths)):
        head: Row = {"color": _hex(shades[i % len(shades)]) if len(shades) else ""}
        values = (
            {"value_low": bounds[i], "value_high": bounds[i + 1]} if levels.filled else {"value": bounds[i]}
        )
        heads.append({**head, **values})
    kind = "region" if levels.filled else "contour"
    yield from _outlines(paths, levels.get_transform(), ax, kind, heads)


def _outlines(
    paths: Sequence[Any], transform: Transform, ax: Axes, kind: str, heads: Sequence[Row]
) -> Iterator[Row]:
    """The corners along paths; a part for every stretch where there are several."""
    stretches = [(s, head) for path, head in zip(paths, heads, strict=True) for s in _stretches(path)]
    for part, (stretch, head) in enumerate(stretches):
        placed = _placed(stretch, transform, ax)
        if placed is not None:
            yield from _points(
                placed, {"kind": kind, **head, **({"part": part} if len(stretches) > 1 else {})}
            )


def _stretches(path: Any) -> list[Any]:
    if path.codes is None:
        return [path.vertices] if len(path.vertices) else []
    if np.isin(path.codes, (path.CURVE3, path.CURVE4)).any():
        return list(path.to_polygons(closed_only=False))
    begins = np.flatnonzero(path.codes == path.MOVETO)
    found = []
    for start, end in zip(begins, [*begins[1:], len(path.codes)], strict=True):
        stretch = np.array(path.vertices[start:end], float)
        # What stands where a path is closed may be anything; meant is the start.
        stretch[path.codes[start:end] == path.CLOSEPOLY] = stretch[0]
        found += [stretch] if len(stretch) > 1 else []
    return found


def _in_space(one: Any) -> Iterator[Row]:
    """What is drawn on three axes."""
    if hasattr(one, "get_data_3d"):
        kind, color = _line_look(one)
        if kind:
            points = np.stack([_filled(values) for values in one.get_data_3d()], 1)
            yield from _points(points, {"kind": kind, "color": color})
    elif hasattr(one, "_offsets3d"):
        places = np.stack([_filled(values) for values in one._offsets3d], 1)
        yield from _scattered(places, one, getattr(one, "_sizes3d", []))
    elif hasattr(one, "_segments3d"):
        looks = _looks(one, len(one._segments3d))
        for part, (segment, look) in enumerate(zip(one._segments3d, looks, strict=True)):
            yield from _points(np.asarray(segment, float), {"kind": "line", **look, "part": part})
    elif hasattr(one, "_faces"):
        looks = _looks(one, len(one._faces))
        missing = np.broadcast_to(one._invalid_vertices, one._faces.shape[:2])
        for part, (face, look) in enumerate(zip(one._faces, looks, strict=True)):
            yield from _points(face[~missing[part]], {"kind": "polygon", **look, "part": part})
    else:
        raise _unknown(one)


# ------------------------------------------------------------------ artists that belong together


def _parts(group: Any) -> Iterator[martist.Artist]:
    """The artists of a container that is taken as a whole: bars, error bars."""
    if isinstance(group, container.ErrorbarContainer):
        line, caps, bars = group.lines
        yield from ([line] if line is not None else [])
        yield from (*caps, *bars)
    elif isinstance(group, container.BarContainer):
        yield from group.patches


def _container(group: Any, ax: Axes) -> Iterator[Row]:
    if isinstance(group, container.BarContainer):
        yield from _bars(group, ax)
    else:
        yield from _error_bars(group, ax)


def _bars(bars: container.BarContainer, ax: Axes) -> Iterator[Row]:
    """Bars: where they stand and where they end, from where to where they reach, how long they are."""
    lying = bars.orientation == "horizontal"
    for i, bar in enumerate(bars.patches):
        corner, size = np.array(bar.get_xy(), float), np.array([bar.get_width(), bar.get_height()], float)
        if not bar.get_visible() or _placed([corner], bar.get_data_transform(), ax) is None:
            continue
        along = 0 if lying else 1
        row: Row = {"kind": "bar", "color": _patch_color(bar), "point": i, "length": size[along]}
        for k, name in enumerate("xy"):
            low, high = sorted((corner[k], corner[k] + size[k]))
            middle = corner[k] + size[k] if k == along else _middle(low, high)
            row |= {name: middle, f"{name}_low": low, f"{name}_high": high}
        yield row


def _error_bars(bars: container.ErrorbarContainer, ax: Axes) -> Iterator[Row]:
    """Points with their intervals in the same row; intervals alone where no points are drawn."""
    line, _, groups = bars.lines
    names = ["x"] * bars.has_xerr + ["y"] * bars.has_yerr
    spans: dict[str, Floats] = {}  # for each direction (interval, low or high, x or y)
    for name, group in zip(names, groups, strict=True):
        placed = [_placed(path.vertices, group.get_transform(), ax) for path in group.get_paths()]
        if group.get_visible() and placed and all(p is not None for p in placed):
            spans[name] = np.stack([p for p in placed if p is not None])
    drawn = list(_line(line, ax)) if line is not None and line.get_visible() else []
    if not drawn:
        n = max((len(span) for span in spans.values()), default=0)
        color = _looks(groups[0], 1)[0] if groups else {}
        drawn = [{"kind": "interval", "point": i, **color} for i in range(n)]
        for name, span in spans.items():
            other = "y" if name == "x" else "x"
            for row, (start, _) in zip(drawn, span, strict=True):
                row[other] = start["xy".index(other)]
    for name, span in spans.items():
        k = "xy".index(name)
        for row, i in zip(drawn, _owners(drawn, span, k), strict=True):
            if i is not None:
                row[f"{name}_low"], row[f"{name}_high"] = sorted(span[i, :, k])
    yield from drawn


def _owners(drawn: Sequence[Row], span: Floats, k: int) -> list[int | None]:
    """Which interval belongs to which point: each has its own, or only some points have one."""
    if len(span) == len(drawn):
        return list(range(len(drawn)))
    name, other = ("x", "y") if k == 0 else ("y", "x")
    low, high = span[..., k].min(1), span[..., k].max(1)
    found = [
        np.flatnonzero((span[:, 0, 1 - k] == row[other]) & (low <= row[name]) & (row[name] <= high))
        for row in drawn
    ]
    return [int(places[0]) if len(places) else None for places in found]


# ------------------------------------------------------------------ places and words


def _points(places: Any, head: Row) -> Iterator[Row]:
    for i, place in enumerate(places):
        yield {**head, "point": i, **dict(zip("xyz", place, strict=False))}


def _filled(values: Any) -> Any:
    """As floating-point numbers, NaN where masked."""
    return np.ma.filled(np.ma.asarray(values, float), np.nan)


def _placed(vertices: Any, transform: Transform, ax: Axes) -> Floats | None:
    """Points in the units of the axes; NaN where masked, and in a direction that is not in these units.

    None if no direction is, as for something in a corner of the panel.
    """
    points: Floats = np.array(_filled(vertices), float).reshape(-1, 2)
    if transform is ax.transData:
        return points
    inside = np.array(_inside(transform, ax.transData))
    if not inside.any():
        return None
    if inside.all():
        return np.asarray((transform - ax.transData).transform(points), float)
    points[:, ~inside] = np.nan
    return points


def _inside(transform: Any, target: Transform) -> tuple[bool, bool]:
    """Whether each of the two directions goes through the target.

    Matplotlib's own test goes by numbers: it takes the panel for the data where the limits are 0 and 1.
    """
    if transform is target:
        return True, True
    if isinstance(transform, BlendedAffine2D | BlendedGenericTransform):
        return _inside(vars(transform)["_x"], target)[0], _inside(vars(transform)["_y"], target)[1]
    parts = [getattr(transform, name) for name in ("_a", "_b", "_child") if hasattr(transform, name)]
    found = [_inside(part, target) for part in parts]
    return any(x for x, _ in found), any(y for _, y in found)


def _middle(low: Any, high: Any, scale: Transform | None = None) -> Any:
    """Half-way, as the axis counts; without the noise that adding and halving bring into the last digits."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    if scale is None:
        middle = (low + high) / 2
    else:
        middle = scale.inverted().transform((scale.transform(low) + scale.transform(high)) / 2)
    size = np.maximum(abs(low), abs(high))
    with np.errstate(all="ignore"):
        digits = np.where(size > 0, 12 - np.ceil(np.log10(size)), 0)
    rounded = [
        round(m, int(d)) if np.isfinite(m) and np.isfinite(d) else m
        for m, d in zip(np.ravel(middle).tolist(), np.ravel(digits), strict=True)
    ]
    return np.reshape(rounded, np.shape(middle)) if np.ndim(middle) else rounded[0]


def _is_constant(values: Floats) -> bool:
    return len(values) > 0 and bool((values == values[0]).all())


def _hex(color: Any) -> str:
    try:
        return colors.to_hex(color)
    except ValueError:
        return ""


def _patch_color(patch: Any) -> str:
    face = patch.get_facecolor()
    return _hex(face if patch.get_fill() and face[3] else patch.get_edgecolor())


def _private(ax: Axes, name: str) -> Any:
    """What matplotlib knows of an axes, and has no public name for."""
    return getattr(ax, name)


def _line_up(words: str) -> str:
    return " ".join(words.split())


def _title(ax: Axes) -> str:
    titles = (_line_up(ax.get_title(place)) for place in ("left", "center", "right"))
    return next(filter(None, titles), "")


def _label(ax: Axes, name: str, shown: Sequence[Axes]) -> str:
    """The label of an axis; where panels share one, it may stand at another panel, or at the figure."""
    shared = _private(ax, "_shared_axes")[name].get_siblings(ax)
    labels = (
        _line_up(getattr(one, f"get_{name}label")()) for one in (ax, *(o for o in shown if o in shared))
    )
    figure = ax.get_figure(root=True)
    common = getattr(figure, f"get_sup{name}label", str)() if figure else ""
    return next(filter(None, labels), _line_up(common))


def _value_labels(figure: Figure) -> dict[Axes, str]:
    """What colour bars say that colours mean: by colour bar, and by panel that one stands beside."""
    found: dict[Axes, str] = {}
    for ax in figure.axes:
        if hasattr(ax, "_colorbar"):
            words = found[ax] = _line_up(ax.get_ylabel() or ax.get_xlabel())
            for panel in getattr(ax, "_colorbar_info", {}).get("parents", []):
                found.setdefault(panel, words)
    return found


def _names(axis: maxis.Axis) -> Callable[[float], str] | None:
    """The words that stand at an axis in place of numbers: a function from a place to them, if there are any.

    Where the places are categories, numbered one after the other, what stands beside one belongs to it.
    """
    locator: Any = axis.get_major_locator()
    formatter: Any = axis.get_major_formatter()
    written: dict[float, Any] = {}
    if isinstance(formatter, StrCategoryFormatter):
        written = {float(place): word for word, place in axis.units._mapping.items()}
    elif type(locator) is ticker.FixedLocator and (
        isinstance(formatter, ticker.FixedFormatter)
        or isinstance(getattr(formatter, "func", None), functools.partial)
    ):
        places = [float(place) for place in axis.get_majorticklocs()]
        written = dict(zip(places, formatter.format_ticks(places), strict=True))
    labels = {place: _line_up(str(words)) for place, words in written.items()}
    names = {place: words for place, words in labels.items() if _is_name(words, place)}
    if not names:
        return None
    places = sorted(names)
    if len(places) > 1 and all(b - a == 1 for a, b in itertools.pairwise(places)):
        return lambda at: names.get(round(at), "") if np.isfinite(at) else ""
    return lambda at: names.get(at, "")


def _is_name(words: str, place: float) -> bool:
    """Whether a label says more than the number at which it stands."""
    try:
        return not np.isclose(float(words.replace("−", "-")), place)
    except ValueError:
        return bool(words)


def _clean(row: Row) -> Row:
    """A row without what it does not have."""
    return {k: v for k, v in row.items() if v is not None and v != "" and v == v}


def _written(value: Any) -> str:
    if value is None:
        return ""
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)
