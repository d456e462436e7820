//! What meshes use of their links, as Markdown.

use std::io::{self, Write};

use sim::{Direction, Size, Traffic, Usage, Weighed};

/// Prints the head of the table, and what of it is assumed.
pub(crate) fn head(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "kbit/s of one node, median / most. Counted: the messages as they are encoded. Assumed: {} \
         bytes more for each packet of 1,350 (IP, UDP, QUIC), a packet of {} bytes that \
         acknowledges each message, and one each {} ms each way on the two connections between \
         any two nodes while they are quiet: the column \"QUIC\".\n",
        sim::PACKET_OVERHEAD_BYTES,
        sim::ACK_BYTES,
        model::limits::KEEP_ALIVE.as_millis()
    )?;
    write!(out, "| nodes | purges/s | | all")?;
    for traffic in Traffic::ALL {
        write!(out, " | {}", traffic.as_str())?;
    }
    writeln!(out, " | QUIC |\n|{}", "---|".repeat(Traffic::ALL.len() + 5))
}

/// Prints two lines: what nodes send, and what they receive.
pub(crate) fn rows(out: &mut impl Write, usage: &Usage) -> io::Result<()> {
    for direction in [Direction::Sent, Direction::Received] {
        let name = match direction {
            Direction::Sent => "sent",
            Direction::Received => "received",
        };
        write!(out, "| {} | {} | {name}", usage.flows.len(), usage.purges)?;
        let overhead = usage.overhead(direction);
        let kinds = Traffic::ALL.map(|traffic| usage.of(direction, traffic));
        let all = (0..usage.flows.len())
            .map(|node| overhead[node] + kinds.iter().map(|kind| kind[node]).sum::<f64>());
        cell(out, all.collect())?;
        for kind in kinds {
            cell(out, kind)?;
        }
        cell(out, overhead)?;
        writeln!(out, " |")?;
    }
    out.flush()
}

/// Prints what gossip was worth meanwhile.
pub(crate) fn lives(out: &mut impl Write, meshes: &[(Size, Weighed)]) -> io::Result<()> {
    writeln!(out, "\n| nodes | living nodes thought dead | a killed node dead to all after ms |")?;
    writeln!(out, "|---|---|---|")?;
    for (size, Weighed { misjudged, death, .. }) in meshes {
        let death = death.map_or("never".to_owned(), |death| death.as_millis().to_string());
        writeln!(out, "| {} | {misjudged} | {death} |", size.nodes())?;
    }
    out.flush()
}

/// The median and the most, in kbit/s.
fn cell(out: &mut impl Write, mut bits: Vec<f64>) -> io::Result<()> {
    bits.sort_by(f64::total_cmp);
    let half = bits.get(bits.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    let most = bits.last().copied().unwrap_or_default();
    write!(out, " | {} / {}", kilo(half), kilo(most))
}

/// Small numbers with a digit behind the point.
fn kilo(bits: f64) -> String {
    let kilobits = bits / 1_000.0;
    match kilobits < 10.0 {
        true => format!("{kilobits:.1}"),
        false => format!("{kilobits:.0}"),
    }
}
