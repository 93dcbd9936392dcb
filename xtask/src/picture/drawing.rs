//! Screens of terminals as one SVG, a window above the other.

use std::fmt::Write as _;

use anstyle::RgbColor;
use anstyle_svg::{Palette, Term};
use anyhow::{Context, Result};

use super::terminal::{COLUMNS, Screen};

/// One terminal as it is drawn: its title and the text below it.
#[derive(Debug)]
pub(super) struct Window {
    user: &'static str,
    line: String,
    text: String,
}

impl Window {
    /// The window of `user`, who typed `line`.
    pub(super) fn new(user: &'static str, line: &str, screen: &Screen) -> Self {
        Self {
            user,
            line: line.to_owned(),
            text: with_cursor(screen),
        }
    }
}

/// The picture of `windows`, with a label for those who cannot see it.
///
/// # Errors
/// When the SVG of a screen has no size.
pub(super) fn draw(windows: &[Window], label: &str) -> Result<String> {
    let term = Term::new()
        .palette(PALETTE)
        .fg_color(TEXT.into())
        .bg_color(BACKGROUND.into())
        .background(false)
        .min_width_px(COLUMNS * COLUMN_PX_TENTHS / 10);
    let mut body = String::new();
    let (mut width, mut y) = (0, 0);
    for window in windows {
        let screen = term.render_svg(&window.text);
        let screen_height = size_px(&screen, "height")?;
        width = width.max(size_px(&screen, "width")?);
        let height = TITLE_PX + screen_height;
        let Window { user, line, .. } = window;
        write!(
            body,
            r#"<g transform="translate(0 {y})">
<rect class="frame" x="0.5" y="0.5" width="{}" height="{}" rx="6" />
<text class="title" x="10" y="19">$ {line}</text>
<text class="title user" x="{}" y="19">{user}</text>
<path class="rule" d="M0 {TITLE_PX}.5H{width}" />
<g transform="translate(0 {TITLE_PX})">
{}</g>
</g>
"#,
            width - 1,
            height - 1,
            width - 10,
            without_trailing_spaces(&screen),
        )?;
        y += height + GAP_PX;
    }
    let height = y - GAP_PX;
    let [text, background] = [TEXT, BACKGROUND].map(hex);
    Ok(format!(
        r##"<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}">
<style>
.frame {{ fill: {background}; stroke: #3D444D }}
.rule {{ stroke: #3D444D }}
.title {{ font: bold 13px SFMono-Regular, Consolas, Liberation Mono, Menlo, monospace; fill: {text} }}
.user {{ text-anchor: end; opacity: 0.65 }}
svg .dimmed {{ opacity: 1; fill-opacity: 0.65 }}
</style>
{body}</svg>
"##
    ))
}

/// The coloured text of `screen` with a block where the cursor is, if that is after all text.
fn with_cursor(screen: &Screen) -> String {
    let text_columns = screen.last_line().chars().count();
    let Some(spaces) = screen.cursor_column.checked_sub(text_columns) else {
        return screen.coloured.clone();
    };
    // Reset, the spaces that tmux left away, and the block. Not an inverted cell: the crate counts
    // an escaped `>` as four columns when it places a background.
    format!("{}\x1b[0m{}█", screen.coloured, " ".repeat(spaces))
}

/// The number in the attribute `name` of the outermost element of `svg`, in pixels.
fn size_px(svg: &str, name: &str) -> Result<usize> {
    let (_, value) = svg
        .split_once(&format!(r#" {name}=""#))
        .with_context(|| format!("no {name} in the drawn screen"))?;
    let digits = value.split(|c: char| !c.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse().ok())
        .with_context(|| format!("no number as {name} of the drawn screen"))
}

/// `svg` with no spaces at the ends of its lines, which a version control would complain about.
fn without_trailing_spaces(svg: &str) -> String {
    svg.lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .fold(String::new(), |mut lines, line| {
            lines.push_str(line);
            lines.push('\n');
            lines
        })
}

/// `color` as SVG has it.
fn hex(RgbColor(red, green, blue): RgbColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Width of a column in tenths of a pixel, as the crate that draws the text counts it.
const COLUMN_PX_TENTHS: usize = 84;

/// Height of a window's title.
const TITLE_PX: usize = 28;

/// Space between two windows.
const GAP_PX: usize = 14;

/// Colour of plain text.
const TEXT: RgbColor = RgbColor(0xD8, 0xDE, 0xE6);

/// Colour of a window. A little lighter than the dark pages the picture may be shown on.
const BACKGROUND: RgbColor = RgbColor(0x15, 0x1B, 0x23);

/// The sixteen colours of a terminal, each readable on [`BACKGROUND`], and blue also below white.
const PALETTE: Palette = Palette([
    RgbColor(0x2B, 0x33, 0x3D),
    RgbColor(0xF4, 0x70, 0x67),
    RgbColor(0x57, 0xAB, 0x5A),
    RgbColor(0xC6, 0x90, 0x26),
    RgbColor(0x4A, 0x8A, 0xEE),
    RgbColor(0xB0, 0x83, 0xF0),
    RgbColor(0x39, 0xC5, 0xCF),
    RgbColor(0xF0, 0xF3, 0xF6),
    RgbColor(0x76, 0x83, 0x90),
    RgbColor(0xFF, 0x93, 0x8A),
    RgbColor(0x6B, 0xC4, 0x6D),
    RgbColor(0xDA, 0xAA, 0x3F),
    RgbColor(0x6C, 0xB6, 0xFF),
    RgbColor(0xDC, 0xBD, 0xFB),
    RgbColor(0x56, 0xD4, 0xDD),
    RgbColor(0xFF, 0xFF, 0xFF),
]);

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(plain: &str, cursor_column: usize) -> Screen {
        Screen {
            plain: plain.to_owned(),
            coloured: plain.to_owned(),
            cursor_column,
        }
    }

    #[test]
    fn the_cursor_is_drawn_after_the_spaces_tmux_left_away() {
        let text = with_cursor(&screen("hello\n#lobby>", 8));
        assert_eq!(text, "hello\n#lobby>\x1b[0m █");
        assert_eq!(with_cursor(&screen("#lobby> hi", 9)), "#lobby> hi");
    }

    #[test]
    fn windows_are_stacked_and_all_their_text_is_escaped() {
        let windows = [
            Window::new("ann", "chat-cli 1", &screen("<ann> a & b", 11)),
            Window::new("bo", "chat-cli 2", &screen("one\ntwo\nthree", 5)),
        ];
        let svg = draw(&windows, "two").unwrap();
        assert!(svg.contains("&lt;ann&gt; a &amp; b"), "{svg}");
        assert!(svg.contains("$ chat-cli 1<") && svg.contains("$ chat-cli 2<"));
        // 18 pixels a line and 20 of padding are what the drawing crate takes.
        let first = TITLE_PX + 18 + 20;
        assert!(
            svg.contains(&format!("translate(0 {})", first + GAP_PX)),
            "{svg}"
        );
        let height = first + GAP_PX + TITLE_PX + 3 * 18 + 20;
        assert!(
            svg.starts_with(&format!(r#"<svg width="692" height="{height}""#)),
            "{svg}"
        );
    }
}
