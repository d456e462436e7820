//! What a viewer sees instead of an error, and how long errors are remembered.
//!
//! Only the node that a viewer speaks to puts a page in an error's place; tiers above it pass the
//! truth on. The page is fetched and cached like any other URL of the same host; when it cannot be
//! had, the viewer gets the error itself.

use std::time::Duration;

use http::StatusCode;
use model::{Distribution, Path};

/// A page in an error's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// The status that goes with it.
    pub status: StatusCode,
}

/// How long an error is remembered at least, where `distribution` names it.
pub fn error_min_ttl(distribution: &Distribution, status: StatusCode) -> Option<Duration> {
    let custom = distribution.error_response(status.as_u16())?;
    Some(Duration::from_secs(custom.error_caching_min_ttl_seconds.into()))
}

/// The page that `distribution` shows for `status`, if any.
pub fn error_page(distribution: &Distribution, status: StatusCode) -> Option<ErrorPage<'_>> {
    let custom = distribution.error_response(status.as_u16())?;
    let status = StatusCode::from_u16(custom.response_code?).ok()?;
    Some(ErrorPage { path: custom.response_page_path.as_ref()?, status })
}

#[cfg(test)]
mod tests {
    use model::CustomErrorResponse;

    use super::*;
    use crate::testing::distribution;

    #[test]
    fn a_page_stands_for_its_own_error_only() {
        let path = Path::parse("/sorry.html").unwrap();
        let mut shop = distribution(Vec::new());
        shop.custom_error_responses = vec![
            CustomErrorResponse {
                error_code: 404,
                response_page_path: Some(path.clone()),
                response_code: Some(200),
                error_caching_min_ttl_seconds: 10,
            },
            CustomErrorResponse {
                error_code: 500,
                response_page_path: None,
                response_code: None,
                error_caching_min_ttl_seconds: 0,
            },
        ];
        let page = ErrorPage { path: &path, status: StatusCode::OK };
        assert_eq!(error_page(&shop, StatusCode::NOT_FOUND), Some(page));
        assert_eq!(error_page(&shop, StatusCode::INTERNAL_SERVER_ERROR), None);
        assert_eq!(error_page(&shop, StatusCode::FORBIDDEN), None);
        let remembered = |status| error_min_ttl(&shop, status).map(|time| time.as_secs());
        assert_eq!(remembered(StatusCode::NOT_FOUND), Some(10));
        assert_eq!(remembered(StatusCode::INTERNAL_SERVER_ERROR), Some(0));
        assert_eq!(remembered(StatusCode::FORBIDDEN), None);
    }
}
