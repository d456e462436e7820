//! Header maps and moments for tests, written the way one reads them.
//!
//! Compiled for tests only.
//! Never used to build what leaves the process.

use std::time::{Duration, SystemTime};

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use model::{Attributes, Host, Path};

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the example date of RFC 9110 §5.6.7.
pub(crate) const NOON: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
/// Ten seconds before [`NOON`].
pub(crate) const EARLIER: &str = "Sun, 06 Nov 1994 08:49:27 GMT";
/// Ten seconds after [`NOON`].
pub(crate) const LATER: &str = "Sun, 06 Nov 1994 08:49:47 GMT";

/// [`NOON`] as the wall clock reads it.
pub(crate) fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}

/// That many seconds.
pub(crate) const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Parses `name: value` lines; `|` separates them.
pub(crate) fn fields(lines: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split('|').filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':').expect("name: value");
        let name: HeaderName = name.trim().parse().expect("a field name");
        headers.append(name, HeaderValue::from_bytes(value.trim().as_bytes()).expect("a value"));
    }
    headers
}

/// What is at that path of that host.
pub(crate) fn attributes(host: &str, path: &str) -> Attributes {
    let (host, path) = (Host::parse(host).expect("a host"), Path::parse(path).expect("a path"));
    Attributes { distribution: "shop".parse().expect("a name"), host, path }
}
