//! One request and its answer on an HTTP/1 connection.
//!
//! Three things go on at once, and each waits only for its own: the answer is made and written, the
//! request's body is read when somebody asks for it, and meanwhile we look whether the viewer left.
//! A viewer that closes its half before the answer has begun has left, as for nginx.
//!
//! A body that proves malformed or too slow takes the answer's place while that has not begun; in
//! any case nothing else is ever answered on the connection (RFC 9112 §11.2).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Version};
use model::limits::{CHUNK_BYTES_MAX, READ_AHEAD_BYTES_MAX, UNREAD_BODY_BYTES_MAX};
use serve::{Body, Chunk, Response};

use crate::clock::Pace;
use crate::flaw::Flaw;
use crate::http1::answer::{self, Delimiter};
use crate::http1::chunked::{Decoder, Found};
use crate::http1::connection::{Link, READ_BYTES, Socket};
use crate::http1::fields;
use crate::http1::framing::Length;
use crate::http1::request::{After, Head, Trailers, Upfront};
use crate::http1::upload::{Upload, Wish};
use crate::outgoing::Measured;
use crate::refusal::Refusal;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const LINE_END: &[u8] = b"\r\n";

/// How an exchange ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Answered; the rest of the request's body is still to be skipped.
    Keep(Decoder),
    /// Answered, and the connection ends.
    Close,
    /// The viewer left, or stopped taking the answer.
    Gone(&'static str),
    /// The answer broke off: nobody must take it for whole.
    Broken(Delimiter),
}

/// An exchange under way.
pub(crate) struct Exchange<'a, S> {
    link: &'a mut Link<S>,
    method: Method,
    version: Version,
    after: After,
    trailers: Trailers,
    answer: Answer,
    decoder: Decoder,
    upload: Option<Upload>,
    upfront: Upfront,
    taking: Pace,
    sending: Pace,
}

enum Answer {
    Visiting(BoxFuture<'static, Response>),
    Sending(Measured, Delimiter),
    Sent,
    Broken(Delimiter),
}

/// Why no more of an answer was made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Halt {
    /// Its next piece is not there yet, or there is none.
    Source,
    /// Enough waits to be written.
    Room,
}

