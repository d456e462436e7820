//! What can be asked: every route with its documentation, from which the OpenAPI document is made.
//!
//! A handler reads the request into nouns, asks the desk, and writes its word into a view. Whatever
//! goes wrong is a [`Problem`], wrong paths and methods included.

mod status;
mod distributions;
mod invalidations;
mod scopes;
mod nodes;
mod probes;
mod problems;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use control::Command;
use http::{Method, Uri};
use model::limits::COMMAND_BYTES_MAX;
use tokio::time::Instant;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{self, Access};
use crate::demand::Demand;
use crate::desk::Desk;
use crate::problem::{Fault, Problem};
use crate::view::Receipt;

/// What every handler stands before.
pub(crate) type Counter = Arc<dyn Desk>;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document = documented().into_openapi().to_pretty_json();
    document.expect("a document of plain maps and strings is JSON") + "\n"
});

/// The OpenAPI document, as `/openapi.json` serves it.
pub fn openapi() -> &'static str {
    &DOCUMENT
}

/// Everything behind the door.
pub(crate) fn router(desk: Counter, access: Access) -> Router {
    let (routes, _) = documented().split_for_parts();
    routes
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_so)
        .with_state(desk)
        .layer(DefaultBodyLimit::max(COMMAND_BYTES_MAX))
        .layer(from_fn_with_state(Arc::new(access), auth::guard))
        .layer(from_fn(log))
}

/// Submits a command as `demand` says.
pub(crate) async fn submit(
    desk: &dyn Desk,
    command: Command,
    demand: Demand,
) -> Result<Receipt, Problem> {
    let Demand { key, id, level, patience } = demand;
    let receipt = desk.submit(id, command, level, patience).await?;
    Ok(Receipt::of(receipt, key, level))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Shoal",
        description = "Every node of the mesh answers this API, and takes every command: what it \
            takes goes into the mesh's log, wherever that is led from. Whatever is refused is \
            answered with problem details (RFC 9457)."
    ),
    components(schemas(Problem)),
    modifiers(&Bearer),
    security((), ("token" = []))
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        let described = "The text of admin.token_file; needed where the node has one.";
        bearer.description = Some(described.into());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

fn documented() -> OpenApiRouter<Counter> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(status::read))
        .routes(routes!(distributions::list))
        .routes(routes!(distributions::read, distributions::put, distributions::delete))
        .routes(routes!(invalidations::list, invalidations::create))
        .routes(routes!(invalidations::read))
        .routes(routes!(nodes::remove))
        .routes(routes!(probes::openapi))
        .routes(routes!(probes::metrics))
        .routes(routes!(probes::health))
        .routes(routes!(probes::readiness))
}

async fn nothing_here(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}; /openapi.json lists what there is", uri.path());
    Problem::new(Fault::NotFound, detail)
}

async fn not_so(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not among the methods of {}; see Allow", uri.path());
    Problem::new(Fault::MethodNotAllowed, detail)
}

async fn log(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    tracing::debug!(%method, path, status, ?took, "admin request");
    response
}

#[cfg(test)]
mod tests;
