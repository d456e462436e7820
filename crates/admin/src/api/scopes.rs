//! What a purge names, read from its request: paths, tags and hosts of one distribution.
//!
//! What could be read as covering less than its writer meant is refused: scopes of several
//! distributions, hosts with a star.

use control::Refusal;
use model::limits::SCOPES_MAX;
use model::{DistributionName, Host, Invalid, Invalidation, Scope, Tag};

use crate::problem::{Fault, Problem};
use crate::view::InvalidationRequest;

/// A scope, and where in the request it stands.
struct Named {
    key: &'static str,
    at: usize,
    scope: Scope,
}

impl Named {
    fn wrong(&self, words: &str) -> Problem {
        let Named { key, at, scope } = self;
        malformed(format!("{key}[{at}]: \"{scope}\" {words}"))
    }
}

/// The purge that `request` describes, as this node knows the mesh's distributions.
pub(crate) fn read(
    state: &control::State,
    request: &InvalidationRequest,
) -> Result<Invalidation, Problem> {
    let named = request.distribution.as_deref().map(str::parse).transpose()?;
    let scopes = if request.all { everything(request)? } else { listed(request)? };
    let distribution = whose(state, named, &scopes)?;
    let scopes = scopes.into_iter().map(|named| named.scope).collect();
    Ok(Invalidation { distribution, scopes, effect: request.effect })
}

fn everything(request: &InvalidationRequest) -> Result<Vec<Named>, Problem> {
    let InvalidationRequest { paths, tags, hosts, .. } = request;
    if paths.is_empty() && tags.is_empty() && hosts.is_empty() {
        return Ok(vec![Named { key: "all", at: 0, scope: Scope::All }]);
    }
    Err(malformed("all: true stands in place of paths, tags and hosts: give one of the two"))
}

fn listed(request: &InvalidationRequest) -> Result<Vec<Named>, Problem> {
    let InvalidationRequest { paths, tags, hosts, .. } = request;
    let given = paths.len() + tags.len() + hosts.len();
    if given == 0 || given > SCOPES_MAX {
        return Err(Refusal::Scopes { given: given as u64, max: SCOPES_MAX as u64 }.into());
    }
    let mut scopes = Vec::with_capacity(given);
    let tag = |tag: &str| Tag::parse(tag).map(Scope::Tag);
    let host = |host: &str| Host::parse(host).map(Scope::Host);
    read_all("paths", paths, Scope::parse, &mut scopes)?;
    read_all("tags", tags, tag, &mut scopes)?;
    read_all("hosts", hosts, host, &mut scopes)?;
    Ok(scopes)
}

fn read_all(
    key: &'static str,
    given: &[String],
    parse: impl Fn(&str) -> Result<Scope, Invalid>,
    scopes: &mut Vec<Named>,
) -> Result<(), Problem> {
    for (at, text) in given.iter().enumerate() {
        let parsed = parse(text).map_err(|invalid| malformed(format!("{key}[{at}]: {invalid}")));
        let named = Named { key, at, scope: parsed? };
        if named.scope.host().is_some_and(|host| host.as_str().contains('*')) {
            let expected = "expected one host, or only the path, which covers every host";
            return Err(named.wrong(&format!("has a star in its host: {expected}")));
        }
        scopes.push(named);
    }
    Ok(())
}

/// The distribution that all the scopes belong to: the one named, else the one that answers for the
/// hosts given.
fn whose(
    state: &control::State,
    named: Option<DistributionName>,
    scopes: &[Named],
) -> Result<DistributionName, Problem> {
    let mut whose = named.clone();
    for scope in scopes {
        let Some(host) = scope.scope.host() else { continue };
        let holder = state.distribution_for(host).map(|distribution| &distribution.name);
        match (&whose, holder) {
            (Some(whose), Some(holder)) if whose == holder => {}
            (Some(whose), Some(holder)) => {
                let several = format!("belongs to the distribution {holder}, not to {whose}");
                let advice = "send one request for each distribution";
                return Err(scope.wrong(&format!("{several}: {advice}")));
            }
            (None, Some(holder)) => whose = Some(holder.clone()),
            // What a host's content was cached under stays known by name, though the alias is gone.
            (Some(_), None) if named.is_some() => {}
            (Some(_) | None, None) => return Err(homeless(scope, host)),
        }
    }
    let expected =
        "distribution: expected a name, or a full URL of one of its hosts among the paths";
    whose.ok_or_else(|| malformed(expected))
}

fn homeless(scope: &Named, host: &Host) -> Problem {
    let Named { key, at, .. } = scope;
    let detail = format!("{key}[{at}]: no distribution answers for the host {host}");
    Problem::new(Fault::NoSuchDistribution, detail)
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(Fault::Malformed, detail)
}
