//! One request and its answer on an HTTP/2 stream: interim responses as they are told, the head,
//! the body.
//!
//! A viewer that resets the stream or leaves ends the visit, wherever that is. An answer that
//! breaks off ends in RST_STREAM and never in END_STREAM.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::Request;

use crate::connection::Terms;
use crate::http1::interims::Interims;
use crate::http2::body::{End, Outbody};
use crate::http2::inbound;

/// Answers `request`.
pub(crate) async fn run(
    terms: &Terms,
    viewer: SocketAddr,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let method = request.method().clone();
    let mut interims = Interims::new();
    let stall = terms.limits.stall;
    let answer = match inbound::request(request, viewer, stall, interims.teller()) {
        Ok(request) => {
            let visit = terms.visit.visit(request);
            let Some(answer) = visited(visit, &interims, &mut respond).await else { return };
            answer
        }
        Err(refusal) => refusal.response(),
    };
    let (head, body) = inbound::response(&method, answer);
    let body = Outbody::new(body, stall);
    let mut stream = match respond.send_response(head, body.is_over()) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%viewer, %error, "answer not begun");
            return respond.send_reset(Reason::INTERNAL_ERROR);
        }
    };
    if body.is_over() {
        return;
    }
    let end = body.send(&mut stream).await;
    match &end {
        End::Sent | End::Left => {}
        End::Broken(_) => stream.send_reset(Reason::INTERNAL_ERROR),
        End::Stalled => stream.send_reset(Reason::CANCEL),
    }
    if end != End::Sent {
        tracing::debug!(%viewer, ?end, "answer broken off");
    }
}

/// The answer, after what was told before it; none if the viewer left.
async fn visited(
    mut visit: BoxFuture<'static, serve::Response>,
    interims: &Interims,
    respond: &mut SendResponse<Bytes>,
) -> Option<serve::Response> {
    poll_fn(|cx| {
        let answer = visit.as_mut().poll(cx);
        for (status, headers) in interims.take(cx.waker()) {
            // They are but hints; what ails the stream shows below.
            let _ = respond.send_informational(inbound::interim(status, headers));
        }
        match answer {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => respond.poll_reset(cx).map(|_| None),
        }
    })
    .await
}
