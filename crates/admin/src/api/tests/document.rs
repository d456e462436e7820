//! The OpenAPI document is the committed one, covers every route, and describes the model's own
//! distributions.
//! After a change that is meant: `UPDATE=1 cargo test -p admin`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::api::openapi;
use crate::testing::{Caller, FakeDesk, distribution};

fn document() -> Value {
    serde_json::from_str(openapi()).unwrap()
}

#[test]
fn the_document_is_the_one_that_was_committed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, openapi()).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == openapi(),
        "the API is no longer what {} says. If that is meant, run: UPDATE=1 cargo test -p admin",
        file.display()
    );
}

#[tokio::test]
async fn the_document_is_served() {
    let answer = Caller::of(&FakeDesk::new()).get("/openapi.json").await;
    assert_eq!(answer.field("content-type"), "application/json");
    assert_eq!(answer.json(), document());
}

#[test]
fn every_route_is_documented() {
    let paths = document()["paths"].clone();
    let mut found = BTreeSet::new();
    for (path, item) in paths.as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            found.insert(format!("{method} {path}"));
        }
    }
    let expected = [
        "delete /v1/distributions/{name}",
        "delete /v1/nodes/{name}",
        "get /healthz",
        "get /metrics",
        "get /openapi.json",
        "get /readyz",
        "get /v1/distributions",
        "get /v1/distributions/{name}",
        "get /v1/invalidations",
        "get /v1/invalidations/{id}",
        "get /v1/status",
        "post /v1/invalidations",
        "put /v1/distributions/{name}",
    ];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document = document();
    let mut left = vec![&document];
    let mut followed = 0;
    while let Some(value) = left.pop() {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                    followed += 1;
                }
                left.extend(map.values());
            }
            Value::Array(list) => left.extend(list),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    assert!(followed > 10);
}

const RESPONSE_HEADERS: &str = "/default_cache_behavior/response_headers_policy";
const SECURITY: &str = "/default_cache_behavior/response_headers_policy/security_headers";

/// A distribution with at least one of everything that can be written.
fn elaborate() -> Value {
    let mut written = distribution("shop", "shop.example");
    written["custom_error_responses"] = json!([{ "error_code": 404 }]);
    written["default_cache_behavior"]["response_headers_policy"] = json!({
        "cors": { "allow_origins": ["*"] },
        "custom_headers": [{ "header": "x-shop", "value": "1" }],
        "server_timing": { "sampling_rate": 12.5 },
        "security_headers": {
            "strict_transport_security": { "max_age_seconds": 60 },
            "content_type_options": {},
            "frame_options": { "frame_option": "SAMEORIGIN" },
            "referrer_policy": { "referrer_policy": "no-referrer" },
            "content_security_policy": { "content_security_policy": "default-src 'self'" },
            "xss_protection": { "protection": true },
        },
    });
    written
}

#[test]
fn the_documents_distribution_is_the_models() {
    let written = elaborate();
    let parsed: model::Distribution = serde_json::from_value(written.clone()).unwrap();
    let full = serde_json::to_value(parsed).unwrap();
    let schemas = document()["components"]["schemas"].clone();
    for (schema, pointer) in [
        ("Distribution", ""),
        ("Origin", "/origins/0"),
        ("Purging", "/purging"),
        ("CacheBehavior", "/default_cache_behavior"),
        ("CachePolicy", "/default_cache_behavior/cache_policy"),
        ("OriginRequestPolicy", "/default_cache_behavior/origin_request_policy"),
        ("CustomErrorResponse", "/custom_error_responses/0"),
        ("RequestLimits", "/limits"),
        ("ResponseHeadersPolicy", RESPONSE_HEADERS),
        ("Cors", &format!("{RESPONSE_HEADERS}/cors")),
        ("SecurityHeaders", SECURITY),
        ("TransportSecurity", &format!("{SECURITY}/strict_transport_security")),
        ("Plain", &format!("{SECURITY}/content_type_options")),
        ("FrameOptions", &format!("{SECURITY}/frame_options")),
        ("Referrer", &format!("{SECURITY}/referrer_policy")),
        ("ContentSecurity", &format!("{SECURITY}/content_security_policy")),
        ("XssProtection", &format!("{SECURITY}/xss_protection")),
        ("CustomHeader", &format!("{RESPONSE_HEADERS}/custom_headers/0")),
        ("ServerTiming", &format!("{RESPONSE_HEADERS}/server_timing")),
    ] {
        let (schema_name, schema) = (schema, &schemas[schema]);
        let object = full.pointer(pointer).unwrap().as_object().unwrap();
        let properties = schema["properties"].as_object().unwrap();
        assert!(object.keys().eq(properties.keys()), "{schema_name}: {object:?}");
        assert_eq!(schema["additionalProperties"], false, "{schema_name}");
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (key, property) in properties {
            let mut without = full.clone();
            without.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key);
            let optional = serde_json::from_value::<model::Distribution>(without);
            let listed = required.iter().any(|name| name == key);
            assert_eq!(optional.is_err(), listed, "{schema_name}.{key}");
            let Some(default) = property.get("default") else { continue };
            let optional = serde_json::to_value(optional.unwrap()).unwrap();
            assert_eq!(&optional.pointer(pointer).unwrap()[key], default, "{schema_name}.{key}");
        }
    }
}
