use super::*;

const LEASE: Duration = Duration::from_secs(10);

fn at(index: u64) -> LogPosition {
    LogPosition::new(0, index)
}

fn second(seconds: u64) -> Moment {
    Moment::START.plus(Duration::from_secs(seconds))
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn token(index: u64, age: u64) -> Token {
    Token { term: 1, through: at(index), age: secs(age), lease: LEASE }
}

fn holder(node: &str, incarnation: u64) -> Holder {
    Holder { node: node.parse().unwrap(), incarnation }
}

#[test]
fn a_tokens_age_counts_from_the_request_and_is_passed_on() {
    let mut lease = Lease::default();
    assert_eq!(lease.grant(second(100)), None);
    lease.take(token(5, 2), second(100), at(5)).unwrap();
    assert_eq!(lease.age_at(second(103)), Some(secs(5)));
    assert_eq!(lease.grant(second(103)), Some(token(5, 5)));
    assert_eq!(lease.valid_until(), Some(second(108)));
    assert_eq!(lease.grant(second(109)), None, "nothing is passed on that is worth nothing");
}

#[test]
fn a_token_is_not_taken_before_what_it_vouches_for_is_applied() {
    let mut lease = Lease::default();
    assert_eq!(lease.take(token(5, 0), second(1), at(4)), Err(Untaken::Behind));
    assert_eq!(lease.valid_until(), None);
}

#[test]
fn a_late_answer_does_not_replace_a_fresher_token() {
    let mut lease = Lease::default();
    lease.take(token(5, 0), second(10), at(9)).unwrap();
    assert_eq!(lease.take(token(6, 3), second(11), at(9)), Err(Untaken::NotFresher));
    assert_eq!(lease.take(token(6, 0), second(11), at(9)), Ok(()));
    assert_eq!(lease.valid_until(), Some(second(21)));
}

#[test]
fn a_holder_binds_its_granter_until_it_acknowledges_or_its_lease_is_surely_over() {
    let mut holders = Holders::default();
    assert!(holders.grant(holder("a", 1), 1, second(0), LEASE, at(3)));
    assert!(holders.grant(holder("b", 1), 1, second(0), LEASE, at(3)));
    assert_eq!(holders.acknowledged(at(9), second(1)), at(3));
    holders.acknowledge(&holder("a", 1), at(8));
    assert_eq!(holders.acknowledged(at(9), second(1)), at(3));
    assert_eq!(holders.silent(at(8), second(1)), ["b".parse().unwrap()]);
    assert!(holders.expire(second(12)).is_empty());
    assert_eq!(holders.expire(second(13)).len(), 2);
    assert_eq!(holders.acknowledged(at(9), second(13)), at(9));
}

#[test]
fn a_renewal_acknowledges_nothing_and_a_new_process_is_another_holder() {
    let mut holders = Holders::default();
    assert!(holders.grant(holder("a", 1), 1, second(0), LEASE, at(3)));
    assert!(holders.grant(holder("a", 1), 1, second(5), LEASE, at(7)));
    assert_eq!(holders.acknowledged(at(7), second(6)), at(3));
    assert!(holders.grant(holder("a", 2), 1, second(6), LEASE, at(7)));
    holders.acknowledge(&holder("a", 2), at(9));
    assert_eq!(holders.acknowledged(at(9), second(7)), at(3), "the old process may still serve");
    holders.release(&holder("a", 1), 0);
    assert_eq!(holders.acknowledged(at(9), second(7)), at(3), "an older word releases nothing");
    holders.release(&holder("a", 1), 1);
    assert_eq!(holders.acknowledged(at(9), second(7)), at(9));
}

#[test]
fn a_full_table_grants_nobody_new() {
    let mut holders = Holders::default();
    for incarnation in 0..HOLDERS_MAX as u64 {
        assert!(holders.grant(holder("a", incarnation), 1, second(0), LEASE, at(0)));
    }
    assert!(!holders.grant(holder("b", 0), 1, second(0), LEASE, at(0)));
    assert!(holders.grant(holder("a", 0), 1, second(0), LEASE, at(0)));
}

#[test]
fn a_new_leader_concludes_nothing_until_its_predecessors_leases_are_over() {
    let office = Office { term: 2, since: second(100), follows_another: true };
    assert_eq!(office.fenced_through(at(9), at(4), LEASE, second(112)), LogPosition::ZERO);
    assert_eq!(office.fenced_through(at(9), at(4), LEASE, second(113)), at(9));
    assert_eq!(office.fenced_through(at(3), at(4), LEASE, second(113)), at(4));
    let founder = Office { follows_another: false, ..office };
    assert_eq!(founder.fenced_through(at(9), at(4), LEASE, second(100)), at(9));
}
