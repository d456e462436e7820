//! `shoal delete`: a distribution goes, and everything cached for it on every node.

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Subcommand;
use http::Method;
use model::DistributionName;

use crate::client::Admin;
use crate::output;

const DEADLINE: Duration = Duration::from_secs(30);

/// Delete a distribution and everything cached for it, or a node that is gone for good.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Subcommand)]
enum What {
    /// A distribution.
    Distribution {
        /// Its name.
        name: DistributionName,
    },
    /// A node that is gone for good: it leaves the roster, and its keys go to others.
    Node {
        /// Its name.
        name: model::NodeName,
        /// Even if it seems alive.
        #[arg(long)]
        force: bool,
    },
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let target = match &arguments.what {
        What::Distribution { name } => format!("/v1/distributions/{name}"),
        What::Node { name, force } => format!("/v1/nodes/{name}?force={force}"),
    };
    arguments.admin.expect(Method::DELETE, &target, Bytes::new(), DEADLINE).await?;
    match &arguments.what {
        What::Distribution { name } => output::line(format!("distribution {name} deleted")),
        What::Node { name, .. } => output::line(format!("node {name} removed from the roster")),
    }
    Ok(ExitCode::SUCCESS)
}
