//! Logs: one subscriber for the process, on standard error.

use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogForm {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging. `RUST_LOG` chooses more or less; the libraries below us are kept to
/// warnings, and openraft, which calls every unreachable peer an error, is kept silent: what it
/// means for us `consensus` says.
pub(crate) fn start(form: LogForm) {
    let default = "info,openraft=off,chitchat=warn,quinn=warn,sled=warn,foyer=warn";
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let started = match form {
        LogForm::Text => log.with_ansi(colour).with_target(false).try_init(),
        LogForm::Json => log.json().try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}
