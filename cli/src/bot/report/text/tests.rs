use super::*;
use crate::bot::report::{ErrorRow, Report, sample};

fn text(report: &Report) -> String {
    let palette = Palette::Bare;
    Text { report, palette }.to_string()
}

#[test]
fn a_report_reads_from_the_verdict_to_the_command() {
    assert_eq!(text(&sample::passed()), PASSED);
}

#[test]
fn what_went_wrong_stands_out() {
    let report = text(&sample::failed());
    let beginning = "\
FAIL  120,034 sent, 2,400,677 of 2,400,680 delivered, 3 lost, 1 duplicated, 2 out of order, 6
      corrupted, 7 invented, 8 disagreed
      3 messages that were acked never reached a reader
      1 of 2 asserts failed

";
    assert!(report.starts_with(beginning), "{report}");
    for part in [
        "\n!!! RESULTS LIMITED BY THIS CLIENT\n",
        "             corrupted 6, invented 7, disagreed 8, late 5, announced gaps 4\n",
        "\n             violated: bot-3 in room-7: 41 never came\n",
        "\n  p99<20ms                        measured 9.6 ms              ok\n",
        "\n  lost==0                         measured 3                   FAIL\n",
    ] {
        assert!(report.contains(part), "{part:?} is not in\n{report}");
    }
    assert!(!text(&sample::passed()).contains("LIMITED"));
    let mut passed = sample::passed();
    passed.asserts[0].passed = false;
    let report = text(&passed);
    let second = report.lines().nth(1);
    assert_eq!(
        second,
        Some("      1 of 1 assert failed"),
        "although it passed"
    );
}

#[test]
fn a_run_that_ended_early_says_so_and_has_dashes_for_figures() {
    let mut report = Report::default();
    report.run.ended = Ended::ClusterGone;
    let report = text(&report);
    assert!(
        report.starts_with("INCOMPLETE  0 sent, 0 of 0 delivered, 0 lost, "),
        "{report}"
    );
    for part in [
        "drain 0.0 s; the cluster was gone\n",
        "nothing was sent; ",
        "\n  delivery                    –         –         –         –         –              0\n",
        "rtt –; 0 of 0 packets lost (0%), 0 congestion events\n",
    ] {
        assert!(report.contains(part), "{part:?} is not in\n{report}");
    }
}

