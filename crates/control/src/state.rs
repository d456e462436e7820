//! The state that the log builds, and `apply`, its only writer.
//!
//! A position at or below the applied one changes nothing, so that two channels may feed one state
//! (Raft and the follow tree). A snapshot is the whole state, and installing it is one assignment:
//! map, floors and applied position move together (R15).

use std::sync::Arc;

use imbl::OrdMap;
use model::limits::{DISTRIBUTIONS_MAX, MEMBERS_MAX, OUTCOMES_MAX, SCOPES_MAX};
use model::{
    Attributes, Distribution, DistributionName, Host, Instance, Invalidation, LogPosition, Member,
    NodeName,
};
use serde::{Deserialize, Serialize};

use crate::command::{Command, CommandId, Envelope, Fingerprint, Outcome, Refusal};
use crate::epochs::Epochs;

/// Everything the mesh agrees on, as of one position of the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    applied: LogPosition,
    mesh: Option<String>,
    roster: OrdMap<NodeName, Member>,
    roster_version: LogPosition,
    distributions: OrdMap<DistributionName, Arc<Distribution>>,
    aliases: OrdMap<Host, DistributionName>,
    epochs: OrdMap<DistributionName, Epochs>,
    outcomes: OrdMap<CommandId, Outcome>,
    outcome_order: OrdMap<LogPosition, CommandId>,
}

impl State {
    /// The position of the last entry applied.
    pub fn applied(&self) -> LogPosition {
        self.applied
    }

    /// The mesh's name, once it is formed.
    pub fn mesh(&self) -> Option<&str> {
        self.mesh.as_deref()
    }

    /// Who belongs, by name.
    pub fn roster(&self) -> impl Iterator<Item = &Member> {
        self.roster.values()
    }

    /// The position of the last change of the roster: the version of every ring built from it.
    pub fn roster_version(&self) -> LogPosition {
        self.roster_version
    }

    /// The member of that name.
    pub fn member(&self, name: &NodeName) -> Option<&Member> {
        self.roster.get(name)
    }

    /// All distributions, by name.
    pub fn distributions(&self) -> impl Iterator<Item = &Arc<Distribution>> {
        self.distributions.values()
    }

    /// The distribution of that name.
    pub fn distribution(&self, name: &DistributionName) -> Option<&Arc<Distribution>> {
        self.distributions.get(name)
    }

    /// The distribution that answers for `host`: the exact alias, else the most specific
    /// `*.suffix`, else `*`.
    pub fn distribution_for(&self, host: &Host) -> Option<&Arc<Distribution>> {
        let name = self.aliases.get(host).or_else(|| self.starred_alias(host.as_str()))?;
        self.distributions.get(name)
    }

    fn starred_alias(&self, host: &str) -> Option<&DistributionName> {
        let suffixes = host.match_indices('.').map(|(dot, _)| format!("*{}", &host[dot..]));
        let patterns = suffixes.chain(std::iter::once("*".to_owned()));
        let hosts = patterns.filter_map(|pattern| Host::parse(&pattern).ok());
        hosts.into_iter().find_map(|pattern| self.aliases.get(&pattern))
    }

    /// When `distribution`'s content was last purged; nothing is known of one that never existed.
    pub fn epochs(&self, distribution: &DistributionName) -> Option<&Epochs> {
        self.epochs.get(distribution)
    }

    /// Whether a copy of `attributes` fetched `as_of` that position must not be served.
    pub fn is_old(&self, attributes: &Attributes, as_of: LogPosition) -> bool {
        let epochs = self.epochs.get(&attributes.distribution);
        epochs.is_some_and(|epochs| epochs.is_old(attributes, as_of))
    }

    /// What the log said to the command `id`, if it was applied not long ago.
    pub fn outcome(&self, id: &CommandId) -> Option<&Outcome> {
        self.outcomes.get(id)
    }

    /// Advances over an entry that holds no command.
    pub fn skip(&mut self, position: LogPosition) {
        self.applied = self.applied.max(position);
    }

    /// Applies one entry: the only way in which anything here changes. A repeated entry hears what
    /// the first one heard; another one under its id is refused.
    pub fn apply(
        &mut self,
        position: LogPosition,
        entry: &Envelope,
        fingerprint: Fingerprint,
    ) -> Outcome {
        if let Some(known) = self.outcomes.get(&entry.id) {
            let known = known.clone();
            self.skip(position);
            return match known.fingerprint == fingerprint {
                true => known,
                false => Outcome { position, verdict: Err(Refusal::KeyReused), fingerprint },
            };
        }
        if position <= self.applied {
            return Outcome { position, verdict: Ok(()), fingerprint };
        }
        self.applied = position;
        let verdict = self.change(position, &entry.command);
        let outcome = Outcome { position, verdict, fingerprint };
        self.remember(entry.id, outcome.clone());
        outcome
    }

