//! Charts as SVG, made by hand: lines over the time of a run, and bars of distributions.
//!
//! Everything is as wide as [`WIDTH`] and scales with the page. A value without a place (a latency
//! of zero, when nothing was delivered) interrupts its line. Only our own texts and numbers are in
//! here, nothing that needs to be escaped.

use std::fmt::{self, Display, Formatter, Write as _};

use super::scale::{Scale, float};
use crate::bot::report::{Interval, Summary, figure};

/// Lines over the time of a run.
pub(super) struct Lines<'a> {
    /// What it shows, for those who cannot see it.
    pub(super) name: &'a str,
    /// At least one.
    pub(super) timeline: &'a [Interval],
    /// What the values are.
    pub(super) values: Values,
    /// In the order in which they are drawn.
    pub(super) series: &'a [Series],
    /// In pixels of an unscaled page.
    pub(super) height: f64,
}

/// One line.
pub(super) struct Series {
    /// In the legend.
    pub(super) name: &'static str,
    /// Classes of the style sheet.
    pub(super) style: &'static str,
    /// Its value in an interval.
    pub(super) of: fn(&Interval) -> u64,
}

/// What the values of a chart are.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Values {
    /// Things that happened in an interval: drawn by the second.
    Rate,
    /// Things there are at the end of an interval.
    Level,
    /// Microseconds: on a logarithmic axis.
    Time,
}

impl Display for Lines<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.legend(out)?;
        let plot = Plot::new(self.height);
        let span = self.span();
        let (across, up) = (Scale::time(span.0, span.1), self.scale());
        plot.open(out, self.name)?;
        for (value, name) in &up.ticks {
            let y = plot.y(up.place(*value).unwrap_or(0.0));
            write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
                LEFT - 8.0,
                y + 4.0
            )?;
        }
        plot.bottom(out, &across)?;
        for series in self.series {
            let path = self.path(series, &plot, &across, &up);
            if !path.is_empty() {
                writeln!(out, "<path class=\"line {}\" d=\"{path}\"/>", series.style)?;
            }
        }
        self.strips(out, &plot, &across)?;
        out.write_str("</svg>\n")
    }
}

impl Lines<'_> {
    /// What the lines are, unless there is only one: its heading says it.
    fn legend(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if self.series.len() == 1 {
            return Ok(());
        }
        out.write_str("<ul class=\"legend\">")?;
        for Series { name, style, .. } in self.series {
            write!(
                out,
                "<li><svg viewBox=\"0 0 22 10\" aria-hidden=\"true\">\
                 <path class=\"line {style}\" d=\"M1 5H21\"/></svg>{name}</li>"
            )?;
        }
        out.write_str("</ul>\n")
    }

    /// From when to when the run is shown, in seconds; never empty.
    fn span(&self) -> (f64, f64) {
        let bounds = self.timeline.iter().map(bounds);
        let (start, end) = bounds.fold((f64::INFINITY, f64::NEG_INFINITY), |span, bounds| {
            (span.0.min(bounds.0), span.1.max(bounds.1))
        });
        match start < end {
            true => (start, end),
            false => (0.0, 1.0),
        }
    }

    fn scale(&self) -> Scale {
        let series = self.series.iter();
        let values = series.flat_map(|series| self.points(series, POINTS_MAX));
        let values = values.map(|point| point.value);
        match self.values {
            Values::Time => Scale::log(values.map(figure::whole)),
            Values::Rate | Values::Level => Scale::linear(values.fold(0.0, f64::max)),
        }
    }

    /// At most so many points of a line: intervals are merged when there are more.
    fn points<'b>(
        &'b self,
        series: &'b Series,
        points_max: usize,
    ) -> impl Iterator<Item = Point> + 'b {
        let parts = self.timeline.chunks(merged_len(self.timeline, points_max));
        parts.map(|part| Point {
            start: bounds(&part[0]).0,
            end: bounds(&part[part.len() - 1]).1,
            value: self.merged(part, series),
        })
    }

    /// Of some intervals: their mean rate, their last level, their worst time.
    fn merged(&self, part: &[Interval], series: &Series) -> f64 {
        let mut values = part.iter().map(series.of);
        match self.values {
            Values::Rate => {
                let length_s: f64 = part.iter().map(|interval| interval.length_s).sum();
                let sum = values.fold(0_u64, u64::saturating_add);
                if length_s > 0.0 {
                    float(sum) / length_s
                } else {
                    0.0
                }
            }
            Values::Level => float(values.next_back().unwrap_or(0)),
            Values::Time => float(values.max().unwrap_or(0)),
        }
    }

    fn path(&self, series: &Series, plot: &Plot, across: &Scale, up: &Scale) -> String {
        let mut path = String::new();
        // Places of the part of the line that is being drawn, and of the interval it began with.
        let mut part: Vec<(f64, f64)> = vec![];
        let mut first = (0.0, 0.0);
        let place = |moment| across.place(moment).map(|place| plot.x(place));
        for Point { start, end, value } in self.points(series, POINTS_MAX) {
            match (place((start + end) / 2.0), up.place(value)) {
                (Some(x), Some(y)) => {
                    if part.is_empty() {
                        first = (place(start).unwrap_or(x), place(end).unwrap_or(x));
                    }
                    part.push((x, plot.y(y)));
                }
                _ => draw(&mut path, &mut part, first),
            }
        }
        draw(&mut path, &mut part, first);
        path
    }

    /// What happened when, shown under the pointer.
    fn strips(&self, out: &mut Formatter<'_>, plot: &Plot, across: &Scale) -> fmt::Result {
        for strip in self.timeline.chunks(merged_len(self.timeline, STRIPS_MAX)) {
            let (start, end) = (bounds(&strip[0]).0, bounds(&strip[strip.len() - 1]).1);
            let place = |moment| across.place(moment).map(|place| plot.x(place));
            let (Some(left), Some(right)) = (place(start), place(end)) else {
                continue;
            };
            write!(
                out,
                "<rect class=\"strip\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" \
                 height=\"{:.1}\"><title>{start:.1} to {end:.1} s",
                (right - left).max(0.1),
                plot.height - TOP - BOTTOM
            )?;
            for series in self.series {
                let value = self.merged(strip, series);
                let shown = match self.values {
                    Values::Rate => figure::rate(value),
                    Values::Level => figure::count(figure::whole(value)),
                    Values::Time if value > 0.0 => figure::duration(figure::whole(value)),
                    Values::Time => figure::NOTHING.to_owned(),
                };
                write!(out, "\n{}: {shown}", series.name)?;
            }
            out.write_str("</title></rect>")?;
        }
        Ok(())
    }
}

