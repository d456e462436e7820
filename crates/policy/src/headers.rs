//! The last touch on a response before it leaves for a viewer: the response headers policy. First
//! fields are removed, then those of CORS, of security and of the operator are set.
//!
//! A field that does not override is set only where the origin has none; what was removed counts as
//! none.

use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use model::ResponseHeadersPolicy;
use model::policy::response_headers::{
    Framing, ReferrerPolicy, SecurityHeaders, TransportSecurity, XssProtection,
};

use crate::cors::{self, Asked};
use crate::timing::{self, Timing};

/// What the policy needs to know beside the response.
#[derive(Clone, Debug)]
pub struct Dressing<'a> {
    /// Where the request comes from.
    pub asked: &'a Asked,
    /// What happened to it, if it is to be told.
    pub timing: Option<Timing<'a>>,
}

/// Dresses the fields of a response for its viewer.
pub fn dress(policy: &ResponseHeadersPolicy, dressing: &Dressing<'_>, headers: &mut HeaderMap) {
    for name in &policy.remove_headers {
        headers.remove(name.as_header());
    }
    if let Some(cors) = &policy.cors {
        cors::answer(cors, dressing.asked, headers);
    }
    secure(&policy.security_headers, headers);
    for custom in &policy.custom_headers {
        let name = custom.header.as_header().clone();
        let value = Some(custom.value.as_header().clone());
        set(headers, Setting { name, value, wins: custom.wins });
    }
    if let Some(timing) = &dressing.timing {
        timing::tell(timing, headers);
    }
}

/// A field to set; without a value it is left as it is.
struct Setting {
    name: HeaderName,
    value: Option<HeaderValue>,
    wins: bool,
}

fn set(headers: &mut HeaderMap, Setting { name, value, wins }: Setting) {
    if let Some(value) = value.filter(|_| wins || !headers.contains_key(&name)) {
        headers.insert(name, value);
    }
}

fn secure(security: &SecurityHeaders, headers: &mut HeaderMap) {
    let plain = |text| Some(HeaderValue::from_static(text));
    let settings = [
        security.strict_transport_security.as_ref().map(|given| Setting {
            name: STRICT_TRANSPORT_SECURITY,
            value: transport_security(given),
            wins: given.wins,
        }),
        security.content_type_options.map(|given| Setting {
            name: X_CONTENT_TYPE_OPTIONS,
            value: plain("nosniff"),
            wins: given.wins,
        }),
        security.frame_options.map(|given| Setting {
            name: X_FRAME_OPTIONS,
            value: plain(framing(given.frame_option)),
            wins: given.wins,
        }),
        security.referrer_policy.map(|given| Setting {
            name: REFERRER_POLICY,
            value: plain(referrer(given.referrer_policy)),
            wins: given.wins,
        }),
        security.content_security_policy.as_ref().map(|given| Setting {
            name: CONTENT_SECURITY_POLICY,
            value: Some(given.content_security_policy.as_header().clone()),
            wins: given.wins,
        }),
        security.xss_protection.as_ref().map(|given| Setting {
            name: X_XSS_PROTECTION,
            value: xss(given),
            wins: given.wins,
        }),
    ];
    settings.into_iter().flatten().for_each(|setting| set(headers, setting));
}

const fn framing(option: Framing) -> &'static str {
    match option {
        Framing::Deny => "DENY",
        Framing::SameOrigin => "SAMEORIGIN",
    }
}

/// RFC 6797 §6.1.
fn transport_security(given: &TransportSecurity) -> Option<HeaderValue> {
    let mut text = format!("max-age={}", given.max_age_seconds);
    if given.include_subdomains {
        text.push_str("; includeSubDomains");
    }
    if given.preload {
        text.push_str("; preload");
    }
    HeaderValue::try_from(text).ok()
}

fn xss(given: &XssProtection) -> Option<HeaderValue> {
    let text = match (given.protection, given.mode_block, &given.report_uri) {
        (false, _, _) => "0".to_owned(),
        (true, true, _) => "1; mode=block".to_owned(),
        (true, false, Some(uri)) => format!("1; report={}", uri.as_str()),
        (true, false, None) => "1".to_owned(),
    };
    HeaderValue::try_from(text).ok()
}