#[test]
fn colours_mark_good_and_bad_and_change_nothing_else() {
    for (report, verdict) in [
        (sample::passed(), "\u{1b}[32mPASS\u{1b}[0m  "),
        (sample::failed(), "\u{1b}[31mFAIL\u{1b}[0m  "),
        (Report::default(), "\u{1b}[1;33mINCOMPLETE\u{1b}[0m  "),
    ] {
        let palette = Palette::Colour;
        let report = &report;
        let coloured = Text { report, palette }.to_string();
        assert!(coloured.starts_with(verdict), "{coloured}");
        let bare = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[1;33m", "\u{1b}[0m"]
            .iter()
            .fold(coloured, |text, code| text.replace(code, ""));
        assert_eq!(bare, text(report));
    }
}

#[test]
fn strangers_neither_command_the_terminal_nor_fill_it() {
    let report = text(&hostile());
    for line in report.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(!line.contains('\u{202e}'), "{line:?}");
        let columns = wrap::columns(line);
        assert!(columns <= COLUMNS_MAX, "{columns} columns: {line}");
    }
    let lines = report.lines().count();
    assert!(lines < 250, "{lines} lines");
    for part in [
        "\n      and 32 more, in the JSON report\n",
        "\n             and 35 more, in the JSON report\n",
        "\n  and 24 more, in the JSON report\n",
        "\n  and 30 more, in the JSON report\n",
    ] {
        assert!(report.contains(part), "{part:?} is not in\n{report}");
    }
}

#[test]
fn the_largest_numbers_stay_in_the_text() {
    let mut report = sample::failed();
    for summary in [
        &mut report.latency_us.delivery,
        &mut report.targets[0].ack_us,
    ] {
        *summary = sample::summary(u64::MAX, 400_000_000_000_000_000);
    }
    report.rate.acked_per_s = f64::NAN;
    report.quic.deliveries_per_datagram = f64::INFINITY;
    report.targets[0].delivered = u64::MAX;
    report.errors[0].last_s = f64::MAX;
    let report = text(&report);
    assert!(report.contains("18,446,744,073,709,551,615"), "{report}");
    assert!(report.contains("acked –, delivered"), "{report}");
}

/// A report full of what a hostile node may have said.
fn hostile() -> Report {
    let bad = "\u{1b}[2J\r\u{202e}<script>今日は ".repeat(9);
    let mut report = sample::failed();
    report.reasons = vec![bad.clone(); 40];
    report.violations = vec![bad.clone(); 40];
    report.targets = vec![report.targets[0].clone(); 40];
    for target in &mut report.targets {
        target.node.clone_from(&bad);
        target.target.clone_from(&bad);
    }
    let error = ErrorRow {
        code: bad.clone(),
        text: bad.clone(),
        ..report.errors[0].clone()
    };
    report.errors = vec![error; 40];
    report.asserts[0].measured.clone_from(&bad);
    report.run.title = Some(bad);
    report
}

const PASSED: &str = "\
PASS  120,034 sent, 2,400,680 of 2,400,680 delivered, 0 lost, 0 duplicated, 0 out of order

title        two nodes, one Redis
run          chat, 200 clients (20 senders) in 20 rooms, seed 7
             2026-11-23T19:05:02.000Z, chat-cli 0.1.0 on 2 cores
             connect 1.2 s, load 60.0 s, drain 0.4 s
load         planned 2,001/s, sent 2,001/s, acked 2,000/s, delivered 40,011/s; 2 skipped
             sent late by p50 60 µs, p99 240 µs, max 1.86 ms; the bot took 87% of a core and 141 MiB

latency                     p50       p90       p99     p99.9       max              n
  connect               4.20 ms   8.40 ms   16.8 ms   37.8 ms    130 ms            200
  ack                   1.90 ms   3.80 ms   7.60 ms   17.1 ms   58.9 ms        120,030
  delivery              2.40 ms   4.80 ms   9.60 ms   21.6 ms   74.4 ms      2,400,680
    same node           2.10 ms   4.20 ms   8.40 ms   18.9 ms   65.1 ms      1,200,340
    cross node          2.70 ms   5.40 ms   10.8 ms   24.3 ms   83.7 ms      1,200,340
  service: ack           870 µs   1.74 ms   3.48 ms   7.83 ms   27.0 ms        120,030
  service: delivery     1.30 ms   2.60 ms   5.20 ms   11.7 ms   40.3 ms      2,400,680
  ack and delivery count from when a message was due, service from when it was sent

delivery     expected 2,400,680, delivered 2,400,680, lost 0, duplicated 0, reordered 0
             corrupted 0, invented 0, disagreed 0, late 5, announced gaps 4
messages     sent 120,034, acked 120,030, unacked 3, unacked but in the log 1, refused 2
connections  opened 212, failed 1, reconnects 2, returns 10, resumed 9, open 200; made at 160/s
quic         rtt p50 310 µs, p99 1.24 ms; 36 of 181,000 packets lost (0.02%), 12 congestion events
             in 296 MiB in 400,113 datagrams, out 20.0 MiB; 6.00 deliveries a datagram

target             node      open  rtt p50  ack p99 delivery p99     acked   delivered reconn errors
  8081             node-1     100   310 µs  7.60 ms      9.60 ms    60,015   1,200,340      1      1
  8082             node-2     100   310 µs  7.60 ms      9.60 ms    60,015   1,200,340      1      1

error                    count  first at   last at  what the first said
  rate_limited               2     3.5 s    17.2 s  slower

assert
  p99<20ms                        measured 9.6 ms              ok

to repeat it
  chat-cli bot 8081 8082 -c 200 --rooms 20 --rate 2000 -z 60s --seed 7
";
