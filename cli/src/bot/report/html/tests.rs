//! Pages of all kinds of runs.

use super::*;
use crate::bot::report::{Interval, Target, sample};

fn page(report: &Report) -> String {
    Page { report }.to_string()
}

/// Pages of runs of every length, and of nothing at all.
fn pages() -> Vec<(&'static str, String)> {
    let with = |timeline: Vec<Interval>| {
        let mut report = sample::failed();
        report.timeline = timeline;
        page(&report)
    };
    let absurd = Interval {
        at_s: f64::NAN,
        length_s: f64::INFINITY,
        delivered: u64::MAX,
        delivery_max_us: u64::MAX,
        delivery_p50_us: 1,
        errors: u64::MAX,
        reconnects: u64::MAX,
        ..sample::interval(1)
    };
    let mut zeros = Report {
        timeline: vec![Interval::default(); 5],
        targets: vec![Target::default()],
        ..Report::default()
    };
    zeros.latency_us.delivery.count = 3;
    vec![
        ("default", page(&Report::default())),
        ("passed", page(&sample::passed())),
        ("failed", page(&sample::failed())),
        ("no interval", with(vec![])),
        ("one interval", with(vec![sample::interval(0)])),
        ("an hour", with((0..3_600).map(sample::interval).collect())),
        ("zeros", page(&zeros)),
        ("absurd", with(vec![absurd, sample::interval(2), absurd])),
    ]
}

#[test]
fn every_page_is_whole() {
    for (name, page) in pages() {
        assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"));
        let mut open: Vec<&str> = vec![];
        for tag in page.split('<').skip(2) {
            let (tag, _) = tag.split_once('>').unwrap();
            let element = tag.split([' ', '/']).next().unwrap();
            if let Some(closed) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed), "{name}: in {open:?}");
            } else if !tag.ends_with('/') && element != "meta" {
                open.push(element);
            }
        }
        assert!(open.is_empty(), "{name}: {open:?} are not closed");
    }
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    for (name, page) in pages() {
        for outside in [
            "<script", "<link", "<img", "<iframe", "src=", "href=", "url(", "@import", "//",
        ] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
    }
}

#[test]
fn charts_hold_places_inside_their_bounds_only() {
    for (name, page) in pages() {
        for bad in ["NaN", "inf", "=\"-"] {
            let charts = page.split("<svg").skip(1);
            for chart in charts.map(|chart| chart.split("</svg>").next().unwrap()) {
                let places = chart.split("<title>").next().unwrap();
                assert!(!places.contains(bad), "{name}: {bad} in {places}");
            }
        }
        for path in page.split(" d=\"").skip(1) {
            let path = path.split('"').next().unwrap();
            let places = path.split(|letter: char| "MLHV ".contains(letter));
            for place in places.filter(|place| !place.is_empty()) {
                let place: f64 = place.parse().unwrap();
                assert!((0.0..=940.0).contains(&place), "{name}: {path}");
            }
        }
    }
}

#[test]
fn lines_are_where_their_values_are() {
    let mut report = sample::passed();
    let interval = |at_s, planned, max| Interval {
        at_s,
        length_s: 1.0,
        planned,
        delivery_max_us: max,
        ..Interval::default()
    };
    report.timeline = vec![
        interval(1.0, 0, 1_000),
        interval(2.0, 500, 100_000),
        // Nothing was delivered: the line is interrupted.
        interval(3.0, 1_000, 0),
        interval(4.0, 1_000, 10_000),
    ];
    let page = page(&report);
    // Four seconds are 810 pixels from 112 on; 1,000 a second are 178 upwards from 186.
    let planned = "<path class=\"line grey dashed\" \
                   d=\"M213.2 186.0L415.8 97.0 618.2 8.0 820.8 8.0 \"/>";
    assert!(page.contains(planned), "{page}");
    // Two decades are 218 pixels upwards from 226; the last second stands alone.
    let max = "<path class=\"line pink\" d=\"M213.2 226.0L415.8 8.0 M719.5 117.0H922.0\"/>";
    assert!(page.contains(max), "{page}");
    assert!(page.contains("<title>1.0 to 2.0 s\nplanned: 500/s\nsent: 0/s\nacked: 0/s</title>"));
    assert!(page.contains("<title>2.0 to 3.0 s\nmax: –\np99: –\np50: –</title>"));
}

#[test]
fn a_long_run_makes_no_endless_page() {
    let mut report = sample::passed();
    report.timeline = (0..3_600).map(sample::interval).collect();
    let page = page(&report);
    assert!(page.len() < 400_000, "{} bytes", page.len());
    assert!(page.contains("<title>0.0 to 20.0 s\n"), "strips are merged");
    assert!(page.contains("each point is the worst of 9 intervals"));
    assert!(page.contains("each point is the mean of 9 intervals"));
    assert!(!self::page(&sample::passed()).contains("each point"));
}

#[test]
fn the_page_says_what_the_report_says() {
    let passed = page(&sample::passed());
    let failed = page(&sample::failed());
    for part in [
        "<title>PASS: two nodes, one Redis</title>",
        "<header class=\"pass\">\n<p class=\"badge\">PASS</p>",
        "120,034 sent, 2,400,680 of 2,400,680 delivered, 0 lost, 0 duplicated, 0 out of order",
        "<td>cross node</td>",
        "<td>node-2</td>",
        "<td>rate_limited</td>",
        "<dt>lost</dt><dd>0</dd>",
        "<pre>chat-cli bot 8081 8082 -c 200",
        "<td class=\"text\">p99&lt;20ms</td><td>9.6 ms</td><td class=\"ok\">ok</td>",
    ] {
        let part = part.replace("<td>cross", "<td class=\"sub\">cross");
        assert!(passed.contains(&part), "{part}");
    }
    for part in [
        "<header class=\"fail\">\n<p class=\"badge\">FAIL</p>",
        "<li>1 of 2 asserts failed</li>",
        "<strong>results limited by this client</strong>",
        "<dt>lost</dt><dd class=\"no\">3</dd>",
        "<li>bot-3 in room-7: 41 never came</li>",
        "<td class=\"no\">FAIL</td>",
    ] {
        assert!(failed.contains(part), "{part}");
        assert!(!passed.contains(part), "{part}");
    }
}

#[test]
fn what_strangers_wrote_stays_text() {
    let bad = "\"><script>alert('1')</script>&amp;\u{202e}\u{1b}[2J";
    let mut report = sample::failed();
    report.reasons = vec![bad.to_owned()];
    report.violations = vec![bad.to_owned()];
    report.targets[0].node = bad.to_owned();
    report.targets[0].target = bad.to_owned();
    report.errors[0].code = bad.to_owned();
    report.errors[0].text = bad.to_owned();
    report.asserts[0].assert = bad.to_owned();
    report.asserts[0].measured = bad.to_owned();
    let run = &mut report.run;
    for text in [
        &mut run.command,
        &mut run.started,
        &mut run.scenario,
        &mut run.version,
    ] {
        bad.clone_into(text);
    }
    for title in [Some(bad.to_owned()), None] {
        report.run.title = title;
        let page = page(&report);
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains(['\u{1b}', '\u{202e}']), "{page}");
        let shown = "&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;";
        assert!(page.matches(shown).count() >= 14, "{page}");
    }
}
