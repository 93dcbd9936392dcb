use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::*;
use crate::bot::progress::TargetProgress;
use crate::bot::report::{ErrorRow, Interval, Summary};

#[test]
fn a_usual_terminal_shows_everything() {
    assert_page(
        &load(),
        80,
        24,
        &[
            " LOAD       14s    ██████████░░░░░░░░░░░░░░░░  40%    18s left  200/200 clients",
            " ok  0 lost, 0 duplicated, 0 reordered, 0 corrupted so far",
            "",
            " sent         2,023/s of 2,000/s        24,000   ▁▁▁▁▁▁▂▂▂▃▃▃▃▄▄▄▄▅▅▅▆▆▆▆▇▇▇▇██",
            " acked        1,011/s                   23,990   ▁▁▁▁▁▁▂▂▂▃▃▃▃▄▄▄▄▅▅▅▆▆▆▆▇▇▇▇██",
            " delivered   20,230/s                  239,900   ▁▁▁▁▁▁▂▂▂▃▃▃▃▄▄▄▄▅▅▅▆▆▆▆▇▇▇▇██",
            "",
            " due to     ack                            delivery",
            " p50     310 µs ██▌                           99 µs ▏",
            " p90    1.00 ms █████▎                      1.80 ms ██████▌",
            " p99    3.20 ms ███████▉                    5.24 ms █████████",
            " p99.9  31.6 ms █████████████                100 ms ███████████████▋",
            " max     10.0 s ██████████████████████████   60.0 s ██████████████████████████",
            "                   1ms 10ms        1s                  1ms 10ms        1s",
            "",
            " target          clients      rtt     acked  delivered  reconn  errors  node",
            " 127.0.0.1:8081    67/67   310 µs     665/s    6,654/s       0       0  node-1",
            " 127.0.0.1:8082    67/67   310 µs     665/s    6,654/s       0       0  node-2",
            " 127.0.0.1:8083    67/67   310 µs     665/s    6,654/s       0       0  node-3",
            "",
            "",
            "",
            "",
            " q end now with a report  p pause sending",
        ],
    );
}

#[test]
fn a_small_terminal_shows_what_matters() {
    assert_page(
        &load(),
        40,
        10,
        &[
            " LOAD  14s  200/200 clients",
            " █████████░░░░░░░░░░░░░░  40%  18s left",
            " ok  0 lost, 0 duplicated, 0 reordered",
            "",
            " sent         2,023/s  of 2,000/s ▁▃▄▆█",
            " acked        1,011/s      23,990 ▁▃▄▆█",
            " delivered   20,230/s     239,900 ▁▃▄▆█",
            " ack       p50 310 µs p99 3.20 ms",
            " delivery  p50 99 µs p99 5.24 ms",
            " q end and report  p pause sending",
        ],
    );
    assert_page(
        &bad(),
        40,
        10,
        &[
            " PAUSED  14s   60/200 clients",
            " █████████░░░░░░░░░░░░░░  40%",
            " !!! 7 VIOLATIONS !!!",
            " ! LIMITED BY THIS CLIENT: 120 ms late",
            " sent         2,023/s  of 2,000/s ▁▃▄▆█",
            " acked        1,011/s      23,990 ▁▃▄▆█",
            " delivered   20,230/s     239,900 ▁▃▄▆█",
            " delivery  p50 99 µs p99 5.24 ms",
            " 14 errors: rate_limited 12, �31mred 2",
            " q end and report  p go on",
        ],
    );
}

