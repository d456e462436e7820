//! What people read: lines on standard output, errors on standard error, colours only on a terminal
//! (anstream sees to that).

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};

/// Emphasis.
pub const BOLD: Style = Style::new().bold();
/// What is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What is not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();

/// Back to the start of the line, and empty it.
const CLEAR_LINE: &str = "\r\x1b[2K";

/// `text` in `style`.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints one line. A reader who has left (`| head`) is no error.
pub fn line(text: impl Display) {
    drop(writeln!(anstream::stdout().lock(), "{text}"));
}

/// Prints text that ends its own lines.
pub fn text(text: impl Display) {
    drop(write!(anstream::stdout().lock(), "{text}"));
}

/// Prints a note that is not the result: progress, hints.
pub fn note(text: impl Display) {
    drop(writeln!(anstream::stderr().lock(), "{text}"));
}

/// Whether somebody watches how things go: standard error is a terminal.
pub fn has_audience() -> bool {
    std::io::stderr().is_terminal()
}

/// Writes a line over the one before.
pub fn progress(text: impl Display) {
    let mut terminal = anstream::stderr().lock();
    drop(write!(terminal, "{CLEAR_LINE}{DIM}{text}{DIM:#}"));
    drop(terminal.flush());
}

/// Takes the progress away.
pub fn clear_progress() {
    drop(write!(anstream::stderr().lock(), "{CLEAR_LINE}"));
}

/// Prints an error with its causes, as one sentence.
pub fn error(error: &anyhow::Error) {
    note(format!("{}: {error:#}", paint(BAD, "error")));
}