const fn referrer(policy: ReferrerPolicy) -> &'static str {
    match policy {
        ReferrerPolicy::NoReferrer => "no-referrer",
        ReferrerPolicy::NoReferrerWhenDowngrade => "no-referrer-when-downgrade",
        ReferrerPolicy::Origin => "origin",
        ReferrerPolicy::OriginWhenCrossOrigin => "origin-when-cross-origin",
        ReferrerPolicy::SameOrigin => "same-origin",
        ReferrerPolicy::StrictOrigin => "strict-origin",
        ReferrerPolicy::StrictOriginWhenCrossOrigin => "strict-origin-when-cross-origin",
        ReferrerPolicy::UnsafeUrl => "unsafe-url",
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use model::policy::response_headers::{
        ContentSecurity, CustomHeader, FrameOptions, Plain, Referrer,
    };
    use model::{FieldName, FieldValue};

    use super::*;
    use crate::testing::{fields, names};

    fn dressed(policy: &ResponseHeadersPolicy, response: &str) -> HeaderMap {
        let asked = Asked::of(&Method::GET, &HeaderMap::new());
        let mut headers = fields(response);
        dress(policy, &Dressing { asked: &asked, timing: None }, &mut headers);
        headers
    }

    fn custom(header: &str, value: &str, wins: bool) -> CustomHeader {
        let header = FieldName::parse(header).unwrap();
        CustomHeader { header, value: FieldValue::parse(value).unwrap(), wins }
    }

    #[test]
    fn a_policy_that_says_nothing_changes_nothing() {
        let response = "server:x|set-cookie:a=1|set-cookie:b=2|access-control-allow-origin:*";
        assert_eq!(dressed(&ResponseHeadersPolicy::default(), response), fields(response));
    }

    #[test]
    fn fields_are_removed_before_any_are_set() {
        let policy = ResponseHeadersPolicy {
            remove_headers: names(&["Server", "X-Powered-By"]),
            custom_headers: vec![custom("server", "ours", false)],
            ..ResponseHeadersPolicy::default()
        };
        let headers = dressed(&policy, "server:theirs|x-powered-by:a|x-powered-by:b|a:b");
        assert_eq!(headers, fields("server:ours|a:b"));
    }

    #[test]
    fn the_origins_field_stands_unless_it_is_overridden() {
        let policy = ResponseHeadersPolicy {
            custom_headers: vec![custom("x-a", "ours", false), custom("x-b", "ours", true)],
            ..ResponseHeadersPolicy::default()
        };
        let headers = dressed(&policy, "x-a:theirs|x-b:theirs|x-b:again");
        assert_eq!(headers, fields("x-a:theirs|x-b:ours"));
        assert_eq!(dressed(&policy, ""), fields("x-a:ours|x-b:ours"));
    }

    #[test]
    fn browsers_are_told_about_safety() {
        let strict_transport_security = Some(TransportSecurity {
            max_age_seconds: 60,
            include_subdomains: true,
            preload: true,
            wins: false,
        });
        let frame_option = Framing::SameOrigin;
        let referrer_policy = ReferrerPolicy::StrictOriginWhenCrossOrigin;
        let content_security_policy = FieldValue::parse("default-src 'self'").unwrap();
        let policy = ResponseHeadersPolicy {
            security_headers: SecurityHeaders {
                strict_transport_security,
                content_type_options: Some(Plain { wins: true }),
                frame_options: Some(FrameOptions { frame_option, wins: true }),
                referrer_policy: Some(Referrer { referrer_policy, wins: false }),
                content_security_policy: Some(ContentSecurity {
                    content_security_policy,
                    wins: false,
                }),
                xss_protection: Some(XssProtection {
                    protection: true,
                    mode_block: true,
                    report_uri: None,
                    wins: false,
                }),
            },
            ..ResponseHeadersPolicy::default()
        };
        let expect = "strict-transport-security:max-age=60; includeSubDomains; preload\
                      |x-content-type-options:nosniff|x-frame-options:SAMEORIGIN\
                      |referrer-policy:strict-origin-when-cross-origin\
                      |content-security-policy:default-src 'self'|x-xss-protection:1; mode=block";
        assert_eq!(dressed(&policy, "x-frame-options:DENY"), fields(expect));
    }

    #[test]
    fn old_browsers_filter_report_or_do_nothing() {
        let given = |protection, report: &str| XssProtection {
            protection,
            mode_block: false,
            report_uri: (!report.is_empty()).then(|| FieldValue::parse(report).unwrap()),
            wins: false,
        };
        for (given, expect) in
            [(given(false, ""), "0"), (given(true, ""), "1"), (given(true, "/r"), "1; report=/r")]
        {
            assert_eq!(xss(&given).unwrap(), expect);
        }
    }
}
