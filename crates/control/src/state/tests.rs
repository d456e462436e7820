use model::{Effect, Path, Scope, Tiers};

use super::*;

fn at(index: u64) -> LogPosition {
    LogPosition::new(0, index)
}

fn member(name: &str, instance: u64) -> Member {
    Member {
        name: name.parse().unwrap(),
        instance: Instance(instance),
        region: "eu".parse().unwrap(),
        tiers: Tiers::ALL,
        capacity: 100,
        address: "127.0.0.1:7000".parse().unwrap(),
    }
}

fn distribution(name: &str, aliases: &[&str]) -> Distribution {
    Distribution {
        name: name.parse().unwrap(),
        aliases: aliases.iter().map(|alias| Host::parse(alias).unwrap()).collect(),
        origins: vec![model::Origin {
            id: "web".into(),
            domain_name: "127.0.0.1".into(),
            http_port: 80,
            connection_timeout_seconds: 10,
            response_timeout_seconds: 30,
            keepalive_timeout_seconds: 5,
            connections_max: 16,
        }],
        default_cache_behavior: model::CacheBehavior::to_origin("web"),
        cache_behaviors: Vec::new(),
        custom_error_responses: Vec::new(),
        default_root_object: None,
        merge_slashes: false,
        limits: model::distribution::RequestLimits::default(),
        purging: model::Purging::default(),
    }
}

/// A formed mesh that hands out positions and ids as a log would.
struct Log {
    state: State,
    next: u64,
}

impl Log {
    fn formed() -> Log {
        let mut log = Log { state: State::default(), next: 1 };
        let founder = member("a", 1);
        log.say(Command::Form { mesh: "test".into(), founder, lease_ms: 10_000 }).unwrap();
        log
    }

    fn say(&mut self, command: Command) -> Result<(), Refusal> {
        let position = at(self.next);
        let id = CommandId(self.next.into());
        self.next += 1;
        let entry = (Envelope { id, command }, Fingerprint::default());
        self.state.apply(position, &[entry]).remove(0).verdict
    }
}

impl Log {
    fn is_old(&self, path: &str, as_of: LogPosition) -> bool {
        self.state.standing(&attributes(path), &Tags::NONE, as_of) == Standing::Old
    }
}

fn purge(scope: &str) -> Command {
    let distribution = "shop".parse().unwrap();
    Command::Invalidate(Invalidation {
        distribution,
        scopes: vec![Scope::parse(scope).unwrap()],
        effect: Effect::Hard,
    })
}

fn attributes(path: &str) -> Attributes {
    Attributes {
        distribution: "shop".parse().unwrap(),
        host: Host::parse("shop.example").unwrap(),
        path: Path::parse(path).unwrap(),
    }
}

#[test]
fn nothing_happens_before_the_mesh_is_formed_and_it_is_formed_once() {
    let mut log = Log { state: State::default(), next: 1 };
    assert_eq!(log.say(purge("/a")), Err(Refusal::NotFormed));
    let form = Command::Form { mesh: "test".into(), founder: member("a", 1), lease_ms: 10_000 };
    assert_eq!(log.say(form.clone()), Ok(()));
    assert_eq!(log.say(form), Err(Refusal::AlreadyFormed));
    assert_eq!(log.state.mesh(), Some("test"));
}

#[test]
fn a_command_sent_twice_is_applied_once_and_hears_the_same() {
    let mut log = Log::formed();
    log.say(Command::PutDistribution(distribution("shop", &["shop.example"]))).unwrap();
    let entry = Envelope { id: CommandId(99), command: purge("/a") };
    let entry = [(entry, Fingerprint::default())];
    let first = log.state.apply(at(10), &entry);
    let again = log.state.apply(at(12), &entry);
    assert_eq!((again, log.state.applied()), (first, at(12)));
    assert!(!log.is_old("/a", at(10)));
}

#[test]
fn another_command_under_a_used_id_is_refused_and_not_taken_for_the_first() {
    let mut log = Log::formed();
    log.say(Command::PutDistribution(distribution("shop", &["shop.example"]))).unwrap();
    let first = Envelope { id: CommandId(99), command: purge("/a") };
    log.state.apply(at(10), &[(first, Fingerprint::of(b"first"))]);
    let other = Envelope { id: CommandId(99), command: purge("/b") };
    let outcomes = log.state.apply(at(11), &[(other, Fingerprint::of(b"other"))]);
    assert_eq!(outcomes[0].verdict, Err(Refusal::KeyReused));
    assert!(!log.is_old("/b", at(10)));
}

