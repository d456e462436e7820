//! Fields that end at this hop: they describe a connection, not a message (RFC 9110 §7.6.1).
//!
//! Stripped from what comes in, at both ends, before anything is decided, kept or passed on.
//! `Trailer` stays: trailers pass through, and it says which (RFC 9110 §6.6.2).
//! `Connection` cannot be used to take away fields that a cache or router depends on.

use http::HeaderMap;
use http::header::{
    CACHE_CONTROL, CONNECTION, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};

use crate::field;
use crate::forward::CDN_LOOP;

/// Fields that end here whether or not `Connection` lists them.
const HOP_BY_HOP: [HeaderName; 9] = [
    // Lists the others; each hop writes its own.
    CONNECTION,
    // Timeouts of one connection (RFC 9112 §9.3); never registered, so often not listed.
    HeaderName::from_static("keep-alive"),
    // What old clients send to a proxy instead of Connection (RFC 9112 §C.2.2).
    HeaderName::from_static("proxy-connection"),
    // Credentials and challenges for the next proxy only (RFC 9110 §11.7, RFC 9111 §3.1).
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    // Which transfer codings and trailers the next hop takes (RFC 9110 §10.1.4).
    TE,
    // How this hop's body is framed; the next one frames its own (RFC 9112 §6.1).
    TRANSFER_ENCODING,
    // Offers another protocol on this connection (RFC 9110 §7.8).
    UPGRADE,
];

/// Fields for all recipients, which `Connection` must not list (RFC 9110 §7.6.1). Without the first
/// a `no-store` could be listed away, without the second the request would have no target.
const END_TO_END: [HeaderName; 2] = [CACHE_CONTROL, HOST];

/// Whether `Connection` cannot take a field away. `CDN-Loop` would be the first that who builds a
/// loop lists (RFC 8586 §3).
fn is_end_to_end(name: &HeaderName) -> bool {
    END_TO_END.contains(name) || *name == CDN_LOOP
}

/// Removes the fields that `Connection` lists and those that end at this hop anyway.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = field::all_members(headers, &CONNECTION)
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .filter(|name| !is_end_to_end(name))
        .collect();
    for name in listed.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fields;

    #[test]
    fn what_ends_at_this_hop_is_removed() {
        // RFC 9110 §7.6.1.
        let mut headers = fields(
            "connection:close, X-Hop|connection:,other, not a name|x-hop:1|other:2|keep-alive:9|\
             proxy-connection:a|te:trailers|trailer:x|transfer-encoding:chunked|upgrade:h2c|\
             proxy-authenticate:a|proxy-authorization:b|proxy-authentication-info:c|\
             x-kept:1|date:x",
        );
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers, fields("trailer:x|x-kept:1|date:x"));
    }

    #[test]
    fn connection_cannot_take_away_what_a_cache_depends_on() {
        // RFC 9110 §7.6.1: a sender must not list a field meant for all recipients.
        let kept = "cache-control:no-store|host:a|cdn-loop:x";
        let mut headers = fields(&format!("connection:Cache-Control, host, CDN-Loop|{kept}"));
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers, fields(kept));
    }
}
