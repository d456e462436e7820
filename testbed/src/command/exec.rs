//! `testbed exec`: runs a command where a node is, with everything set so that `shoal` talks to
//! that node.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::cli::Context;
use crate::scene::{Backend, Scene};

/// Run a command where a node is.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which node.
    node: String,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let scene = Scene::load(&context.state)?;
    let place = scene.node(&arguments.node)?;
    let cell = scene.cell(&place.name);
    let (first, rest) = arguments.command.split_first().context("a command")?;
    let program = match first.as_str() {
        "shoal" => scene.state.join("bin").join("shoal").display().to_string(),
        other => other.to_owned(),
    };
    let admin = format!("http://{}", place.admin);
    let token = scene.token_file().display().to_string();
    let variables = [("SHOAL_ADMIN", &admin), ("SHOAL_ADMIN_TOKEN_FILE", &token)];
    let mut command = match scene.backend {
        Backend::Process => Command::new(&program),
        Backend::Netns => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &cell, &program]);
            command
        }
        Backend::Docker => {
            let mut command = Command::new("docker");
            command.arg("exec");
            for (name, value) in variables {
                command.arg("--env").arg(format!("{name}={value}"));
            }
            command.arg("-i").arg(&cell).arg(&program);
            command
        }
    };
    let status = command.args(rest).envs(variables).status().await;
    let status = status.with_context(|| format!("{first} cannot be started"))?;
    ensure!(status.code().is_some(), "{first} was ended by a signal");
    let code = u8::try_from(status.code().unwrap_or(1)).unwrap_or(1);
    Ok(ExitCode::from(code))
}