#[test]
fn an_entry_applied_before_changes_nothing() {
    let mut log = Log::formed();
    let before = log.state.clone();
    let late = Envelope {
        id: CommandId(7),
        command: Command::Leave { name: "a".parse().unwrap(), instance: Instance(1) },
    };
    log.state.apply(at(1), &[(late, Fingerprint::default())]);
    assert_eq!(log.state, before);
}

#[test]
fn a_name_passes_to_another_instance_only_by_naming_the_old_one() {
    let mut log = Log::formed();
    let join = |instance, replaces| Command::Join { member: member("a", instance), replaces };
    let taken = Refusal::NameTaken { name: "a".parse().unwrap(), holder: Instance(1) };
    assert_eq!(log.say(join(2, None)), Err(taken.clone()));
    assert_eq!(log.say(join(2, Some(Instance(9)))), Err(taken));
    assert_eq!(log.say(join(2, Some(Instance(1)))), Ok(()));
    let stale = Command::Leave { name: "a".parse().unwrap(), instance: Instance(1) };
    assert!(log.say(stale).is_err());
}

#[test]
fn joining_again_unchanged_does_not_move_the_rings() {
    let mut log = Log::formed();
    let version = log.state.roster_version();
    log.say(Command::Join { member: member("a", 1), replaces: None }).unwrap();
    assert_eq!(log.state.roster_version(), version);
    log.say(Command::Join { member: member("b", 2), replaces: None }).unwrap();
    assert!(log.state.roster_version() > version);
}

#[test]
fn the_most_specific_alias_answers() {
    let mut log = Log::formed();
    for (name, alias) in
        [("exact", "a.b.example"), ("near", "*.b.example"), ("far", "*.example"), ("rest", "*")]
    {
        log.say(Command::PutDistribution(distribution(name, &[alias]))).unwrap();
    }
    for (host, expect) in [
        ("a.b.example", "exact"),
        ("c.b.example", "near"),
        ("b.example", "far"),
        ("x.y.example", "far"),
        ("example", "rest"),
        ("127.0.0.1", "rest"),
    ] {
        let found = log.state.distribution_for(&Host::parse(host).unwrap());
        assert_eq!(found.unwrap().name.as_str(), expect, "{host}");
    }
}

#[test]
fn an_alias_belongs_to_one_distribution_and_is_freed_with_it() {
    let mut log = Log::formed();
    let put = |name, aliases: &[&str]| Command::PutDistribution(distribution(name, aliases));
    log.say(put("one", &["x"])).unwrap();
    assert!(matches!(log.say(put("two", &["x"])), Err(Refusal::AliasTaken { .. })));
    log.say(put("one", &["y"])).unwrap();
    log.say(put("two", &["x"])).unwrap();
    log.say(Command::DeleteDistribution("two".parse().unwrap())).unwrap();
    log.say(put("one", &["x", "y"])).unwrap();
}

#[test]
fn a_distribution_made_anew_never_finds_its_old_copies() {
    let mut log = Log::formed();
    let put = Command::PutDistribution(distribution("shop", &["shop.example"]));
    log.say(put.clone()).unwrap();
    let fetched = log.state.applied();
    assert!(!log.is_old("/a", fetched));
    log.say(Command::DeleteDistribution("shop".parse().unwrap())).unwrap();
    log.say(put.clone()).unwrap();
    assert!(log.is_old("/a", fetched));
    let fetched = log.state.applied();
    log.say(put).unwrap();
    assert!(!log.is_old("/a", fetched), "replacing a config keeps its copies");
}

