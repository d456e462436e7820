//! What a load saw: how many, how long, and which tier had the answer.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

/// Failures that are shown.
const SHOWN: usize = 20;

/// Which tier had the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    Edge,
    Regional,
    Shield,
    Origin,
}

impl Source {
    /// As `Cache-Status` tells (RFC 9211): a member for each tier that was asked, the one nearest
    /// the origin first. The first member hit, or the origin was asked.
    pub(crate) fn of(headers: &HeaderMap) -> Source {
        let text = headers.get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or("");
        let members: Vec<&str> = text.split(',').collect();
        let hit = members.first().is_some_and(|first| first.contains("hit"));
        match (hit, members.len()) {
            (false, _) => Source::Origin,
            (true, 1) => Source::Edge,
            (true, 2) => Source::Regional,
            (true, _) => Source::Shield,
        }
    }
}

/// What a load saw.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) seconds: f64,
    /// Requests that found no viewer free.
    pub(crate) unsent: u64,
    pub(crate) failed: u64,
    pub(crate) failures: Vec<String>,
    pub(crate) bytes: u64,
    /// Microseconds of each answer, by who had it.
    pub(crate) answered: BTreeMap<Source, Vec<u32>>,
}

/// A share of sorted values lies at or below this one.
pub(crate) fn quantile(sorted: &[u32], share: f64) -> u32 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

impl Tally {
    pub(super) fn note(&mut self, visit: anyhow::Result<(Source, u64)>, took: Duration) {
        match visit {
            Ok((source, bytes)) => {
                let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
                self.answered.entry(source).or_default().push(micros);
                self.bytes += bytes;
            }
            Err(error) => {
                self.failed += 1;
                if self.failures.len() < SHOWN {
                    self.failures.push(format!("{error:#}"));
                }
            }
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.answered.values().map(|times| times.len() as u64).sum::<u64>() + self.failed
    }

    /// The share of answers that were had at `source` or nearer.
    pub(crate) fn share_within(&self, source: Source) -> f64 {
        let count = |within: &dyn Fn(Source) -> bool| -> usize {
            let counted = self.answered.iter().filter(|(source, _)| within(**source));
            counted.map(|(_, times)| times.len()).sum()
        };
        count(&|own| own <= source) as f64 / count(&|_| true).max(1) as f64
    }

    /// Everything, for machines and for the report.
    pub(crate) fn to_json(&self) -> Value {
        let by_source = self.answered.iter().map(|(source, times)| {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let ms = |share| f64::from(quantile(&sorted, share)) / 1_000.0;
            json!({ "source": source, "answers": sorted.len(), "p50_ms": ms(0.5),
                "p90_ms": ms(0.9), "p99_ms": ms(0.99), "max_ms": ms(1.0) })
        });
        json!({
            "seconds": self.seconds,
            "requests": self.requests(),
            "per_second": self.requests() as f64 / self.seconds.max(0.001),
            "failed": self.failed,
            "failures": self.failures,
            "unsent": self.unsent,
            "bytes": self.bytes,
            "hit_ratio_edge": self.share_within(Source::Edge),
            "hit_ratio_region": self.share_within(Source::Regional),
            "hit_ratio_mesh": self.share_within(Source::Shield),
            "by_source": by_source.collect::<Vec<Value>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_first_member_tells_who_had_it() {
        for (text, source) in [
            ("\"e\"; hit", Source::Edge),
            ("\"r\"; hit, \"e\"; fwd=miss", Source::Regional),
            ("\"s\"; hit; ttl=9, \"r\"; fwd=miss, \"e\"; fwd=miss", Source::Shield),
            ("\"s\"; fwd=miss; stored, \"r\"; fwd=miss, \"e\"; fwd=miss", Source::Origin),
            ("", Source::Origin),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("cache-status", HeaderValue::from_str(text).unwrap());
            assert_eq!(Source::of(&headers), source, "{text}");
        }
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let values: Vec<u32> = (1..=100).collect();
        let seen = [0.5, 0.9, 0.99, 1.0].map(|share| quantile(&values, share));
        assert_eq!(seen, [50, 90, 99, 100]);
        assert_eq!(quantile(&[], 0.5), 0);
    }
}