/// A part of a line.
struct Point {
    /// When it began, and when it ended.
    start: f64,
    end: f64,
    value: f64,
}

/// How many intervals are one point of a chart.
pub(super) const fn intervals_per_point(timeline: &[Interval]) -> usize {
    merged_len(timeline, POINTS_MAX)
}

const fn merged_len(timeline: &[Interval], parts_max: usize) -> usize {
    match timeline.len() {
        0 => 1,
        len => len.div_ceil(parts_max),
    }
}

/// Bars of distributions, over a common logarithmic axis.
pub(super) struct Bars<'a> {
    /// What it shows, for those who cannot see it.
    pub(super) name: &'a str,
    /// Each with its name.
    pub(super) rows: &'a [(&'static str, &'a Summary)],
}

impl Display for Bars<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.legend(out)?;
        #[expect(clippy::cast_precision_loss, reason = "a few rows")]
        let plot = Plot::new(TOP + BOTTOM + ROW * self.rows.len() as f64);
        let with_values = self.rows.iter().filter(|(_, summary)| summary.count > 0);
        // A minimum of zero has no place: bars begin at a microsecond then.
        let ends = with_values.flat_map(|(_, summary)| [summary.min.max(1), summary.max.max(1)]);
        let across = Scale::log(ends);
        plot.open(out, self.name)?;
        for (value, _) in &across.ticks {
            let x = plot.x(across.place(*value).unwrap_or(0.0));
            write!(
                out,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/>",
                plot.height - BOTTOM
            )?;
        }
        plot.bottom(out, &across)?;
        let mut top = TOP;
        for (name, summary) in self.rows {
            write!(
                out,
                "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
                LEFT - 8.0,
                top + ROW / 2.0 + 4.0
            )?;
            match summary.count {
                0 => write!(
                    out,
                    "<text x=\"{:.1}\" y=\"{:.1}\">no value</text>",
                    LEFT + 8.0,
                    top + ROW / 2.0 + 4.0
                )?,
                _ => bar(out, summary, &plot, &across, top)?,
            }
            top += ROW;
        }
        out.write_str("</svg>\n")
    }
}

impl Bars<'_> {
    fn legend(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str("<ul class=\"legend\">")?;
        for (index, name) in ["fastest half", "to p90", "to p99", "to p99.9"]
            .iter()
            .enumerate()
        {
            write!(
                out,
                "<li><svg viewBox=\"0 0 22 10\" aria-hidden=\"true\">\
                 <rect class=\"bar b{index}\" width=\"22\" height=\"10\"/></svg>{name}</li>"
            )?;
        }
        out.write_str(
            "<li><svg viewBox=\"0 0 22 10\" aria-hidden=\"true\">\
             <path class=\"whisker\" d=\"M0 5H21M21 1V9\"/></svg>to the slowest</li></ul>\n",
        )
    }
}