    fn remember(&mut self, id: CommandId, outcome: Outcome) {
        self.outcome_order.insert(outcome.position, id);
        self.outcomes.insert(id, outcome);
        if self.outcomes.len() > OUTCOMES_MAX {
            let (oldest, rest) = self.outcome_order.without_min();
            self.outcome_order = rest;
            if let Some(oldest) = oldest {
                self.outcomes.remove(&oldest);
            }
        }
    }

    fn change(&mut self, position: LogPosition, command: &Command) -> Result<(), Refusal> {
        if let Command::Form { mesh, founder } = command {
            return self.form(position, mesh, founder);
        }
        if self.mesh.is_none() {
            return Err(Refusal::NotFormed);
        }
        match command {
            Command::Form { .. } => Err(Refusal::AlreadyFormed),
            Command::Join { member, replaces } => self.join(position, member, *replaces),
            Command::Leave { name, instance } => self.leave(position, name, *instance),
            Command::PutDistribution(distribution) => self.put(position, distribution),
            Command::DeleteDistribution(name) => self.delete(position, name),
            Command::Invalidate(invalidation) => self.invalidate(position, invalidation),
        }
    }

    fn form(&mut self, at: LogPosition, mesh: &str, founder: &Member) -> Result<(), Refusal> {
        if self.mesh.is_some() {
            return Err(Refusal::AlreadyFormed);
        }
        self.mesh = Some(mesh.to_owned());
        self.join(at, founder, None)
    }

    fn join(
        &mut self,
        at: LogPosition,
        member: &Member,
        replaces: Option<Instance>,
    ) -> Result<(), Refusal> {
        let holder = self.roster.get(&member.name);
        let foreign = holder.filter(|holder| {
            holder.instance != member.instance && Some(holder.instance) != replaces
        });
        if let Some(foreign) = foreign {
            let (name, holder) = (foreign.name.clone(), foreign.instance);
            return Err(Refusal::NameTaken { name, holder });
        }
        if holder.is_none() && self.roster.len() >= MEMBERS_MAX {
            return Err(Refusal::RosterFull(MEMBERS_MAX as u64));
        }
        if holder != Some(member) {
            self.roster.insert(member.name.clone(), member.clone());
            self.roster_version = at;
        }
        Ok(())
    }

    fn leave(
        &mut self,
        at: LogPosition,
        name: &NodeName,
        instance: Instance,
    ) -> Result<(), Refusal> {
        let holds = self.roster.get(name).is_some_and(|member| member.instance == instance);
        if !holds {
            return Err(Refusal::NoSuchNode(name.clone()));
        }
        self.roster.remove(name);
        self.roster_version = at;
        Ok(())
    }

    fn put(&mut self, at: LogPosition, distribution: &Distribution) -> Result<(), Refusal> {
        distribution
            .check()
            .map_err(|misfit| Refusal::Misfit { key: misfit.key, problem: misfit.problem })?;
        let name = &distribution.name;
        for host in &distribution.aliases {
            if let Some(holder) = self.aliases.get(host).filter(|holder| *holder != name) {
                return Err(Refusal::AliasTaken { host: host.clone(), holder: holder.clone() });
            }
        }
        let known = self.distributions.contains_key(name);
        if !known && self.distributions.len() >= DISTRIBUTIONS_MAX {
            return Err(Refusal::DistributionsFull(DISTRIBUTIONS_MAX as u64));
        }
        self.release_aliases(name);
        for host in &distribution.aliases {
            self.aliases.insert(host.clone(), name.clone());
        }
        self.distributions.insert(name.clone(), Arc::new(distribution.clone()));
        if !known {
            self.epochs.entry(name.clone()).or_default().raise_floor(at);
        }
        Ok(())
    }

    fn release_aliases(&mut self, name: &DistributionName) {
        let Some(old) = self.distributions.get(name).cloned() else { return };
        for host in &old.aliases {
            self.aliases.remove(host);
        }
    }

    /// The epochs outlive the distribution: one made later under the same name must not find its
    /// copies.
    fn delete(&mut self, at: LogPosition, name: &DistributionName) -> Result<(), Refusal> {
        if !self.distributions.contains_key(name) {
            return Err(Refusal::NoSuchDistribution(name.clone()));
        }
        self.release_aliases(name);
        self.distributions.remove(name);
        self.epochs.entry(name.clone()).or_default().raise_floor(at);
        Ok(())
    }

    fn invalidate(&mut self, at: LogPosition, purge: &Invalidation) -> Result<(), Refusal> {
        if !self.distributions.contains_key(&purge.distribution) {
            return Err(Refusal::NoSuchDistribution(purge.distribution.clone()));
        }
        let given = purge.scopes.len();
        if given == 0 || given > SCOPES_MAX {
            return Err(Refusal::Scopes { given: given as u64, max: SCOPES_MAX as u64 });
        }
        let epochs = self.epochs.entry(purge.distribution.clone()).or_default();
        for scope in &purge.scopes {
            epochs.purge(scope, at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
