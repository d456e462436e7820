//! May this viewer ask this, in this way? By method and by how it came.
//!
//! CloudFront answers 403 to a method that a behavior does not allow. We answer 405 with `Allow`,
//! as RFC 9110 §15.5.6 has it: a client then knows what would do.

use http::{Method, StatusCode};
use model::CacheBehavior;
use model::behavior::{Methods, ViewerProtocolPolicy};

/// How a viewer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As URLs write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// Why a viewer is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The behavior allows these methods, and the request has another.
    Method(Methods),
    /// The same URL is to be asked for over TLS, with this status.
    Redirect(StatusCode),
    /// Only TLS will do.
    HttpsOnly,
}

/// Whether `behavior` lets a request in.
pub fn admit(behavior: &CacheBehavior, scheme: Scheme, method: &Method) -> Result<(), Denied> {
    match (behavior.viewer_protocol_policy, scheme) {
        (ViewerProtocolPolicy::AllowAll, _) | (_, Scheme::Https) => {}
        (ViewerProtocolPolicy::HttpsOnly, Scheme::Http) => return Err(Denied::HttpsOnly),
        (ViewerProtocolPolicy::RedirectToHttps, Scheme::Http) => {
            return Err(Denied::Redirect(redirect_status(method)));
        }
    }
    let allowed = behavior.allowed_methods;
    // Seven methods are all that CloudFront knows; HTTP has more, and they pass with them.
    match allowed == Methods::All || allowed.has(method) {
        true => Ok(()),
        false => Err(Denied::Method(allowed)),
    }
}

/// A client may turn any method but these into GET when it follows a 301; 307 forbids that
/// (RFC 9110 §15.4.8).
fn redirect_status(method: &Method) -> StatusCode {
    match *method == Method::GET || *method == Method::HEAD {
        true => StatusCode::MOVED_PERMANENTLY,
        false => StatusCode::TEMPORARY_REDIRECT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(
        viewer_protocol_policy: ViewerProtocolPolicy,
        allowed_methods: Methods,
        scheme: Scheme,
        method: Method,
    ) -> Result<(), Denied> {
        let behavior = CacheBehavior {
            viewer_protocol_policy,
            allowed_methods,
            ..CacheBehavior::to_origin("main")
        };
        admit(&behavior, scheme, &method)
    }

    #[test]
    fn a_method_that_is_not_allowed_is_told_which_are() {
        for (allowed, method, expect) in [
            (Methods::Reading, Method::HEAD, true),
            (Methods::Reading, Method::OPTIONS, false),
            (Methods::ReadingAndOptions, Method::OPTIONS, true),
            (Methods::ReadingAndOptions, Method::POST, false),
            (Methods::All, Method::DELETE, true),
            (Methods::All, Method::from_bytes(b"PROPFIND").unwrap(), true),
        ] {
            let found =
                admitted(ViewerProtocolPolicy::AllowAll, allowed, Scheme::Http, method.clone());
            let expect = if expect { Ok(()) } else { Err(Denied::Method(allowed)) };
            assert_eq!(found, expect, "{allowed:?} {method}");
        }
    }

    #[test]
    fn viewers_in_the_clear_are_let_in_redirected_or_sent_away() {
        let of = |policy, scheme, method| admitted(policy, Methods::All, scheme, method);
        let (open, way, shut) = (
            ViewerProtocolPolicy::AllowAll,
            ViewerProtocolPolicy::RedirectToHttps,
            ViewerProtocolPolicy::HttpsOnly,
        );
        for (policy, method, expect) in [
            (open, Method::GET, Ok(())),
            (way, Method::GET, Err(Denied::Redirect(StatusCode::MOVED_PERMANENTLY))),
            (way, Method::HEAD, Err(Denied::Redirect(StatusCode::MOVED_PERMANENTLY))),
            (way, Method::POST, Err(Denied::Redirect(StatusCode::TEMPORARY_REDIRECT))),
            (shut, Method::GET, Err(Denied::HttpsOnly)),
        ] {
            assert_eq!(of(policy, Scheme::Http, method.clone()), expect, "{policy:?} {method}");
            assert_eq!(of(policy, Scheme::Https, method), Ok(()));
        }
    }
}