#[test]
fn what_is_wrong_is_loud() {
    assert_page(
        &bad(),
        80,
        24,
        &[
            " PAUSED     14s    ██████████░░░░░░░░░░░░░░░░  40%               60/200 clients",
            "",
            " !!! 7 VIOLATIONS: deliveries are not as promised !!!",
            "",
            " ! LIMITED BY THIS CLIENT: sends are 120 ms late, the cluster may do more",
            "",
            " sent         2,023/s of 2,000/s        24,000   ▁▁▁▁▁▁▂▂▂▃▃▃▃▄▄▄▄▅▅▅▆▆▆▆▇▇▇▇██",
            " acked        1,011/s                   23,990   ▁▁▁▁▁▁▂▂▂▃▃▃▃▄▄▄▄▅▅▅▆▆▆▆▇▇▇▇██",
            " delivered   20,230/s                  239,900   ▁▁▁▁▁▁▂▂▂▃▃▃▃▄▄▄▄▅▅▅▆▆▆▆▇▇▇▇██",
            "",
            " due to     ack                            delivery",
            " p50     310 µs ██▌                           99 µs ▏",
            " p90    1.00 ms █████▎                      1.80 ms ██████▌",
            " p99    3.20 ms ███████▉                    5.24 ms █████████",
            " p99.9  31.6 ms █████████████                100 ms ███████████████▋",
            " max     10.0 s ██████████████████████████   60.0 s ██████████████████████████",
            "                   1ms 10ms        1s                  1ms 10ms        1s",
            " target          clients      rtt     acked  delivered  reconn  errors  node",
            " 127.0.0.1:8081    67/67   310 µs     665/s    6,654/s       0       0  node-1",
            " 127.0.0.1:8082     0/67        –     665/s    6,654/s   1,234      14  node-2",
            " 127.0.0.1:8083    67/67   310 µs     665/s    6,654/s       0       0  ␛]0;titl",
            " 12 × rate_limited  20 messages/s are allowed",
            " 2 × �31mred  ␛[2Jgone␇␍ next �line",
            " q end now with a report  p go on",
        ],
    );
}

#[test]
fn a_page_without_values_says_so() {
    assert_page(
        &Progress::default(),
        80,
        12,
        &[
            " CONNECTING 0s                                                      0/0 clients",
            " ok  0 lost, 0 duplicated, 0 reordered, 0 corrupted so far",
            "",
            " sent             0/s of 0/s                 0",
            " acked            0/s                        0",
            " delivered        0/s                        0",
            "",
            " ack       p50 – p90 – p99 – p99.9 – max –",
            " delivery  p50 – p90 – p99 – p99.9 – max –",
            "",
            "",
            " q end now with a report",
        ],
    );
}

#[test]
fn nothing_is_told_by_colour_alone() {
    for (progress, loud) in [
        (load(), vec![]),
        (
            bad(),
            vec![("VIOLATIONS", Color::Red), ("LIMITED", Color::Yellow)],
        ),
    ] {
        let colour = page(&progress, Palette::Colour, 80, 24);
        let bare = page(&progress, Palette::Bare, 80, 24);
        assert_eq!(texts(&colour), texts(&bare));
        for cell in &bare.content {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{cell:?}");
        }
        let bands: Vec<u16> = (0..24)
            .filter(|y| (0..80).all(|x| bare[(x, *y)].modifier.contains(Modifier::REVERSED)))
            .collect();
        assert_eq!(bands.is_empty(), loud.is_empty());
        for (word, background) in loud {
            let y = texts(&bare)
                .iter()
                .position(|text| text.contains(word))
                .unwrap();
            let y = u16::try_from(y).unwrap();
            assert!(bands.contains(&y), "{word} is in {bands:?}");
            assert!((0..80).all(|x| colour[(x, y)].bg == background), "{word}");
        }
        assert!(colour.content.iter().all(|cell| {
            !cell
                .modifier
                .intersects(Modifier::SLOW_BLINK | Modifier::RAPID_BLINK)
        }));
    }
}

#[test]
fn every_size_has_a_page() {
    let mut late = bad();
    late.done = None;
    late.errors.resize(30, ErrorRow::default());
    late.targets.resize(30, TargetProgress::default());
    for progress in [Progress::default(), load(), bad(), late] {
        for columns in (0..30).chain(38..48).chain([60, 71, 72, 73, 80, 140]) {
            for rows in [0, 1, 2, 3, 9, 10, 11, 12, 15, 20, 24, 60] {
                let texts = texts(&page(&progress, Palette::Colour, columns, rows));
                if columns >= 40 && rows >= 10 {
                    assert!(texts.last().unwrap().contains("q end"), "{texts:#?}");
                    assert!(
                        texts.iter().any(|text| text.contains("delivered")),
                        "{texts:#?}"
                    );
                } else if columns >= 18 && rows >= 2 {
                    assert!(
                        texts.iter().any(|text| text.contains("small")),
                        "{texts:#?}"
                    );
                }
                if columns >= 14 && rows > 0 && progress.violations > 0 {
                    assert!(
                        texts
                            .iter()
                            .any(|text| text.to_lowercase().contains("violation")),
                        "{texts:#?}"
                    );
                }
            }
        }
    }
}

