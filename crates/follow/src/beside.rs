//! Beside: what goes on while something else is waited for.

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::FuturesUnordered;

/// Runs `main` to its end, and what is left of `others` meanwhile.
pub(crate) async fn beside<T>(
    mut main: impl Future<Output = T> + Unpin,
    others: &mut FuturesUnordered<BoxFuture<'_, ()>>,
) -> T {
    loop {
        if others.is_empty() {
            return main.await;
        }
        match select(main, others.next()).await {
            Either::Left((done, _)) => return done,
            Either::Right((_, rest)) => main = rest,
        }
    }
}
