//! The door: an address that operators reach, and the rule for who may come in.
//!
//! Without a token it opens on loopback only. It stays open until it is told to close, and then
//! lets those who are inside finish.

use std::net::SocketAddr;
use std::sync::Arc;

use model::limits::ADMIN_DRAIN;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::api;
use crate::auth::Access;
use crate::desk::Desk;
use crate::entrance::Entrance;
use crate::error::AdminError;
use crate::token::Token;

/// A bound address and the rule at it.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
}

impl Door {
    /// Binds `address`. One that other machines can reach needs a token.
    pub async fn bind(address: SocketAddr, token: Option<Token>) -> Result<Door, AdminError> {
        let access = match token {
            Some(token) => Access::Bearer(token),
            None if address.ip().to_canonical().is_loopback() => Access::Loopback,
            None => return Err(AdminError::Unprotected(address)),
        };
        let failed = |source| AdminError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Door { listener, address, access })
    }

    /// Where it is, the port included that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for `desk` until `stop`; then those inside get [`ADMIN_DRAIN`] to finish. Whoever
    /// has not by then is cut off when the runtime ends.
    pub async fn serve(self, desk: Arc<dyn Desk>, stop: impl Future<Output = ()> + Send + 'static) {
        let (stopping, stopped) = oneshot::channel();
        let stop = async move {
            stop.await;
            // Nobody listens any more when serving ended first.
            let _ = stopping.send(());
        };
        let overdue = async {
            let _ = stopped.await;
            sleep(ADMIN_DRAIN).await;
        };
        let router = api::router(desk, self.access);
        let serving = axum::serve(Entrance::new(self.listener), router);
        tokio::select! {
            biased;
            _ = serving.with_graceful_shutdown(stop).into_future() => {}
            () = overdue => tracing::debug!("admin requests are still under way"),
        }
    }
}

#[cfg(test)]
mod tests;
