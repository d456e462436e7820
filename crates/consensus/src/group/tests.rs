//! Stories of whole groups: agreement, loss of a leader, loss of a quorum, restarts, newcomers.
//!
//! Real directories, real time where elections matter, and no sockets: see `mesh`.

use openraft::raft::{AppendEntriesRequest, VoteRequest};

use super::*;
use crate::mesh::{self, Links, PATIENCE, Tape};
use crate::raft::Vote;

const SHORT: Duration = Duration::from_millis(700);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_voters_agree_and_a_new_leader_carries_on() {
    let links = Links::default();
    let [first, second, third] = mesh::three(&links).await;
    let index = first.say("one").await;
    let (next, outcome) = first.group.propose(Bytes::from_static(b"two"), PATIENCE).await.unwrap();
    assert_eq!((next, outcome), (index + 1, Bytes::from(format!("line {}", index + 1))));
    for node in [&first, &second, &third] {
        assert_eq!(node.hears(2).await, ["one", "two"]);
    }
    assert!(first.group.confirm_leadership(PATIENCE).await.unwrap() >= next);

    links.stop(first).await;
    let led = |role: &Role| role.quorum_acked_recently;
    let leader = tokio::select! {
        _ = second.until("lead", led) => &second,
        _ = third.until("lead", led) => &third,
    };
    leader.say("three").await;
    for node in [&second, &third] {
        assert_eq!(node.hears(3).await, ["one", "two", "three"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_its_quorum_fails_within_the_deadline() {
    let links = Links::default();
    let [first, second, third] = mesh::three(&links).await;
    first.say("one").await;
    links.cut(second.me);
    links.cut(third.me);
    for attempt in 0..2 {
        let asked = Instant::now();
        let refusal = first.group.propose(Bytes::from_static(b"two"), SHORT).await;
        assert_eq!(refusal, Err(ProposeError::NoQuorum), "attempt {attempt}");
        assert!(asked.elapsed() < SHORT * 2, "{:?}", asked.elapsed());
    }
    let unconfirmed = first.group.confirm_leadership(SHORT).await;
    assert_eq!(unconfirmed, Err(ProposeError::NoQuorum));
    first.until("miss its quorum", |role| !role.quorum_acked_recently).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_lead_says_who_does() {
    let links = Links::default();
    let [first, second, _third] = mesh::three(&links).await;
    let refusal = second.group.propose(Bytes::from_static(b"x"), PATIENCE).await;
    assert_eq!(refusal, Err(ProposeError::NotLeader { leader: Some(first.me) }));
    let stranger = links.node(9).await;
    let refusal = stranger.group.propose(Bytes::from_static(b"x"), PATIENCE).await;
    assert_eq!(refusal, Err(ProposeError::NotLeader { leader: None }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_fits_up_to_its_limit() {
    let links = Links::default();
    let [first, second, third] = mesh::three(&links).await;
    let beyond = Bytes::from(vec![1; COMMAND_BYTES_MAX + 1]);
    assert_eq!(first.group.propose(beyond, PATIENCE).await, Err(ProposeError::TooLarge));
    let largest = Bytes::from(vec![1; COMMAND_BYTES_MAX]);
    first.say(largest.clone()).await;
    for node in [&first, &second, &third] {
        assert!(node.hears(1).await == [largest.clone()], "{}", node.me);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_what_was_committed_and_the_vote() {
    let links = Links::default();
    let [first, second, third] = mesh::three(&links).await;
    let commands: Vec<Bytes> = (0..40).map(|at| Bytes::from(format!("command {at}"))).collect();
    for command in &commands {
        first.say(command.clone()).await;
    }
    let term = first.group.role().term;
    for node in [&first, &second, &third] {
        node.hears(commands.len()).await;
    }
    let mut homes = Vec::new();
    for node in [first, second, third] {
        homes.push((node.me.0, links.stop(node).await));
    }
    let mut again = Vec::new();
    for (number, home) in homes {
        again.push(links.open(number, home, mesh::quick()).await);
    }
    for node in &again {
        assert_eq!(node.hears(commands.len()).await, commands);
        assert!(node.group.role().term >= term, "a vote was forgotten");
        assert!(node.group.role().voter);
        let refusal = node.group.bootstrap().await.unwrap_err();
        assert!(matches!(refusal, ConsensusError::AlreadyMember { .. }), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_that_was_agreed() {
    let links = Links::default();
    let founder = links.node(1).await;
    founder.group.bootstrap().await.unwrap();
    for at in 0..50 {
        founder.say(format!("command {at}")).await;
    }
    let commands = founder.tape.commands();
    // What a killed process leaves is what its files hold right now.
    let home = Arc::new(tempfile::tempdir().unwrap());
    copy(&mesh::data(&founder.home), &mesh::data(&home));
    links.stop(founder).await;
    let founder = links.open(1, home, mesh::quick()).await;
    assert_eq!(founder.hears(50).await, commands);
    founder.until("lead again", |role| role.quorum_acked_recently).await;
    founder.say("and on").await;
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        match file.file_type().unwrap().is_dir() {
            true => copy(&file.path(), &to.join(file.file_name())),
            false => drop(std::fs::copy(file.path(), to.join(file.file_name())).unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_joins_by_snapshot_once_the_log_is_purged() {
    let links = Links::default();
    let timings = Timings { snapshot_every_entries: 20, ..mesh::quick() };
    let home = || Arc::new(tempfile::tempdir().unwrap());
    let founder = links.open(1, home(), timings).await;
    founder.group.bootstrap().await.unwrap();
    // More than one part of a snapshot.
    for _ in 0..6 {
        founder.say(vec![7; 400_000]).await;
    }
    for at in 0..60 {
        founder.say(format!("command {at}")).await;
    }
    let wait = founder.group.inner.raft.wait(Some(PATIENCE));
    wait.metrics(|now| now.purged.is_some(), "the log is purged").await.unwrap();
    let commands = founder.tape.commands();

    let newcomer = links.open(2, home(), timings).await;
    founder.group.add_learner(newcomer.me, PATIENCE).await.unwrap();
    assert_eq!(newcomer.hears(commands.len()).await.len(), commands.len());
    assert!(newcomer.group.inner.raft.metrics().borrow().snapshot.is_some());
    founder.group.promote(newcomer.me, PATIENCE).await.unwrap();
    founder.say("and on").await;
    let all = newcomer.hears(commands.len() + 1).await;

    let home = links.stop(newcomer).await;
    let newcomer = links.open(2, home, timings).await;
    assert!(newcomer.hears(all.len()).await == all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_speaks_for_another_node() {
    let links = Links::default();
    let node = links.node(2).await;
    let before = node.group.role();
    let (impostor, leader) = (Instance(6), Instance(5));
    let usurping = Message::Vote(VoteRequest::new(Vote::new(99, leader.0), None));
    let append = Message::Append(AppendEntriesRequest {
        vote: Vote::new_committed(99, leader.0),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: None,
    });
    for forged in [&usurping, &append] {
        let answer = node.group.receive(impostor, forged.encode()).await;
        let refused = Answer::Refused(Refusal::NotTheSender);
        assert_eq!(Answer::decode(&answer).unwrap(), refused);
    }
    let answer = node.group.receive(impostor, Bytes::from_static(b"\x01nonsense")).await;
    let refused = Answer::Refused(Refusal::Malformed);
    assert_eq!(Answer::decode(&answer).unwrap(), refused);
    assert_eq!(node.group.role(), before);

    node.group.receive(leader, append.encode()).await;
    node.until("hear its leader", |role| role.leader == Some(leader) && role.term == 99).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_never_added_stays_silent() {
    let links = Links::default();
    let node = links.node(4).await;
    let mut changes = node.group.changes();
    let elected = changes.wait_for(|role| role.term > 0 || role.leads);
    assert!(timeout(Duration::from_secs(60), elected).await.is_err(), "it held an election");
    assert_eq!(links.sent_by(node.me), 0);
    let role = node.group.role();
    assert!(!role.voter && !role.leads && role.leader.is_none() && role.voters.is_empty());
}

#[tokio::test]
async fn a_directory_with_a_journal_founds_no_mesh() {
    let links = Links::default();
    let node = links.node(4).await;
    node.group.journal().append(&[(1, Bytes::from_static(b"followed"))]).unwrap();
    let refusal = node.group.bootstrap().await.unwrap_err();
    assert!(refusal.to_string().contains("already part of a mesh"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_whose_disk_fails_stops_instead_of_lying() {
    let links = Links::default();
    let home = tempfile::tempdir().unwrap();
    let disk = Disk::open(home.path()).await.unwrap();
    let log = LogStore::open(disk.clone()).unwrap();
    let replica = Replica::open(&home.path().into(), Arc::new(Tape::default())).await.unwrap();
    let timings = mesh::quick();
    let wires = Wires::new(links.end(1), timings);
    let raft = Raft::new(1, timings.config().unwrap(), wires, log, replica).await.unwrap();
    raft.initialize(BTreeSet::from([1])).await.unwrap();
    let wait = raft.wait(Some(PATIENCE));
    wait.metrics(|now| now.state.is_leader(), "lead").await.unwrap();
    raft.client_write(Bytes::from_static(b"kept")).await.unwrap();

    disk.break_now();
    assert!(raft.client_write(Bytes::from_static(b"lost")).await.is_err());
    wait.metrics(|now| now.running_state.is_err(), "stop").await.unwrap();
    let vote = raft.vote(VoteRequest::new(Vote::new(99, 2), None)).await;
    assert!(matches!(vote, Err(RaftError::Fatal(_))), "it still votes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_are_served_together() {
    let links = Links::default();
    let [first, _second, _third] = mesh::three(&links).await;
    let writes = (0..64).map(|writer| {
        let group = first.group.clone();
        async move {
            for at in 0..4 {
                let command = Bytes::from(format!("{writer}/{at}"));
                group.propose(command, PATIENCE).await.unwrap();
            }
        }
    });
    futures_util::future::join_all(writes).await;
    assert_eq!(first.tape.commands().len(), 256);
}

#[tokio::test(start_paused = true)]
async fn a_disk_in_memory_outlives_its_process_and_belongs_to_the_next() {
    let (disk, links) = (MemoryDisk::default(), Links::default());
    let options = Options { directory: "here".into(), me: Instance(1), timings: mesh::quick() };
    let tape = Arc::new(Tape::default());
    let open = |tape: Arc<Tape>| {
        let (disk, options, links) = (disk.clone(), options.clone(), links.clone());
        async move { Group::open_in_memory(&disk, options, tape, links.end(1)).await.unwrap() }
    };
    let first = open(tape.clone()).await;
    first.bootstrap().await.unwrap();
    let (index, _) = first.propose(Bytes::from_static(b"one"), PATIENCE).await.unwrap();
    assert!(matches!(first.bootstrap().await, Err(ConsensusError::AlreadyMember { .. })));

    let fresh = Arc::new(Tape::default());
    let second = open(fresh.clone()).await;
    let lost = first.propose(Bytes::from_static(b"two"), PATIENCE).await;
    assert_eq!(lost, Err(ProposeError::Stopped), "its disk was taken away");
    let mut changes = second.changes();
    tokio::time::timeout(PATIENCE, changes.wait_for(|role| role.leads)).await.unwrap().unwrap();
    let (next, _) = second.propose(Bytes::from_static(b"three"), PATIENCE).await.unwrap();
    assert!(next > index);
    assert_eq!(fresh.commands(), ["one", "three"]);
}
