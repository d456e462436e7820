//! `shoal ca`: the authority of a mesh, and certificates for its nodes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use model::{NodeName, Region, Tiers};
use transport::{Authority, Validity};
use wire::hello::Mesh;

use crate::host::Machine;
use crate::output;

/// Make the mesh's certificate authority, and certificates for its nodes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make the authority of a new mesh: ca.pem and ca.key. Keep ca.key away from the nodes.
    Init {
        /// Where to write them; made when missing.
        dir: PathBuf,
        /// What the mesh is called; nodes of other meshes are refused.
        #[arg(long, default_value = "shoal")]
        mesh: Mesh,
    },
    /// Make a node's certificate and key: NAME.pem, NAME.key and ca.pem go to the node.
    Issue {
        /// What the node is called: unique in the mesh, a-z, 0-9 and -.
        name: NodeName,
        /// Where it stands: nodes of one region are near each other.
        #[arg(long)]
        region: Region,
        /// What it serves: edge, regional, shield, or several with commas.
        #[arg(long, default_value_t = Tiers::ALL)]
        tiers: Tiers,
        /// The authority's directory.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// Where to write the files; beside the authority's if not given.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let now = Machine.wall();
    match &arguments.action {
        Action::Init { dir, mesh } => {
            Authority::create(mesh, Validity::of_authority(now))?.save(dir)?;
            output::line(format!("the authority of mesh {mesh} is in {}", dir.display()));
            output::note(format!(
                "next: shoal ca issue NAME --region REGION --tiers TIERS --dir {}",
                dir.display()
            ));
        }
        Action::Issue { name, region, tiers, dir, out } => {
            let authority = Authority::load(dir)?;
            let out = out.as_ref().unwrap_or(dir);
            authority.issue(name, region, *tiers, Validity::of_node(now))?.save(out)?;
            let place = out.display();
            output::line(format!("{place}/{name}.pem, {place}/{name}.key, {place}/ca.pem"));
            output::note(format!(
                "next: copy them to the node, and there: shoal node --name {name} --tls-dir DIR"
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
