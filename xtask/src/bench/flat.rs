//! Whether a delivery costs the same however many are in a room, and however many rooms there are.

use anyhow::Result;

use super::report::{Cell, Column, Table, grouped, median};
use super::rig::Rig;
use crate::step;

/// The same rate of deliveries to rooms of different sizes.
///
/// # Errors
/// When a run cannot be made.
pub(super) fn members(rig: &Rig) -> Result<Table> {
    let about = format!(
        "{} deliveries/s of 128-byte messages in one room over two nodes, everybody sends. The fewer \
         members, the more messages it takes, and each costs Redis and both nodes something.",
        grouped(rig.flat_per_s.into(), 0)
    );
    let runs = [10, 100, 1_000, 5_000].map(|members| Shape {
        clients: members,
        rooms: 1,
        rooms_per_client: 1,
    });
    measure(rig, about, &runs)
}

/// The same rate of deliveries and of messages over different numbers of rooms.
///
/// # Errors
/// When a run cannot be made.
pub(super) fn rooms(rig: &Rig) -> Result<Table> {
    let about = format!(
        "{} deliveries/s of 128-byte messages over two nodes, always ten members to a room and thus \
         {} messages/s: only the number of rooms differs. A client is in up to 50 rooms.",
        grouped(rig.flat_per_s.into(), 0),
        grouped(f64::from(rig.flat_per_s) / 10.0, 0)
    );
    let shape = |rooms, clients| Shape {
        clients,
        rooms,
        rooms_per_client: rooms * 10 / clients,
    };
    let runs = [
        shape(1, 10),
        shape(50, 500),
        shape(500, 500),
        shape(5_000, 1_000),
    ];
    measure(rig, about, &runs)
}

/// Who is where.
#[derive(Clone, Copy, Debug)]
struct Shape {
    clients: u32,
    rooms: u32,
    rooms_per_client: u32,
}

fn measure(rig: &Rig, about: String, shapes: &[Shape]) -> Result<Table> {
    let about = format!(
        "{about} {} s each. Processor time is of the sending phase, divided by the deliveries in it; what \
         connections cost that are only there is part of it.",
        rig.load_s()
    );
    let mut table = Table::new(about, COLUMNS);
    for shape in shapes {
        if rig.is_quick && shape.clients.max(shape.rooms) > 1_000 {
            continue;
        }
        table.add(row(rig, *shape)?);
    }
    let costs = table.numbers("servers_us");
    let middle = median(&costs).unwrap_or(f64::NAN);
    let relative = |cost: f64| (cost / middle - 1.0) * 100.0;
    table.fill_last(|row| {
        costs
            .get(row)
            .map_or(Cell::Nothing, |cost| relative(*cost).into())
    });
    let furthest = costs.iter().map(|cost| relative(*cost).abs());
    table.conclude(format!(
        "Furthest from the median: {:.0} %.",
        furthest.fold(0.0, f64::max)
    ));
    Ok(table)
}

fn row(rig: &Rig, shape: Shape) -> Result<Vec<Cell>> {
    let Shape {
        clients,
        rooms,
        rooms_per_client,
    } = shape;
    let members = f64::from(clients * rooms_per_client) / f64::from(rooms);
    let run = rig.measure(
        2,
        &format!(
            "--clients {clients} --rooms {rooms} --rooms-per-client {rooms_per_client} \
             --rate {}/s --duration {}s --connect-rate 2k/s",
            f64::from(rig.flat_per_s) / members,
            rig.load_s()
        ),
    )?;
    let report = &run.report;
    let sending = report.sending()?;
    let (window, deliveries) = (sending.window, sending.delivered);
    let costs = run.costs(window, deliveries)?;
    let cost_us = costs.servers_us();
    step::say(&format!(
        "{members} members in each of {rooms} rooms: {cost_us:.2} µs a delivery"
    ));
    Ok(vec![
        members.into(),
        rooms.into(),
        clients.into(),
        sending.per_s(sending.sent).into(),
        sending.per_s(deliveries).into(),
        costs.nodes_us.into(),
        costs.redis_us.into(),
        cost_us.into(),
        costs.percent().into(),
        (report.number("/latency_us/delivery/p50")? / 1e3).into(),
        (report.number("/latency_us/delivery/p99")? / 1e3).into(),
        report.number("/quic/deliveries_per_datagram")?.into(),
        run.remark(window, &costs)?.into(),
        Cell::Nothing,
    ])
}

const COLUMNS: &[Column] = &[
    Column::new("members", "members to a room", 0),
    Column::new("rooms", "rooms", 0),
    Column::new("clients", "clients", 0),
    Column::new("sent_per_s", "messages /s", 0),
    Column::new("delivered_per_s", "delivered /s", 0),
    Column::new("nodes_us", "nodes µs each", 2),
    Column::new("redis_us", "Redis µs each", 2),
    Column::new("servers_us", "servers µs each", 2),
    Column::new("servers_percent", "servers % of a core", 0),
    Column::new("p50_ms", "p50 ms", 2),
    Column::new("p99_ms", "p99 ms", 2),
    Column::new("deliveries_per_datagram", "deliveries per datagram", 2),
    Column::new("remark", "remark", 0),
    Column::new("from_median_percent", "from the median %", 0),
];
