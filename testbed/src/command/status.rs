//! `testbed status`: what stands, how everybody is, what is broken.

use std::process::ExitCode;

use admin::view::{NodeRole, Status};
use futures_util::future::join_all;
use serde_json::json;
use shoal::output::{self, BAD, BOLD, DIM, GOOD, paint};

use crate::cli::Context;
use crate::control::{Active, Ask, Control, Roll};
use crate::crew::Condition;
use crate::operator::Operator;
use crate::scene::{Place, Scene};

/// Runs the command.
pub(crate) async fn run(context: &Context) -> anyhow::Result<ExitCode> {
    let scene = Scene::load(&context.state)?;
    let control = Control::open(&scene).await?;
    let operator = Operator::of(&scene)?;
    let roll: Roll = control.ask(&Ask::Roll).await?;
    let asked = scene.nodes.iter().map(|place| operator.status(place));
    let asked = join_all(asked).await;
    let views: Vec<Option<Status>> = asked.into_iter().map(Result::ok).collect();
    if context.json {
        let nodes = scene.nodes.iter().zip(&views).map(|(place, view)| {
            let condition = roll.conditions.iter().find(|(name, _)| *name == place.name);
            json!({
                "place": place, "condition": condition.map(|(_, condition)| condition),
                "status": view,
            })
        });
        let nodes: Vec<_> = nodes.collect();
        let origins = &scene.origins;
        output::line(json!({ "topology": scene.topology, "backend": scene.backend,
            "nodes": nodes, "origins": origins, "faults": roll.faults }));
        return Ok(ExitCode::SUCCESS);
    }
    let head = ["NODE", "REGION", "TIERS", "PROCESS", "ROLE", "APPLIED", "LEASE", "HTTP", "ADMIN"];
    output::line(paint(BOLD, row(head)));
    for (place, view) in scene.nodes.iter().zip(&views) {
        let condition = roll.conditions.iter().find(|(name, _)| *name == place.name);
        let condition = condition.map_or(Condition::Down, |(_, condition)| *condition);
        tell(place, condition, view.as_ref());
    }
    for origin in &scene.origins {
        let (name, region, at) = (&origin.name, &origin.region, origin.address);
        output::line(format!("{name:<12} {region:<7} origin at http://{at}"));
    }
    for active in &roll.faults {
        output::line(format!("{} {}", paint(BAD, "broken:"), describe(active)));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(cells: [&str; 9]) -> String {
    let [node, region, tiers, process, role, applied, lease, http, admin] = cells;
    format!(
        "{node:<12} {region:<7} {tiers:<20} {process:<8} {role:<9} {applied:>7} {lease:>8}  \
         {http:<21} {admin}"
    )
}

fn tell(place: &Place, condition: Condition, view: Option<&Status>) {
    let own = view.and_then(|view| view.nodes.iter().find(|node| node.name == place.name.as_str()));
    let role = own.map_or("", |node| match node.role {
        NodeRole::Leader => "leader",
        NodeRole::Voter => "voter",
        NodeRole::Follower => "follower",
    });
    let applied = view.map_or_else(String::new, |view| view.log.applied_index.to_string());
    let lease = match own {
        None => String::new(),
        Some(node) if node.fenced => "fenced".into(),
        Some(node) => node.lease_age_ms.map_or_else(String::new, |ms| format!("{ms} ms")),
    };
    let process = match condition {
        Condition::Running => "running",
        Condition::Frozen => "frozen",
        Condition::Down => "down",
        Condition::Died => "died",
    };
    let (http, admin) = (place.http.to_string(), place.admin.to_string());
    let name = place.name.as_str();
    let line =
        row([name, &place.region, &place.tiers, process, role, &applied, &lease, &http, &admin]);
    let style = match (condition, view.is_some_and(|view| view.ready)) {
        (Condition::Running, true) => GOOD,
        (Condition::Running, false) => DIM,
        (Condition::Frozen | Condition::Down | Condition::Died, _) => BAD,
    };
    output::line(paint(style, line));
}

/// One fault in a few words.
pub(crate) fn describe(active: &Active) -> String {
    let whom: Vec<&str> = active.whom.iter().map(|name| name.as_str()).collect();
    let options = active.fault.options();
    let said = format!("#{} {} {} {options}", active.id, active.fault.word(), whom.join(" "));
    said.trim_end().to_owned()
}
