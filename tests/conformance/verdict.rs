//! Whether an exchange was what its step says: a list of what it was not.

use crate::conformance::answer;
use crate::conformance::case::{Case, End, Status, Step};
use crate::conformance::fields::breaches;
use crate::conformance::message::Head;
use crate::conformance::origin::Asked;
use crate::conformance::template::{Template, text_of};
use crate::conformance::viewer::{Reply, method};

/// Characters of a body that a failure shows.
const SHOWN_CHARS_MAX: usize = 120;

/// What the origin should have been asked and was not, or the other way round.
pub(crate) fn of_origin(step: &Step, asked: &[Asked], fill: &Template) -> Vec<String> {
    let mut wrong = Vec::new();
    let count = step.expected_asks();
    if !(count.least()..=count.most()).contains(&asked.len()) {
        wrong.push(format!("the origin is asked {} times, not {count:?}", asked.len()));
    }
    let Some(last) = asked.last() else { return wrong };
    wrong.extend(breaches("the origin sees", &step.saw, &last.head, fill));
    if let Some(line) = step.saw_line.as_ref().map(|line| fill.text(line))
        && last.head.line != line
    {
        wrong.push(format!("the origin sees {:?}, not {line:?}", last.head.line));
    }
    if let Some(body) = step.saw_body.as_ref().map(|body| fill.bytes(body))
        && last.body.bytes != body
    {
        wrong.push(format!("the origin gets {}, not {}", show(&last.body.bytes), show(&body)));
    }
    wrong
}

/// What a viewer should have got and did not. `at` is the step's place in its case.
pub(crate) fn of_viewer(case: &Case, at: usize, reply: &Reply, fill: &Template) -> Vec<String> {
    let step = &case.steps[at];
    let mut wrong = Vec::new();
    let end = step.ends.unwrap_or(End::Whole);
    if reply.end != end {
        wrong.push(format!("the exchange ends {:?}, not {end:?}", reply.end));
    }
    if reply.end == End::Nothing {
        return wrong;
    }
    let source = source(case, at);
    let answered = source.and_then(|source| case.steps[source].origin_status());
    let status = reply.head.status().unwrap_or(0);
    let ordinary = || Status::Exactly(step.statuses.last().copied().or(answered).unwrap_or(200));
    let wanted = step.status.clone().unwrap_or_else(ordinary);
    if !wanted.includes(status) {
        wrong.push(format!("the status is {status}, not {wanted:?}"));
    }
    if !step.statuses.is_empty() && reply.statuses != step.statuses {
        wrong.push(format!("the statuses are {:?}, not {:?}", reply.statuses, step.statuses));
    }
    wrong.extend(breaches("the viewer gets", &step.gets, &reply.head, fill));
    wrong.extend(of_interim(step, reply, fill));
    let trailers = Head { line: String::new(), fields: reply.body.trailers.clone() };
    wrong.extend(breaches("the viewer gets as trailer", &step.trailers, &trailers, fill));
    let whole = source.map(|source| answer::body(&case.steps[source], source + 1, fill));
    if let Some(coding) = &step.encoded {
        let coding = format!("Content-Encoding: {coding}");
        wrong.extend(breaches("the viewer gets", &[coding], &reply.head, fill));
        if reply.body.bytes.len() >= whole.map_or(0, |whole| whole.len()) {
            wrong.push(format!("{} bytes come, not fewer", reply.body.bytes.len()));
        }
    } else if !step.parts.is_empty() {
        wrong.extend(of_parts(step, reply, &whole.unwrap_or_default()));
    } else if let Some(body) = body_wanted(step, status, answered, whole, fill)
        && !is_body(&body, reply)
    {
        wrong.push(format!("the body is {}, not {}", show(&reply.body.bytes), show(&body)));
    }
    wrong
}

/// A cut body is right as far as it goes.
fn is_body(body: &[u8], reply: &Reply) -> bool {
    match reply.end {
        End::Cut => body.starts_with(&reply.body.bytes),
        End::Whole | End::Closed | End::Nothing => reply.body.bytes == body,
    }
}

/// The step whose answer the viewer is to get: the last one that brought one.
fn source(case: &Case, at: usize) -> Option<usize> {
    match case.steps[at].of {
        Some(number) => number.checked_sub(1),
        None => (0..=at).rev().find(|before| case.steps[*before].brings()),
    }
}

fn body_wanted(
    step: &Step,
    status: u16,
    answered: Option<u16>,
    whole: Option<Vec<u8>>,
    fill: &Template,
) -> Option<Vec<u8>> {
    if let Some(got) = &step.got {
        return Some(fill.bytes(got));
    }
    if method(step) == "HEAD" || matches!(status, 204 | 304) {
        return Some(Vec::new());
    }
    if let Some([first, last]) = step.part {
        return whole?.get(first..=last).map(<[u8]>::to_vec);
    }
    whole.filter(|_| answered == Some(status))
}

fn of_interim(step: &Step, reply: &Reply, fill: &Template) -> Vec<String> {
    if step.interim.is_empty() {
        return Vec::new();
    }
    let status = |lines: &Vec<String>| lines.first().and_then(|line| line.parse::<u16>().ok());
    let wanted: Vec<Option<u16>> = step.interim.iter().map(status).collect();
    let got: Vec<Option<u16>> = reply.interim.iter().map(Head::status).collect();
    if wanted != got {
        return vec![format!("the interim responses are {got:?}, not {wanted:?}")];
    }
    let pairs = step.interim.iter().zip(&reply.interim);
    pairs.flat_map(|(lines, head)| breaches("the viewer hears", &lines[1..], head, fill)).collect()
}

/// `multipart/byteranges` (RFC 9110 §14.6).
fn of_parts(step: &Step, reply: &Reply, whole: &[u8]) -> Vec<String> {
    let kind = reply.head.field("content-type").unwrap_or_default();
    let boundary = kind.split_once("boundary=").map(|(_, boundary)| boundary.trim_matches('"'));
    let Some(boundary) = boundary.filter(|_| kind.starts_with("multipart/byteranges")) else {
        return vec![format!("the viewer gets {kind:?}, not multipart/byteranges")];
    };
    let text = text_of(&reply.body.bytes);
    let Some((parts, _)) = text.split_once(&format!("--{boundary}--")) else {
        return vec!["the last boundary is missing".into()];
    };
    let parts: Vec<&str> = parts.split(&format!("--{boundary}\r\n")).skip(1).collect();
    if parts.len() != step.parts.len() {
        return vec![format!("{} parts come, not {}", parts.len(), step.parts.len())];
    }
    let mut wrong = Vec::new();
    for (part, [first, last]) in parts.iter().zip(&step.parts) {
        let range = format!("content-range: bytes {first}-{last}/{}", whole.len());
        let (head, body) = part.split_once("\r\n\r\n").unwrap_or((part, ""));
        if !head.to_ascii_lowercase().contains(&range) {
            wrong.push(format!("a part has {head:?}, not {range:?}"));
        }
        let body = body.strip_suffix("\r\n").unwrap_or(body);
        if whole.get(*first..=*last).is_none_or(|bytes| text_of(bytes) != body) {
            wrong.push(format!("part {first}-{last} has other bytes"));
        }
    }
    wrong
}

fn show(body: &[u8]) -> String {
    let text = text_of(body);
    let cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut:?}{more} ({} bytes)", body.len())
}