impl<'a, S: Socket> Exchange<'a, S> {
    /// Answers what `head` asks with what `visit` says.
    pub(crate) fn new(
        link: &'a mut Link<S>,
        head: &Head,
        decoder: Decoder,
        upload: Option<Upload>,
        visit: BoxFuture<'static, Response>,
    ) -> Exchange<'a, S> {
        Exchange {
            link,
            method: head.method.clone(),
            version: head.version,
            after: head.after,
            trailers: head.trailers,
            answer: Answer::Visiting(visit),
            decoder,
            upload,
            upfront: head.body,
            taking: Pace::default(),
            sending: Pace::default(),
        }
    }

    /// Drives it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let halt = self.make(cx);
            if let Err(why) = self.write(cx) {
                return Poll::Ready(End::Gone(why));
            }
            let is_written = self.link.output.is_empty();
            match self.answer {
                Answer::Sent if is_written => return Poll::Ready(self.end()),
                Answer::Broken(delimiter) if is_written => {
                    return Poll::Ready(End::Broken(delimiter));
                }
                Answer::Visiting(_) | Answer::Sending(..) | Answer::Sent | Answer::Broken(_) => {}
            }
            if let Err(why) = self.receive(cx) {
                return Poll::Ready(End::Gone(why));
            }
            let is_more_to_write = is_written && !self.link.output.is_empty();
            let has_room_again = halt == Halt::Room && is_written;
            if !is_more_to_write && !has_room_again {
                return Poll::Pending;
            }
        }
    }

    /// Makes as much of the answer as there is room for.
    fn make(&mut self, cx: &mut Context<'_>) -> Halt {
        loop {
            match &mut self.answer {
                Answer::Visiting(visit) => {
                    let response = visit.as_mut().poll(cx);
                    self.hint(cx);
                    match response {
                        Poll::Ready(response) => self.begin(response),
                        Poll::Pending => return Halt::Source,
                    }
                }
                Answer::Sending(body, _) if self.link.output.has_room() => {
                    match body.poll_piece(cx) {
                        Poll::Ready(piece) => self.piece(piece),
                        Poll::Pending => return Halt::Source,
                    }
                }
                Answer::Sending(..) => return Halt::Room,
                Answer::Sent | Answer::Broken(_) => return Halt::Source,
            }
        }
    }

    /// Passes on interim responses; HTTP/1.0 has none (RFC 9110 §15.2).
    fn hint(&mut self, cx: &Context<'_>) {
        let Some(interims) = &self.link.interims else { return };
        for (status, headers) in interims.take(cx.waker()) {
            if self.version == Version::HTTP_11 {
                self.link.output.text(|out| answer::write_interim(out, status, &headers));
            }
        }
    }

    fn begin(&mut self, response: Response) {
        let Response { status, mut headers, body } = response;
        let delimiter = answer::delimiter(&self.method, self.version, status, &body);
        let wish = answer::settle(&mut headers, &self.method, status, &body, delimiter);
        let is_last = wish == After::Close
            || delimiter == Delimiter::Close
            || self.link.is_closing()
            || !self.can_skip();
        if is_last {
            self.after = After::Close;
        }
        let (version, after) = (self.version, self.after);
        let head = |out: &mut _| answer::write(out, version, status, &headers, delimiter, after);
        self.link.output.text(head);
        self.answer = match delimiter {
            Delimiter::NoBody => Answer::Sent,
            Delimiter::Length(_) | Delimiter::Chunks | Delimiter::Close => {
                Answer::Sending(Measured::new(body), delimiter)
            }
        };
    }

    fn piece(&mut self, piece: Option<Result<Chunk, serve::BodyError>>) {
        let Answer::Sending(_, delimiter) = self.answer else { return };
        let output = &mut self.link.output;
        match piece {
            Some(Ok(Chunk::Data(data))) if delimiter == Delimiter::Chunks => {
                // An empty chunk would be the last one.
                if !data.is_empty() {
                    output.text(|out| out.put_slice(format!("{:x}\r\n", data.len()).as_bytes()));
                    output.push(data);
                    output.push(Bytes::from_static(LINE_END));
                }
            }
            Some(Ok(Chunk::Data(data))) => output.push(data),
            Some(Ok(Chunk::Trailers(trailers))) => self.finish(delimiter, Some(trailers)),
            None => self.finish(delimiter, None),
            Some(Err(error)) => {
                tracing::debug!(%error, "answer broke off");
                self.answer = Answer::Broken(delimiter);
            }
        }
    }

    fn finish(&mut self, delimiter: Delimiter, trailers: Option<HeaderMap>) {
        if delimiter == Delimiter::Chunks {
            let mut trailers =
                trailers.filter(|_| self.trailers == Trailers::Taken).unwrap_or_default();
            fields::clean_trailers(&mut trailers);
            self.link.output.text(|out| {
                out.put_slice(b"0\r\n");
                answer::write_trailers(out, &trailers);
            });
        }
        self.answer = Answer::Sent;
    }

    /// Writes what there is, or finds that the viewer takes too long.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), &'static str> {
        let stall = self.link.limits.stall;
        while !self.link.output.is_empty() {
            match self.link.output.poll_write(Pin::new(&mut self.link.socket), cx) {
                Poll::Ready(Ok(bytes)) => self.taking.moved(bytes, stall),
                Poll::Ready(Err(_)) => return Err("the viewer broke the connection"),
                Poll::Pending => {
                    let due = self.taking.due(stall);
                    return match self.link.clock.poll_due(due, cx) {
                        Poll::Ready(()) => Err("the viewer stopped reading"),
                        Poll::Pending => Ok(()),
                    };
                }
            }
        }
        Ok(())
    }

    /// Reads the request's body as far as it is wanted.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<(), &'static str> {
        let stall = self.link.limits.stall;
        while let Some(upload) = &self.upload {
            match upload.wish(cx) {
                Wish::Next => {}
                Wish::Wait => {
                    self.sending.pause();
                    break;
                }
                Wish::Nothing => {
                    self.upload = None;
                    break;
                }
            }
            if self.upfront == Upfront::Held && matches!(self.answer, Answer::Visiting(_)) {
                self.upfront = Upfront::Sent;
                // RFC 9110 §10.1.1: whoever has begun to send need not be asked.
                if self.link.input.is_empty() {
                    self.link.output.push(Bytes::from_static(CONTINUE));
                }
            }
            match self.decoder.next(&mut self.link.input) {
                Ok(Found::Data(data)) if self.decoder.is_over() => {
                    upload.end(Some(Chunk::Data(data)));
                }
                Ok(Found::Data(data)) => upload.give(Chunk::Data(data)),
                Ok(Found::Trailers(trailers)) => upload.end(Some(Chunk::Trailers(trailers))),
                Ok(Found::End) => upload.end(None),
                Ok(Found::More) => match self.link.poll_read(cx, room(&self.decoder)) {
                    Poll::Ready(Ok(0)) => self.fail(Refusal::Malformed(Flaw::Unfinished)),
                    Poll::Ready(Ok(bytes)) => self.sending.moved(bytes as u64, stall),
                    Poll::Ready(Err(_)) => return Err("the viewer broke the connection"),
                    Poll::Pending => {
                        let due = self.sending.due(stall);
                        if self.link.clock.poll_due(due, cx).is_pending() {
                            return Ok(());
                        }
                        self.fail(Refusal::Slow);
                    }
                },
                Err(flaw) => self.fail(Refusal::Malformed(flaw)),
            }
        }
        self.watch(cx)
    }

    /// The rest of the request cannot be read: it is refused if it was not answered yet.
    fn fail(&mut self, refusal: Refusal) {
        if let Some(upload) = self.upload.take() {
            upload.break_off(match refusal {
                Refusal::Slow => "the viewer sent too little for too long",
                _ => "the viewer sent a malformed body",
            });
        }
        self.after = After::Close;
        if matches!(self.answer, Answer::Visiting(_)) {
            self.begin(refusal.response());
        }
    }

    /// Looks whether the viewer left, and takes in a little of its next request.
    fn watch(&mut self, cx: &mut Context<'_>) -> Result<(), &'static str> {
        while !self.link.has_ended && self.link.input.len() < READ_AHEAD_BYTES_MAX {
            match self.link.poll_read(cx, READ_BYTES) {
                Poll::Ready(Ok(0)) if matches!(self.answer, Answer::Visiting(_)) => {
                    return Err("the viewer left");
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Err("the viewer broke the connection"),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// Whether what is left of the request's body is little enough to be skipped.
    fn can_skip(&mut self) -> bool {
        let is_unwanted = self.upload.as_ref().is_none_or(Upload::is_abandoned);
        if is_unwanted && self.upfront == Upfront::Sent {
            while matches!(self.decoder.next(&mut self.link.input), Ok(Found::Data(_))) {}
        }
        let is_little = self.decoder.left().is_some_and(|left| left <= UNREAD_BODY_BYTES_MAX);
        self.decoder.is_over() || is_little && self.upfront == Upfront::Sent
    }

    fn end(&mut self) -> End {
        self.upload = None;
        match self.after {
            After::Keep => {
                let over = Decoder::of(Length::Unsaid);
                End::Keep(std::mem::replace(&mut self.decoder, over))
            }
            After::Close => End::Close,
        }
    }
}

/// Bytes to make room for: a piece, unless less is left.
fn room(decoder: &Decoder) -> usize {
    let left = decoder.left().and_then(|left| usize::try_from(left).ok());
    left.unwrap_or(CHUNK_BYTES_MAX).clamp(READ_BYTES, CHUNK_BYTES_MAX)
}

/// Answers with `refusal`, whatever was asked.
pub(crate) fn refused<S: Socket>(link: &mut Link<S>, refusal: Refusal) -> Exchange<'_, S> {
    let mut exchange = Exchange {
        link,
        method: Method::GET,
        version: Version::HTTP_11,
        after: After::Close,
        trailers: Trailers::Dropped,
        answer: Answer::Sending(Measured::new(Body::Empty), Delimiter::Close),
        decoder: Decoder::of(Length::Unsaid),
        upload: None,
        upfront: Upfront::Sent,
        taking: Pace::default(),
        sending: Pace::default(),
    };
    exchange.begin(refusal.response());
    exchange
}
