//! The event that tells of the node.

use jiff::Timestamp;
use serde::Serialize;

use crate::json::event::fractional_milliseconds;
use crate::json::rfc3339;
use crate::report::node::{CLIENT, NodeReport, Way, durability_word, trust_word};

/// The node, and the way to it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "docs/events.schema.json describes each field")]
pub struct NodeEvent<'a> {
    pub ts: &'a str,
    #[serde(rename = "ref")]
    pub reference: Option<&'a str>,
    pub node: &'a str,
    pub target: &'a str,
    pub session: String,
    pub nick: &'a str,
    pub protocol: u8,
    pub minor: u16,
    pub client: &'a str,
    pub way: Option<WayFields>,
    pub certificate: Option<CertificateFields>,
    pub promise: Option<PromiseFields>,
}

/// The connection, measured.
#[derive(Debug, Serialize)]
pub struct WayFields {
    pub address: String,
    pub age_s: u64,
    pub rtt_ms: f64,
    pub rtt_min_ms: f64,
    pub packets_sent: u64,
    pub packets_lost: u64,
    pub loss_percent: f64,
    pub mtu_bytes: u16,
    pub congestion_window_bytes: u64,
}

/// The node's certificate.
#[derive(Debug, Serialize)]
pub struct CertificateFields {
    pub sha256: String,
    pub trusted_by: &'static str,
    pub not_after: Option<String>,
}

/// What the node promises of acked messages.
#[derive(Debug, Serialize)]
pub struct PromiseFields {
    pub durability: String,
    pub may_evict: bool,
}

impl<'a> NodeEvent<'a> {
    pub(super) fn of(report: &'a NodeReport, now: &'a str) -> Self {
        let certificate = report.certificate.map(|certificate| CertificateFields {
            sha256: certificate.fingerprint.to_string(),
            trusted_by: trust_word(&report.trust),
            not_after: certificate
                .not_after
                .and_then(|not_after| Timestamp::try_from(not_after).ok())
                .map(rfc3339),
        });
        Self {
            ts: now,
            reference: report.reference.as_deref(),
            node: report.node.as_str(),
            target: &report.target,
            session: report.session.to_string(),
            nick: report.name.as_str(),
            protocol: 1,
            minor: report.minor,
            client: CLIENT,
            way: report.way.as_ref().map(WayFields::of),
            certificate,
            promise: report.status.as_ref().map(|status| PromiseFields {
                durability: durability_word(status.durability),
                may_evict: status.may_evict,
            }),
        }
    }
}

impl WayFields {
    fn of(way: &Way) -> Self {
        Self {
            address: way.address.to_string(),
            age_s: way.age.as_secs(),
            rtt_ms: fractional_milliseconds(way.rtt),
            rtt_min_ms: fractional_milliseconds(way.rtt_min),
            packets_sent: way.packets_sent,
            packets_lost: way.packets_lost,
            loss_percent: (way.loss_percent() * 1e3).round() / 1e3,
            mtu_bytes: way.mtu_bytes,
            congestion_window_bytes: way.congestion_window_bytes,
        }
    }
}
