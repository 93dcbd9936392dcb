//! What a run says in the end.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use chat_client::ledger::Verdict;

use crate::driver::plan::Step;
use crate::driver::record::Figures;
use crate::driver::settings::Settings;
use crate::driver::times::{Class, Times};

/// Everything that was counted, measured and judged.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) settings: Settings,
    pub(crate) steps: &'a [Step],
    pub(crate) figures: Figures,
    pub(crate) times: Times,
    pub(crate) verdict: Verdict,
    /// What must not have happened, beside what the verdict says.
    pub(crate) faults: Vec<String>,
    pub(crate) memory_kib_max: Vec<u64>,
}

impl Report<'_> {
    /// Whether every promise was kept.
    pub(crate) fn is_clean(&self) -> bool {
        self.verdict.is_clean() && self.faults.is_empty()
    }
}

impl Display for Report<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
        for step in self.steps {
            *kinds.entry(step.fault.kind()).or_default() += 1;
        }
        writeln!(out, "{}", self.settings)?;
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(kind, len)| format!("{kind} {len}"))
            .collect();
        writeln!(out, "faults {}: {}", self.steps.len(), kinds.join(", "))?;
        let Figures {
            unknown,
            gaps,
            disconnects,
            returns,
            ..
        } = &self.figures;
        writeln!(
            out,
            "connections lost {disconnects}, readers back with a stored cursor {returns}, fate told \
             as unknown {unknown}, gaps told {gaps:?}"
        )?;
        writeln!(out, "{}", self.verdict)?;
        writeln!(out, "from the ack to a reader who stayed joined:")?;
        for (class, name) in Class::ALL {
            match self.times.quantiles(class) {
                Some(quantiles) => writeln!(out, "  {name:22} {quantiles}")?,
                None => writeln!(out, "  {name:22} none")?,
            }
        }
        let most = self
            .memory_kib_max
            .iter()
            .map(|kib| format!("{} MiB", kib / 1024));
        let most: Vec<String> = most.collect();
        writeln!(out, "most memory of the nodes: {}", most.join(", "))?;
        for fault in &self.faults {
            writeln!(out, "  {fault}")?;
        }
        let end = if self.is_clean() { "kept" } else { "NOT KEPT" };
        write!(out, "the promises were {end}")
    }
}
