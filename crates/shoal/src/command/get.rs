//! `shoal get`: distributions, in the form in which `apply` takes them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use clap::{Subcommand, ValueEnum};
use http::Method;
use model::{Distribution, DistributionName};

use crate::client::Admin;
use crate::command::apply::Site;
use crate::output;

const DEADLINE: Duration = Duration::from_secs(10);

/// Show distributions.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Subcommand)]
enum What {
    /// All distributions, or one.
    #[command(alias = "distribution")]
    Distributions {
        /// Only this one.
        name: Option<DistributionName>,
        /// The form: TOML is what apply takes.
        #[arg(short, long, value_enum, default_value_t = Form::Toml)]
        output: Form,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Toml,
    Json,
}

#[derive(serde::Deserialize)]
struct Listing {
    distributions: Vec<Distribution>,
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let What::Distributions { name, output: form } = &arguments.what;
    let answer =
        arguments.admin.expect(Method::GET, "/v1/distributions", Bytes::new(), DEADLINE).await?;
    let all: Listing = serde_json::from_slice(&answer.body)?;
    let wanted = |d: &Distribution| name.as_ref().is_none_or(|name| d.name == *name);
    let distribution: Vec<Distribution> = all.distributions.into_iter().filter(wanted).collect();
    if let (Some(name), true) = (name, distribution.is_empty()) {
        bail!("no distribution is called {name}");
    }
    match form {
        Form::Toml => output::text(toml::to_string(&Site { distribution })?),
        Form::Json => output::line(serde_json::to_string_pretty(&distribution)?),
    }
    Ok(ExitCode::SUCCESS)
}
