"""The page of `dataflow profile --html`: one file, style and charts in it, no script, nothing from elsewhere."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from importlib import resources

from dataflow_platform.engine.profile import TableProfile
from dataflow_platform.engine.profile_columns import QUANTILES, Bar, ColumnProfile, Share
from dataflow_platform.engine.profile_drift import ColumnDrift, Drift

_WIDE, _HIGH = 340, 84  # of a chart, in its own units
_SHOWN = 8  # top values on the page


def page(profile: TableProfile, drift: Drift | None, taken_at: str) -> str:
    """HTML that shows the table, what moved since the last profile, and a card for each column."""
    template = resources.files("dataflow_platform.cli").joinpath("profile_page.html").read_text(encoding="utf-8")
    moved = {column.name: column for column in drift.columns} if drift else {}
    cards = "".join(
        _card(place, column, profile, moved.get(column.name)) for place, column in enumerate(profile.columns)
    )
    body = _head(profile, taken_at) + _drift(drift) + _overview(profile) + f'<div class="cards">{cards}</div>'
    return template.replace("<!--TITLE-->", escape(profile.table)).replace("<!--BODY-->", body)


def _head(profile: TableProfile, taken_at: str) -> str:
    cells = profile.rows * len(profile.columns)
    missing = sum(column.nulls for column in profile.columns) / cells if cells else 0.0
    figures = {
        "rows": f"{profile.rows:,}", "columns": f"{len(profile.columns):,}", "missing values": _percent(missing),
    }  # fmt: skip
    told = "".join(f"<div><b>{value}</b><span class='soft'>{name}</span></div>" for name, value in figures.items())
    note = "Every figure is exact."
    if profile.estimated:
        names = {"top": "top values", "quantiles": "quantiles", "histogram": "histograms"}
        listed = ", ".join(names.get(each, each) for each in profile.estimated)
        note = (
            "Rows, missing values, least, greatest, mean and lengths are exact. Estimated, and marked with ≈: "
            f"{listed}; from a random sample of {profile.sample_rows:,} rows"
            f"{', distinct values also from a share of their hashes' if 'distinct' in profile.estimated else ''}."
        )
    return (
        f"<h1>{escape(profile.table)}</h1><p class='note'>Profile of {escape(taken_at)}</p>"
        f"<div class='figures'>{told}</div><p class='note'>{note}</p>"
    )


def _drift(drift: Drift | None) -> str:
    if drift is None:
        return (
            "<section><h2>Drift</h2><p class='note'>This is the first profile that is kept of the table.</p></section>"
        )
    words = drift.words()
    if not words:
        told = f"<p class='note'>Nothing moved since the profile of {escape(drift.since)} UTC.</p>"
        return f"<section><h2>Drift</h2>{told}</section>"
    items = "".join(f"<li>{escape(text)}</li>" for text in words)
    return f"<section class='drift'><h2>Drift since {escape(drift.since)} UTC</h2><ul>{items}</ul></section>"


def _overview(profile: TableProfile) -> str:
    about = _about(profile, "distinct")
    rows = "".join(
        f"<tr><td><a href='#c{place}'>{escape(column.name)}</a></td>"
        f"<td class='mono'>{escape(_cut(column.type, 40))}</td>"
        f"<td class='number'>{_missing(column, profile)}</td><td class='number'>{about}{column.distinct:,}</td>"
        f"<td class='end'>{escape(column.least or '')}</td><td class='end'>{escape(column.greatest or '')}</td></tr>"
        for place, column in enumerate(profile.columns)
    )
    return (
        "<section class='scroll'><table><thead><tr><th>column</th><th>type</th><th class='number'>missing</th>"
        "<th class='number'>distinct</th><th>least</th><th>greatest</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></section>"
    )


def _card(place: int, column: ColumnProfile, profile: TableProfile, drift: ColumnDrift | None) -> str:
    figures = [
        ("missing", _missing(column, profile)),
        ("distinct", f"{_about(profile, 'distinct')}{column.distinct:,}"),
    ]
    if column.least is not None:
        figures.append(("range", f"{escape(column.least)} to {escape(column.greatest or '')}"))
    if column.mean is not None:
        figures.append(("mean", _number(column.mean)))
    if column.quantiles:
        told = [_on_axis(column, column.quantiles[QUANTILES.index(share)]) for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
        figures.append(("5, 25, 50, 75, 95 %", f"{_about(profile, 'quantiles')}{escape(' · '.join(told))}"))
    if column.longest is not None:
        figures.append(("length", f"{column.shortest:,} to {column.longest:,}"))
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in figures)
    words = "".join(f"<li>{escape(text)}</li>" for text in drift.words()) if drift else ""
    return (
        f"<article id='c{place}'><div class='head'><h2>{escape(column.name)}</h2>"
        f"<span class='type'>{escape(_cut(column.type, 60))}</span></div>"
        + (f"<ul class='moved'>{words}</ul>" if words else "")
        + f"<dl>{listed}</dl>{_histogram(column, profile)}"
        + _shares("Top values", column.top[:_SHOWN], _about(profile, "top"), column.top_is_all)
        + _shares("Patterns", column.patterns[:5], _about(profile, "patterns"), mono=True)
        + "</article>"
    )


def _histogram(column: ColumnProfile, profile: TableProfile) -> str:
    bars = column.histogram
    if len(bars) < 2:
        return ""
    title = "Lengths" if column.kind == "text" else "Values"
    highest = max(bar.share for bar in bars)
    width = _WIDE / len(bars)
    drawn = "".join(_bar(column, bar, place * width, width, bar.share / highest) for place, bar in enumerate(bars))
    low, high = _on_axis(column, bars[0].low), _on_axis(column, _last(bars))
    return (
        f"<h3>{title} {_about(profile, 'histogram')}</h3>"
        f"<svg viewBox='0 0 {_WIDE} {_HIGH + 16}' role='img' aria-label='{title} of {escape(column.name)}'>{drawn}"
        f"<line class='base' x1='0' x2='{_WIDE}' y1='{_HIGH}' y2='{_HIGH}'/>"
        f"<text x='0' y='{_HIGH + 13}'>{escape(low)}</text>"
        f"<text x='{_WIDE}' y='{_HIGH + 13}' text-anchor='end'>{escape(high)}</text></svg>"
    )


def _bar(column: ColumnProfile, bar: Bar, left: float, width: float, height: float) -> str:
    if not bar.share:
        return ""
    top = (_HIGH - 2) * height
    whole = _is_whole(bar)
    span = _on_axis(column, bar.low) if whole else f"{_on_axis(column, bar.low)} to {_on_axis(column, bar.high)}"
    return (
        f"<rect class='bar' x='{left + 0.75:.2f}' y='{_HIGH - max(top, 1):.2f}' width='{max(width - 1.5, 1):.2f}' "
        f"height='{max(top, 1):.2f}' rx='1.5'><title>{escape(span)}: {_percent(bar.share)}</title></rect>"
    )


def _is_whole(bar: Bar) -> bool:
    return bar.high - bar.low == 1 and bar.low == int(bar.low)


def _last(bars: Sequence[Bar]) -> float:
    return bars[-1].low if _is_whole(bars[-1]) else bars[-1].high


def _shares(title: str, shares: Sequence[Share], about: str, whole: bool = False, mono: bool = False) -> str:
    # Of values that hardly repeat there is nothing to see.
    if not shares or (shares[0].share < 0.005 and not whole):
        return ""
    style = " class='mono'" if mono else ""
    rows = "".join(
        f"<div class='share'><span{style} title='{escape(each.text)}'>{escape(each.text) or '(empty)'}</span>"
        f"<i><i style='width:{100 * each.share:.1f}%'></i></i><span>{_percent(each.share)}</span></div>"
        for each in shares
    )
    return f"<h3>{title} {about}</h3>{rows}"


def _about(profile: TableProfile, figure: str) -> str:
    return "≈ " if figure in profile.estimated else ""


def _missing(column: ColumnProfile, profile: TableProfile) -> str:
    if not column.nulls:
        return "none"
    return f"<span class='missing'>{_percent(column.nulls / profile.rows)}</span>"


def _percent(share: float) -> str:
    if 0 < share < 0.0005:
        return "<0.1 %".replace("<", "&lt;")
    if 0.9995 < share < 1:
        return "&gt;99.9 %"
    return f"{100 * share:.1f} %" if share < 0.9995 else "100 %"


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.4g}"


def _on_axis(column: ColumnProfile, value: float) -> str:
    if column.kind != "time":
        return _number(value)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value) if abs(value) < 5e10 else None
    return f"{moment:%Y-%m-%d}" if moment else _number(value)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
