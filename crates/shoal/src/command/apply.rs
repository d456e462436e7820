//! `shoal apply`: distributions from a file, created or replaced one by one through the log.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use http::Method;
use model::Distribution;
use serde::{Deserialize, Serialize};

use crate::client::Admin;
use crate::output;

const DEADLINE: Duration = Duration::from_secs(30);

/// Create or replace distributions from a file.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A TOML file with one [[distribution]] table for each (see cluster/site.toml).
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Only say what would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    admin: Admin,
}

/// The file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Site {
    /// What the mesh serves.
    pub(crate) distribution: Vec<Distribution>,
}

impl Site {
    /// Parses `text`; errors name the line, or the key and what was expected.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Site> {
        let site: Site = toml::from_str(text)?;
        if site.distribution.is_empty() {
            bail!("no [[distribution]] in it");
        }
        for (at, distribution) in site.distribution.iter().enumerate() {
            distribution
                .check()
                .with_context(|| format!("distribution[{at}] {:?}", distribution.name))?;
        }
        Ok(site)
    }
}

#[derive(Deserialize)]
struct Verdict {
    change: String,
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let file = arguments.file.display();
    let text = std::fs::read_to_string(&arguments.file).with_context(|| file.to_string())?;
    let site = Site::parse(&text).with_context(|| file.to_string())?;
    for distribution in &site.distribution {
        let name = &distribution.name;
        let target = format!("/v1/distributions/{name}?dry_run={}", arguments.dry_run);
        let body = serde_json::to_vec(distribution)?;
        let answer = arguments.admin.expect(Method::PUT, &target, body.into(), DEADLINE).await;
        let answer = answer.with_context(|| format!("distribution {name}"))?;
        let verdict: Verdict = serde_json::from_slice(&answer.body)?;
        let would = if arguments.dry_run { " (dry run: nothing was written)" } else { "" };
        output::line(format!("distribution {name} {}{would}", verdict.change));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "[[distribution]]\nname = \"shop\"\naliases = [\"shop.example\"]\n\
        [[distribution.origins]]\nid = \"web\"\ndomain_name = \"127.0.0.1\"\n\
        [distribution.default_cache_behavior]\ntarget_origin_id = \"web\"\n";

    #[test]
    fn a_site_file_needs_little_and_reads_back() {
        let site = Site::parse(SITE).unwrap();
        assert_eq!(site.distribution[0].origins[0].http_port, 80);
        let again = Site::parse(&toml::to_string(&site).unwrap()).unwrap();
        assert_eq!(again.distribution, site.distribution);
    }

    #[test]
    fn the_example_that_we_ship_is_read() {
        let site = Site::parse(include_str!("../../../../cluster/site.toml")).unwrap();
        assert_eq!(site.distribution[0].aliases.len(), 2);
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (from, to, names) in [
            ("name = ", "nmae = ", "line 2"),
            ("\"shop.example\"", "\"shop .example\"", "host name"),
            ("target_origin_id = \"web\"", "target_origin_id = \"wbe\"", "expected one of: web"),
            ("[[distribution]]", "[[distribution]]\nspeed = 9", "unknown field `speed`"),
        ] {
            let error = format!("{:#}", Site::parse(&SITE.replace(from, to)).unwrap_err());
            assert!(error.contains(names), "{to}: {error}");
        }
    }
}