fn bar(
    out: &mut Formatter<'_>,
    summary: &Summary,
    plot: &Plot,
    across: &Scale,
    top: f64,
) -> fmt::Result {
    let x = |us: u64| plot.x(across.place(float(us.max(1))).unwrap_or(0.0));
    let middle = top + ROW / 2.0;
    out.write_str("<g>")?;
    let bounds = [
        summary.min,
        summary.p50,
        summary.p90,
        summary.p99,
        summary.p999,
    ];
    for (index, ends) in bounds.windows(2).enumerate() {
        let (left, right) = (x(ends[0]), x(ends[1]));
        let width = match index {
            // All values may be the same: something is there to see all the same.
            0 => (right - left).max(2.0),
            _ => (right - left).max(0.0),
        };
        write!(
            out,
            "<rect class=\"bar b{index}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" \
             height=\"{:.1}\"/>",
            top + 6.0,
            ROW - 12.0
        )?;
    }
    let (left, right) = (x(summary.p999), x(summary.max));
    write!(
        out,
        "<path class=\"whisker\" d=\"M{left:.1} {middle:.1}H{right:.1}M{right:.1} {:.1}V{:.1}\"/>",
        middle - 5.0,
        middle + 5.0
    )?;
    writeln!(
        out,
        "<rect class=\"strip\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{ROW}\">\
         <title>{} values\nmin {}\np50 {}\np90 {}\np99 {}\np99.9 {}\nmax {}</title></rect></g>",
        RIGHT - LEFT,
        figure::count(summary.count),
        figure::duration(summary.min),
        figure::duration(summary.p50),
        figure::duration(summary.p90),
        figure::duration(summary.p99),
        figure::duration(summary.p999),
        figure::duration(summary.max),
    )
}

/// The area inside the axes.
struct Plot {
    height: f64,
}

impl Plot {
    const fn new(height: f64) -> Self {
        Self { height }
    }

    fn x(&self, place: f64) -> f64 {
        LEFT + place * (RIGHT - LEFT)
    }

    fn y(&self, place: f64) -> f64 {
        self.height - BOTTOM - place * (self.height - BOTTOM - TOP)
    }

    fn open(&self, out: &mut Formatter<'_>, name: &str) -> fmt::Result {
        writeln!(
            out,
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{name}\">",
            self.height
        )
    }

    /// The axis at the bottom.
    fn bottom(&self, out: &mut Formatter<'_>, across: &Scale) -> fmt::Result {
        let y = self.height - BOTTOM;
        write!(
            out,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        )?;
        for (value, name) in &across.ticks {
            let x = self.x(across.place(*value).unwrap_or(0.0));
            write!(
                out,
                "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
                y + 4.0,
                y + 17.0
            )?;
        }
        writeln!(out)
    }
}

/// When an interval began and ended; of what is no number, zero.
fn bounds(interval: &Interval) -> (f64, f64) {
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    let end = finite(interval.at_s);
    (end - finite(interval.length_s).max(0.0), end)
}

/// Adds a part of a line to its path. One that is a single interval is as long as that.
fn draw(path: &mut String, part: &mut Vec<(f64, f64)>, first: (f64, f64)) {
    // Writing to a string does not fail.
    let _ = match part.as_slice() {
        [] => Ok(()),
        [(_, y)] => {
            let (left, right) = first;
            write!(path, "M{left:.1} {y:.1}H{:.1}", right.max(left + 1.0))
        }
        [(x, y), rest @ ..] => {
            let _ = write!(path, "M{x:.1} {y:.1}L");
            rest.iter()
                .try_for_each(|(x, y)| write!(path, "{x:.1} {y:.1} "))
        }
    };
    part.clear();
}

/// Of all charts, in pixels of an unscaled page.
const WIDTH: f64 = 940.0;
/// Where the plot begins: what is left of it names values.
const LEFT: f64 = 112.0;
const RIGHT: f64 = WIDTH - 18.0;
const TOP: f64 = 8.0;
/// Height of what names moments.
const BOTTOM: f64 = 24.0;
/// Height of a distribution.
const ROW: f64 = 26.0;
/// More would run into each other, and hide what they show.
const POINTS_MAX: usize = 400;
/// More would be narrower than a pointer can tell apart, and make the page large.
const STRIPS_MAX: usize = 180;
