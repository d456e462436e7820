//! What we work out about a viewer ourselves: the kind of device, and the country.
//!
//! CloudFront's `CloudFront-*` fields. Whatever a viewer sends under such a name is taken away:
//! only what was derived here may enter a key. One kind of device is always true: what nobody knows
//! is a desktop.

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::CacheBehavior;

/// The country of no known address.
const UNKNOWN: &str = "ZZ";
const COUNTRY: &str = "cloudfront-viewer-country";
const PREFIX: &str = "cloudfront-";

/// A country's two letters (ISO 3166-1), if an address told them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country([u8; 2]);

impl Country {
    /// Parses two upper-case letters.
    pub fn parse(given: &str) -> Option<Country> {
        let letters: [u8; 2] = given.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Country(letters))
    }

    /// Its letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or(UNKNOWN)
    }
}

/// The kinds of device that a `User-Agent` speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// A phone.
    pub is_mobile: bool,
    /// A tablet.
    pub is_tablet: bool,
    /// A television, or what is plugged into one.
    pub is_smart_tv: bool,
    /// Anything else.
    pub is_desktop: bool,
}

const TELEVISIONS: [&str; 10] = [
    "smart-tv", "smarttv", "googletv", "appletv", "apple tv", "hbbtv", "netcast", "web0s",
    "bravia", "roku",
];
const TABLETS: [&str; 5] = ["ipad", "tablet", "kindle", "silk/", "playbook"];
const PHONES: [&str; 8] = [
    "iphone",
    "ipod",
    "mobile",
    "windows phone",
    "blackberry",
    "opera mini",
    "opera mobi",
    "iemobile",
];

/// The device that `user_agent` speaks of. Never a promise: the field is whatever a viewer says.
pub fn device(user_agent: &str) -> Device {
    let text = user_agent.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let is_smart_tv = has(&TELEVISIONS) || text.contains("tizen") && text.contains("tv");
    // Android tablets are those that do not say "Mobile".
    let is_bare_android = text.contains("android") && !text.contains("mobile");
    let is_tablet = !is_smart_tv && (has(&TABLETS) || is_bare_android);
    let is_mobile = !is_smart_tv && !is_tablet && has(&PHONES);
    Device {
        is_mobile,
        is_tablet,
        is_smart_tv,
        is_desktop: !is_mobile && !is_tablet && !is_smart_tv,
    }
}

/// Takes away what the viewer claims, and adds what `behavior` asks for.
pub fn derive(behavior: &CacheBehavior, country: Option<Country>, headers: &mut HeaderMap) {
    strip(headers);
    let keyed = behavior.cache_policy.headers.listed().iter();
    let wanted = keyed.chain(behavior.origin_request_policy.headers.listed());
    let mut known = None;
    for name in wanted.filter(|name| name.as_str().starts_with(PREFIX)) {
        let device = *known.get_or_insert_with(|| of_viewer(headers));
        let value = match name.as_str() {
            COUNTRY => HeaderValue::from_str(country.as_ref().map_or(UNKNOWN, Country::as_str)),
            "cloudfront-is-mobile-viewer" => said(device.is_mobile),
            "cloudfront-is-tablet-viewer" => said(device.is_tablet),
            "cloudfront-is-smarttv-viewer" => said(device.is_smart_tv),
            "cloudfront-is-desktop-viewer" => said(device.is_desktop),
            _ => continue,
        };
        if let Ok(value) = value {
            headers.insert(name.as_header(), value);
        }
    }
}

fn said(fact: bool) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    Ok(HeaderValue::from_static(if fact { "true" } else { "false" }))
}

fn of_viewer(headers: &HeaderMap) -> Device {
    let said = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    device(said.unwrap_or_default())
}

fn strip(headers: &mut HeaderMap) {
    let is_ours = |name: &&HeaderName| name.as_str().starts_with(PREFIX);
    let claimed: Vec<HeaderName> = headers.keys().filter(is_ours).cloned().collect();
    claimed.iter().for_each(|name| drop(headers.remove(name)));
}

#[cfg(test)]
mod tests {
    use model::policy::KeyHeaders;
    use model::policy::origin_request::ForwardedHeaders;

    use super::*;
    use crate::testing::{fields, names};

    #[test]
    fn a_user_agent_tells_the_kind_of_device() {
        for (agent, expect) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0",
                "desktop",
            ),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari/605.1.15", "desktop"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148", "mobile"),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/126.0 Mobile Safari/537.36",
                "mobile",
            ),
            ("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) Mobile/15E148", "tablet"),
            ("Mozilla/5.0 (Linux; Android 13; SM-X700) Chrome/126.0 Safari/537.36", "tablet"),
            ("Mozilla/5.0 (Linux; Android 9; KFMAWI) Silk/108 like Chrome", "tablet"),
            ("Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) TV Safari/537.36", "tv"),
            ("Mozilla/5.0 (Web0S; Linux/SmartTV) Chrome/79.0", "tv"),
            ("Roku/DVP-12.5 (12.5.0.4178)", "tv"),
            ("curl/8.8.0", "desktop"),
            ("", "desktop"),
        ] {
            let Device { is_mobile, is_tablet, is_smart_tv, is_desktop } = device(agent);
            let found = [
                (is_mobile, "mobile"),
                (is_tablet, "tablet"),
                (is_smart_tv, "tv"),
                (is_desktop, "desktop"),
            ];
            let found: Vec<&str> =
                found.iter().filter(|(holds, _)| *holds).map(|(_, kind)| *kind).collect();
            assert_eq!(found, [expect], "{agent}");
        }
    }

    #[test]
    fn only_what_was_derived_here_is_believed() {
        let mut behavior = CacheBehavior::to_origin("main");
        let mut headers = fields(
            "user-agent:iPhone|cloudfront-viewer-country:CH|cloudfront-is-mobile-viewer:false|a:b",
        );
        derive(&behavior, None, &mut headers);
        assert_eq!(headers, fields("user-agent:iPhone|a:b"));
        behavior.cache_policy.headers =
            KeyHeaders::Whitelist(names(&["CloudFront-Is-Mobile-Viewer"]));
        behavior.origin_request_policy.headers =
            ForwardedHeaders::AllViewerAndDerived(names(&["CloudFront-Viewer-Country"]));
        derive(&behavior, Country::parse("CH"), &mut headers);
        assert_eq!(headers["cloudfront-is-mobile-viewer"], "true");
        assert_eq!(headers["cloudfront-viewer-country"], "CH");
        derive(&behavior, None, &mut headers);
        assert_eq!(headers["cloudfront-viewer-country"], "ZZ");
    }
}
