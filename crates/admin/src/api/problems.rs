//! The refusals that the document lists for a route: those a caller can act upon by number,
//! and the rest. Listed once for all questions and once for all commands, so that the document
//! never promises for one route what another keeps.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};

use crate::problem::PROBLEM_TYPE;

/// What can go wrong with a question.
pub(crate) struct ReadProblems;

/// What can go wrong with a question that the leader has to answer.
pub(crate) struct ReachProblems;

/// What can go wrong with a command.
pub(crate) struct WriteProblems;

const REST: (&str, &str) = ("default", "Refused: the type says why");

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [REST].map(problem).into()
    }
}

impl IntoResponses for ReachProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let listed = [
            ("404", "This node's log knows no such purge (yet, or any more)"),
            ("503", "No leader could be asked: nothing is known beyond the log, ask again"),
            REST,
        ];
        listed.map(problem).into()
    }
}

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let listed = [
            ("400", "Malformed: the detail names the key and what was expected"),
            ("404", "What is named does not exist"),
            ("409", "The log refused it: nothing changed"),
            ("503", "Unknown whether it took effect: repeat it with the idempotency key given"),
            REST,
        ];
        listed.map(problem).into()
    }
}

fn problem((status, described): (&str, &str)) -> (String, RefOr<Response>) {
    let schema = Ref::from_schema_name("Problem");
    let content = Content::new(Some(schema));
    let response = ResponseBuilder::new().description(described).content(PROBLEM_TYPE, content);
    (status.to_owned(), response.build().into())
}
