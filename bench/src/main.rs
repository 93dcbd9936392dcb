//! The same load against this chat and what people use today, side by side.
//!
//! `cargo xtask compare` builds and installs what is compared and runs this; it can be run alone
//! against what is there. Servers run on one core, this process on another.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use network::Place;
use report::Report;
use system::{Programs, System};
use workload::{Bench, Figures, Settings, Workload};

mod load;
mod loss;
mod meter;
mod network;
mod payload;
mod process;
mod report;
mod system;
mod table;
mod workload;

#[derive(Debug, Parser)]
#[command(name = "chat-compare")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs workloads against systems and prints a table.
    Run(RunArguments),
    /// Measures one system in networks that lose packets; a run starts it there.
    Lossy(LossyArguments),
    /// Serves as a node of the original's design.
    GrpcServer {
        /// Address to listen on.
        listen: std::net::SocketAddr,
        /// URL of Redis.
        redis: String,
    },
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// The systems.
    #[arg(long, value_name = "SYSTEMS", value_delimiter = ',', alias = "system")]
    only: Vec<System>,
    /// The workloads.
    #[arg(long, value_name = "WORKLOADS", value_delimiter = ',')]
    workloads: Vec<Workload>,
    /// Where all figures are written, as JSON.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Core of the load.
    #[arg(long, value_name = "CORE", default_value_t = 1)]
    load_core: usize,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    programs: Programs,
}

#[derive(Debug, clap::Args)]
struct LossyArguments {
    /// The system.
    #[arg(long)]
    system: System,
    #[command(flatten)]
    lossy: loss::Lossy,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    programs: Programs,
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::Lossy(arguments) => lossy(&arguments),
        Command::GrpcServer { listen, redis } => system::grpc::serve(listen, &redis),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &RunArguments) -> Result<()> {
    network::stay_on(arguments.load_core)?;
    until_interrupted(compare(arguments))
}

/// Measures in lossy networks and prints what it saw as JSON, for the run that started it.
#[expect(clippy::print_stdout, reason = "who started this process reads it")]
fn lossy(arguments: &LossyArguments) -> Result<()> {
    let place = arguments.lossy.servers(arguments.settings.server_core);
    let bench = Bench {
        system: arguments.system,
        programs: &arguments.programs,
        place: &place,
        settings: &arguments.settings,
    };
    let seen = until_interrupted(arguments.lossy.measure(&bench))?;
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

/// Runs on this thread alone: the load is one core's.
fn until_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = work => ended,
            // Dropping the clusters ends their processes.
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        }
    });
    // Nobody waits for connections whose nodes are gone.
    runtime.shutdown_background();
    ended
}

async fn compare(arguments: &RunArguments) -> Result<()> {
    let systems = all_unless_given(&arguments.only);
    let workloads = all_unless_given(&arguments.workloads);
    let mut report = Report::new(&arguments.settings)?;
    let place = Place::loopback(arguments.settings.server_core);
    for system in systems {
        let bench = Bench {
            system,
            programs: &arguments.programs,
            place: &place,
            settings: &arguments.settings,
        };
        let figures = figures(&bench, &workloads).await?;
        report.systems.push((system, figures));
    }
    if let Some(out) = &arguments.out {
        report.save(out)?;
        eprintln!("all figures are in {}", out.display());
    }
    print_table(&report);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is what is asked for")]
fn print_table(report: &Report) {
    println!("{}", table::markdown(report));
}

/// Runs the workloads against one system. One that fails is noted, and the others go on.
async fn figures(bench: &Bench<'_>, workloads: &[Workload]) -> Result<Figures> {
    let mut figures = Figures {
        versions: bench
            .system
            .versions(bench.programs)
            .with_context(|| bench.system.title())?,
        ..Figures::default()
    };
    for &workload in workloads {
        eprintln!("{}: {workload:?}", bench.system.title());
        let ended = match workload {
            Workload::Rates => bench.rates().await.map(|rates| figures.rates = rates),
            Workload::Saturation => bench
                .saturation()
                .await
                .map(|found| figures.saturation = Some(found)),
            Workload::Latency => bench.latency().await.map(|found| figures.latency = found),
            Workload::Memory => bench
                .memory()
                .await
                .map(|found| figures.memory = Some(found)),
            Workload::Loss => loss::run(bench).map(|(seen, way)| {
                figures.loss = seen;
                figures.loss_by = Some(way);
            }),
        };
        if let Err(error) = ended {
            eprintln!("  {}: {error:#}", bench.system.title());
            figures.missing.push(format!("{workload:?}: {error:#}"));
        }
    }
    Ok(figures)
}

fn all_unless_given<T: clap::ValueEnum>(given: &[T]) -> Vec<T> {
    let given = if given.is_empty() {
        T::value_variants()
    } else {
        given
    };
    given.to_vec()
}