#[test]
fn a_recovered_mesh_keeps_its_facts_and_no_copy_of_the_epoch_before() {
    let mut log = Log::formed();
    for (name, instance) in [("b", 2), ("c", 3)] {
        log.say(Command::Join { member: member(name, instance), replaces: None }).unwrap();
    }
    log.say(Command::PutDistribution(distribution("shop", &["shop.example"]))).unwrap();
    let at = LogPosition::new(1, 7);
    log.state.begin_epoch(at, &[Instance(1), Instance(3)]);
    assert_eq!((log.state.applied(), log.state.roster_version()), (at, at));
    let names: Vec<_> = log.state.roster().map(|member| member.name.as_str()).collect();
    assert_eq!((names, log.state.mesh()), (vec!["b"], Some("test")));
    assert!(log.state.distribution(&"shop".parse().unwrap()).is_some());

    // Purged at 0:900 by those who are lost, or never: nobody knows.
    for index in [0, 3, 899, 900, 1_000] {
        assert!(log.is_old("/a", LogPosition::new(0, index)), "fetched as of 0:{index}");
    }
    assert!(!log.is_old("/a", at));
    let purged = log.state.last_hard_purge(&attributes("/a"), &Tags::NONE);
    assert!(purged > LogPosition::new(0, u64::MAX) && purged <= at);

    // Nor does a distribution that is made anew find copies of one that was lost.
    log.state.skip(LogPosition::new(1, 8));
    let lost = Attributes { distribution: "lost".parse().unwrap(), ..attributes("/a") };
    let standing = log.state.standing(&lost, &Tags::NONE, LogPosition::new(0, 900));
    assert_eq!(standing, Standing::Old);
}

#[test]
fn a_purge_is_checked_before_it_counts() {
    let mut log = Log::formed();
    assert!(matches!(log.say(purge("/a")), Err(Refusal::NoSuchDistribution(_))));
    log.say(Command::PutDistribution(distribution("shop", &["shop.example"]))).unwrap();
    let many = |count| {
        let scopes = vec![Scope::All; count];
        let distribution = "shop".parse().unwrap();
        Command::Invalidate(Invalidation { distribution, scopes, effect: Effect::Soft })
    };
    assert!(matches!(log.say(many(0)), Err(Refusal::Scopes { .. })));
    assert!(matches!(log.say(many(SCOPES_MAX + 1)), Err(Refusal::Scopes { .. })));
    assert_eq!(log.say(many(SCOPES_MAX)), Ok(()));
}

#[test]
fn remembered_outcomes_are_bounded() {
    let mut log = Log::formed();
    for _ in 0..OUTCOMES_MAX + 5 {
        let _ = log.say(purge("/a"));
    }
    assert_eq!(log.state.outcomes.len(), OUTCOMES_MAX);
    assert!(log.state.outcome(&CommandId(1)).is_none());
    assert!(log.state.outcome(&CommandId((log.next - 1).into())).is_some());
}

#[test]
fn commands_of_one_entry_share_its_position_and_each_hears_its_own_outcome() {
    let mut log = Log::formed();
    log.say(Command::PutDistribution(distribution("shop", &["shop.example"]))).unwrap();
    let command = |id, scope| {
        (Envelope { id: CommandId(id), command: purge(scope) }, Fingerprint::of(scope.as_bytes()))
    };
    let entry = [command(50, "/a"), command(51, "/b"), command(50, "/a"), command(50, "/c")];
    let outcomes = log.state.apply(at(10), &entry);
    let verdicts: Vec<_> = outcomes.iter().map(|outcome| outcome.verdict.clone()).collect();
    assert_eq!(verdicts, [Ok(()), Ok(()), Ok(()), Err(Refusal::KeyReused)]);
    assert!(log.is_old("/a", at(9)) && log.is_old("/b", at(9)) && !log.is_old("/b", at(10)));
    assert_eq!(log.state.invalidations().count(), 2);
    assert_eq!(log.state.apply(at(10), &entry)[1], outcomes[1], "a repeated entry says the same");
}

#[test]
fn a_lease_is_fixed_when_the_mesh_is_formed_and_within_bounds() {
    for (lease_ms, fits) in [(999, false), (1_000, true), (60_000, true), (60_001, false)] {
        let mut log = Log { state: State::default(), next: 1 };
        let form = Command::Form { mesh: "test".into(), founder: member("a", 1), lease_ms };
        assert_eq!(log.say(form).is_ok(), fits, "{lease_ms}");
    }
}

#[test]
fn listed_invalidations_are_bounded_and_newest_first() {
    let mut log = Log::formed();
    log.say(Command::PutDistribution(distribution("shop", &["shop.example"]))).unwrap();
    for _ in 0..INVALIDATIONS_LISTED_MAX + 3 {
        log.say(purge("/a")).unwrap();
    }
    assert_eq!(log.state.invalidations().count(), INVALIDATIONS_LISTED_MAX);
    assert_eq!(log.state.invalidations().next().unwrap().position, log.state.applied());
}
