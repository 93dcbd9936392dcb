//! Pieces of the page: texts that are safe, numbers, tables and lists.

use std::fmt::{self, Formatter};

use crate::bot::report::{Summary, figure};
use crate::clean;

/// A text of others: harmless to read, and no markup.
pub(super) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in clean::line(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

/// A time of a distribution, or a dash when it has no values.
pub(super) fn time(summary: &Summary, us: u64) -> String {
    match summary.count {
        0 => figure::NOTHING.to_owned(),
        _ => figure::duration(us),
    }
}

/// Columns from `texts_len` on are numbers.
pub(super) fn table_head(out: &mut Formatter<'_>, head: &[&str], texts_len: usize) -> fmt::Result {
    out.write_str("<table><thead><tr>")?;
    for (index, name) in head.iter().enumerate() {
        let class = if index < texts_len {
            ""
        } else {
            " class=\"n\""
        };
        write!(out, "<th{class}>{name}</th>")?;
    }
    out.write_str("</tr></thead><tbody>\n")
}

pub(super) fn number(out: &mut Formatter<'_>, text: &str) -> fmt::Result {
    write!(out, "<td class=\"n\">{text}</td>")
}

/// Names with what they are, and whether that is bad.
pub(super) type Figures<'a> = [(&'a str, (String, bool))];

pub(super) fn figures(out: &mut Formatter<'_>, figures: &Figures<'_>) -> fmt::Result {
    out.write_str("<div>")?;
    definitions(out, figures)?;
    out.write_str("</div>\n")
}

pub(super) fn definitions(out: &mut Formatter<'_>, figures: &Figures<'_>) -> fmt::Result {
    out.write_str("<dl class=\"figures\">")?;
    for (name, (text, is_bad)) in figures {
        let class = if *is_bad { " class=\"no\"" } else { "" };
        write!(out, "<dt>{name}</dt><dd{class}>{text}</dd>")?;
    }
    out.write_str("</dl>\n")
}

pub(super) fn list(out: &mut Formatter<'_>, class: &str, texts: &[String]) -> fmt::Result {
    if texts.is_empty() {
        return Ok(());
    }
    write!(out, "<ul class=\"{class}\">")?;
    for text in texts {
        write!(out, "<li>{}</li>", safe(text))?;
    }
    out.write_str("</ul>\n")
}
