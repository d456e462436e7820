//! Being told to stop: SIGTERM and Ctrl-C mean the same.

use tokio::signal::unix::{SignalKind, signal};

/// Ends when the process is told to stop. From the call on, the signals no longer end it by
/// themselves.
pub fn stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