#[test]
fn no_text_leaves_its_cells() {
    let all: String = (0..0xffff).filter_map(char::from_u32).collect();
    let mut progress = bad();
    progress.errors = all
        .chars()
        .collect::<Vec<_>>()
        .chunks(40)
        .map(|letters| ErrorRow {
            code: letters.iter().take(3).collect(),
            text: letters.iter().collect(),
            count: 1,
            ..ErrorRow::default()
        })
        .collect();
    progress.targets[0]
        .target
        .push_str("\u{1b}[31m\r\n\u{202e}");
    let rows = u16::try_from(progress.errors.len()).unwrap() + 40;
    let buffer = page(&progress, Palette::Colour, 80, rows);
    for text in texts(&buffer) {
        assert_eq!(text, crate::clean::line(&text));
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}

#[test]
fn the_rest_of_a_phase_is_told_when_it_can_be() {
    for (done, elapsed, is_paused, left) in [
        (Some(0.5), 32, false, Some(30)),
        (Some(0.25), 12, false, Some(30)),
        (Some(0.01), 12, false, None),
        (Some(0.25), 12, true, None),
        (Some(2.0), 12, false, Some(0)),
        (Some(f64::NAN), 12, false, None),
        (None, 12, false, None),
    ] {
        let progress = Progress {
            done,
            is_paused,
            elapsed: Duration::from_secs(elapsed),
            ..Progress::default()
        };
        let look = Look {
            palette: Palette::Bare,
            phase_began: Duration::from_secs(2),
        };
        let expected = left.map(Duration::from_secs);
        assert_eq!(remaining(&progress, &look), expected, "{done:?} {elapsed}");
    }
}

fn assert_page(progress: &Progress, columns: u16, rows: u16, expected: &[&str]) {
    let texts = texts(&page(progress, Palette::Colour, columns, rows));
    assert_eq!(texts, expected, "{texts:#?}");
}

fn page(progress: &Progress, palette: Palette, columns: u16, rows: u16) -> Buffer {
    let look = Look {
        palette,
        phase_began: Duration::from_secs(2),
    };
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, progress, &look)).unwrap();
    terminal.backend().buffer().clone()
}

/// Rows, without the spaces at their ends.
fn texts(buffer: &Buffer) -> Vec<String> {
    let columns = usize::from(buffer.area.width);
    buffer
        .content
        .chunks(columns.max(1))
        .map(|row| {
            let text: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
            text.trim_end().to_owned()
        })
        .collect()
}

fn load() -> Progress {
    let interval = |sent| Interval {
        length_s: 1.0,
        sent,
        acked: sent / 2,
        delivered: sent * 10,
        ..Interval::default()
    };
    let target = |number: u16| TargetProgress {
        target: format!("127.0.0.1:{}", 8080 + number),
        node: format!("node-{number}"),
        open: 67,
        clients: 67,
        rtt: Duration::from_micros(310),
        acked_per_s: 665.4,
        delivered_per_s: 6_653.6,
        ..TargetProgress::default()
    };
    Progress {
        phase: Phase::Load,
        elapsed: Duration::from_secs(14),
        done: Some(0.4),
        open: 200,
        clients: 200,
        target_rate: 2_000.0,
        sent: 24_000,
        acked: 23_990,
        delivered: 239_900,
        ack: Summary {
            count: 23_990,
            p50: 310,
            p90: 1_000,
            p99: 3_200,
            p999: 31_600,
            max: 10_000_000,
            ..Summary::default()
        },
        delivery: Summary {
            count: 239_900,
            p50: 99,
            p90: 1_800,
            p99: 5_240,
            p999: 100_000,
            max: 60_000_000,
            ..Summary::default()
        },
        lag_p99_us: 120_000,
        targets: vec![target(1), target(2), target(3)],
        recent: (0..120).map(|second| interval(second * 17)).collect(),
        ..Progress::default()
    }
}

fn bad() -> Progress {
    let error = |code: &str, text: &str, count| ErrorRow {
        code: code.to_owned(),
        text: text.to_owned(),
        count,
        ..ErrorRow::default()
    };
    let mut progress = Progress {
        violations: 7,
        is_limited: true,
        is_paused: true,
        open: 60,
        errors: vec![
            error("rate_limited", "20 messages/s are allowed", 12),
            error("\u{9b}31mred", "\u{1b}[2Jgone\u{7}\r\nnext \u{202e}line", 2),
        ],
        ..load()
    };
    progress.targets[1].errors = 14;
    progress.targets[1].reconnects = 1_234;
    progress.targets[1].open = 0;
    progress.targets[1].rtt = Duration::ZERO;
    progress.targets[2].node = "\u{1b}]0;title\u{7}日本".to_owned();
    progress
}
