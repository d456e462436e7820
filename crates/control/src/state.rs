//! The state that the log builds, and `apply`, its only writer.
//!
//! A position at or below the applied one changes nothing, so that two channels may feed one state
//! (Raft and the follow tree). A snapshot is the whole state, and installing it is one assignment:
//! map, floors and applied position move together (R15).

use std::sync::Arc;
use std::time::Duration;

use imbl::{OrdMap, Vector};
use model::limits::{
    DISTRIBUTIONS_MAX, EPOCHS_TOTAL_MAX, INVALIDATIONS_LISTED_MAX, LEASE, LEASE_MAX, LEASE_MIN,
    MEMBERS_MAX, OUTCOMES_MAX, SCOPES_MAX,
};
use model::{
    Attributes, Distribution, DistributionName, Host, Instance, Invalidation, LogPosition, Member,
    NodeName, Tags,
};
use serde::{Deserialize, Serialize};

use crate::command::{Command, CommandId, Envelope, Fingerprint, Outcome, Record, Refusal};
use crate::epochs::{Epochs, Standing};

/// Everything the mesh agrees on, as of one position of the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    applied: LogPosition,
    mesh: Option<String>,
    lease_ms: u32,
    roster: OrdMap<NodeName, Member>,
    roster_version: LogPosition,
    distributions: OrdMap<DistributionName, Arc<Distribution>>,
    aliases: OrdMap<Host, DistributionName>,
    epochs: OrdMap<DistributionName, Epochs>,
    epochs_total: usize,
    outcomes: OrdMap<CommandId, Outcome>,
    outcome_order: Vector<CommandId>,
    invalidations: Vector<Record>,
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

    /// How long a node may serve copies without hearing of later purges.
    pub fn lease(&self) -> Duration {
        match self.lease_ms {
            0 => LEASE,
            ms => Duration::from_millis(ms.into()),
        }
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

    /// How a copy fetched `as_of` that position stands among the purges known. One of an earlier
    /// mesh epoch is old, whatever it is: purges of that epoch may be lost (R17).
    pub fn standing(&self, attributes: &Attributes, tags: &Tags, as_of: LogPosition) -> Standing {
        if as_of.epoch() < self.applied.epoch() {
            return Standing::Old;
        }
        let epochs = self.epochs.get(&attributes.distribution);
        epochs.map_or(Standing::Good, |epochs| epochs.standing(attributes, tags, as_of))
    }

    /// When something that covers a copy was last purged for good, as far as is remembered.
    pub fn last_hard_purge(&self, attributes: &Attributes, tags: &Tags) -> LogPosition {
        let everything = LogPosition::new(self.applied.epoch(), 0);
        let epochs = self.epochs.get(&attributes.distribution);
        let last = epochs.map(|epochs| epochs.last_hard_purge(attributes, tags));
        last.unwrap_or_default().max(everything)
    }

    /// The last invalidations, newest first.
    pub fn invalidations(&self) -> impl Iterator<Item = &Record> {
        self.invalidations.iter().rev()
    }

    /// Entries of all invalidation maps together.
    pub fn epochs_total(&self) -> usize {
        self.epochs_total
    }

    /// What the log said to the command `id`, if it was applied not long ago.
    pub fn outcome(&self, id: &CommandId) -> Option<&Outcome> {
        self.outcomes.get(id)
    }

    /// Forced recovery: the mesh goes on with what is known here, in a new epoch whose first
    /// position is `at`, without the members `lost`. Whatever the log had beyond is gone, purges
    /// among it, so every copy of earlier epochs is old from here on.
    ///
    /// # Panics
    /// If `at` does not begin a later epoch.
    pub fn begin_epoch(&mut self, at: LogPosition, lost: &[Instance]) {
        assert!(at.epoch() > self.applied.epoch(), "{at} does not begin an epoch");
        let is_lost = |member: &&Member| lost.contains(&member.instance);
        let names: Vec<_> = self.roster.values().filter(is_lost).map(|m| m.name.clone()).collect();
        for name in &names {
            self.roster.remove(name);
            self.roster_version = at;
        }
        self.applied = at;
    }

    /// Advances over an entry that holds no command.
    pub fn skip(&mut self, position: LogPosition) {
        self.applied = self.applied.max(position);
    }

    /// Applies one entry, the commands that share its position: the only way in which anything here
    /// changes. A repeated command hears what the first one heard; another one under its id is
    /// refused.
    pub fn apply(
        &mut self,
        position: LogPosition,
        entry: &[(Envelope, Fingerprint)],
    ) -> Vec<Outcome> {
        let is_new = position > self.applied;
        self.skip(position);
        let commands = entry.iter();
        commands.map(|(command, mark)| self.apply_one(position, is_new, command, *mark)).collect()
    }

    fn apply_one(
        &mut self,
        position: LogPosition,
        is_new: bool,
        command: &Envelope,
        fingerprint: Fingerprint,
    ) -> Outcome {
        if let Some(known) = self.outcomes.get(&command.id) {
            return match known.fingerprint == fingerprint {
                true => known.clone(),
                false => Outcome { position, verdict: Err(Refusal::KeyReused), fingerprint },
            };
        }
        if !is_new {
            return Outcome { position, verdict: Ok(()), fingerprint };
        }
        let verdict = self.change(position, command);
        let outcome = Outcome { position, verdict, fingerprint };
        self.remember(command.id, outcome.clone());
        outcome
    }

    fn remember(&mut self, id: CommandId, outcome: Outcome) {
        self.outcome_order.push_back(id);
        self.outcomes.insert(id, outcome);
        if self.outcomes.len() > OUTCOMES_MAX
            && let Some(oldest) = self.outcome_order.pop_front()
        {
            self.outcomes.remove(&oldest);
        }
    }

    fn change(&mut self, position: LogPosition, entry: &Envelope) -> Result<(), Refusal> {
        if let Command::Form { mesh, founder, lease_ms } = &entry.command {
            return self.form(position, mesh, founder, *lease_ms);
        }
        if self.mesh.is_none() {
            return Err(Refusal::NotFormed);
        }
        match &entry.command {
            Command::Form { .. } => Err(Refusal::AlreadyFormed),
            Command::Join { member, replaces } => self.join(position, member, *replaces),
            Command::Leave { name, instance } => self.leave(position, name, *instance),
            Command::PutDistribution(distribution) => self.put(distribution),
            Command::DeleteDistribution(name) => self.delete(position, name),
            Command::Invalidate(purge) => self.invalidate(position, entry.id, purge),
        }
    }

    fn form(
        &mut self,
        at: LogPosition,
        mesh: &str,
        founder: &Member,
        lease_ms: u32,
    ) -> Result<(), Refusal> {
        if self.mesh.is_some() {
            return Err(Refusal::AlreadyFormed);
        }
        let [min_ms, max_ms] = [LEASE_MIN, LEASE_MAX].map(|bound| bound.as_millis() as u32);
        if !(min_ms..=max_ms).contains(&lease_ms) {
            return Err(Refusal::Lease { given_ms: lease_ms, min_ms, max_ms });
        }
        self.mesh = Some(mesh.to_owned());
        self.lease_ms = lease_ms;
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

    fn put(&mut self, distribution: &Distribution) -> Result<(), Refusal> {
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
        self.change_epochs(name, |epochs| epochs.raise_floor(at));
        Ok(())
    }

    fn invalidate(
        &mut self,
        at: LogPosition,
        id: CommandId,
        purge: &Invalidation,
    ) -> Result<(), Refusal> {
        let Invalidation { distribution, scopes, effect } = purge;
        let Some(known) = self.distributions.get(distribution).cloned() else {
            return Err(Refusal::NoSuchDistribution(distribution.clone()));
        };
        let first = scopes.first().filter(|_| scopes.len() <= SCOPES_MAX);
        let Some(first) = first.cloned() else {
            return Err(Refusal::Scopes { given: scopes.len() as u64, max: SCOPES_MAX as u64 });
        };
        self.change_epochs(distribution, |epochs| {
            for scope in scopes {
                match known.merge_slashes {
                    true => epochs.purge(&scope.with_slashes_merged(), *effect, at),
                    false => epochs.purge(scope, *effect, at),
                }
            }
        });
        self.bound_epochs(at);
        let (distribution, effect) = (distribution.clone(), *effect);
        let scopes = scopes.len() as u32;
        self.invalidations.push_back(Record {
            id,
            position: at,
            distribution,
            effect,
            scopes,
            first,
        });
        if self.invalidations.len() > INVALIDATIONS_LISTED_MAX {
            self.invalidations.pop_front();
        }
        Ok(())
    }

    fn change_epochs(&mut self, name: &DistributionName, change: impl FnOnce(&mut Epochs)) {
        let epochs = self.epochs.entry(name.clone()).or_default();
        let before = epochs.len();
        change(epochs);
        self.epochs_total = self.epochs_total - before + epochs.len();
    }

    /// Memory is bounded at the cost of whoever uses most of it (I8).
    fn bound_epochs(&mut self, at: LogPosition) {
        while self.epochs_total > EPOCHS_TOTAL_MAX {
            let largest = self.epochs.iter().max_by_key(|(_, epochs)| epochs.len());
            let Some(name) = largest.map(|(name, _)| name.clone()) else { return };
            self.change_epochs(&name, |epochs| epochs.raise_floor(at));
        }
    }
}

#[cfg(test)]
mod tests;
