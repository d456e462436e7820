//! The first stream of every connection: each side says who it is, and judges the other.
//!
//! The certificate proves a name, the hello claims one; both must agree, and so must mesh and
//! protocol. TLS lets a dialler believe itself connected before the other side has looked at its
//! certificate, so nothing counts as connected until the welcome has come.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use model::Instance;
use model::limits::{CLOCK_SKEW_MAX, FAREWELL};
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, RecvStream, SendStream};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;
use wire::hello::{Answer, Hello, Lane, PREFIX_BYTES, Prefix, Reason};
use wire::protocol::{Form, Protocols};

use crate::code;
use crate::error::LinkError;
use crate::identity::{Identity, PeerIdentity, canonical};
use crate::service::WallClock;

/// This node, as it introduces itself.
pub(crate) struct Ourselves {
    pub(crate) identity: Identity,
    pub(crate) instance: Instance,
    pub(crate) protocols: Protocols,
    pub(crate) wall: WallClock,
}

/// A peer that was let in.
#[derive(Debug)]
pub(crate) struct Acquaintance {
    pub(crate) peer: PeerIdentity,
    pub(crate) lane: Lane,
    pub(crate) clock: Clock,
}

/// A peer's wall clock, compared with ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    Agrees,
    Differs(Duration),
}

/// The dialling side: says hello on `lane` and waits for the welcome.
pub(crate) async fn introduce(
    us: &Ourselves,
    connection: &Connection,
    lane: Lane,
) -> Result<Acquaintance, LinkError> {
    let form = form(connection)?;
    let (mut send, mut receive) = connection.open_bi().await.map_err(LinkError::Lost)?;
    send.write_all(&us.hello(lane).encode(form, us.protocols)).await?;
    let heard = read(&mut receive, form).await?;
    let agreed = us.agree(form, heard.protocols);
    let protocol = agreed.map_err(|refusal| end(connection, refusal))?;
    match Answer::decode(form, &heard.body).map_err(|_| malformed(connection))? {
        Answer::Welcome(hello) if hello.lane == lane => {
            us.judge(connection, hello, protocol).map_err(|refusal| end(connection, refusal))
        }
        Answer::Welcome(_) => Err(malformed(connection)),
        Answer::Refused { reason, text } => {
            let text = text.chars().filter(|c| !c.is_control()).collect();
            Err(end(connection, Refusal { reason, text }))
        }
    }
}

/// The accepting side: hears the hello, and answers it.
pub(crate) async fn receive(
    us: &Ourselves,
    connection: &Connection,
) -> Result<Acquaintance, LinkError> {
    let form = form(connection)?;
    let (mut send, mut receive) = connection.accept_bi().await.map_err(LinkError::Lost)?;
    let heard = match read(&mut receive, form).await {
        Err(LinkError::Malformed) => return Err(malformed(connection)),
        heard => heard?,
    };
    let judged = match us.agree(form, heard.protocols) {
        Err(refusal) => Err(refusal),
        Ok(protocol) => {
            let hello = Hello::decode(form, &heard.body).map_err(|_| malformed(connection))?;
            us.judge(connection, hello, protocol)
        }
    };
    match judged {
        Ok(acquaintance) => {
            let welcome = Answer::Welcome(us.hello(acquaintance.lane));
            answer(&mut send, welcome.encode(form, us.protocols)).await?;
            Ok(acquaintance)
        }
        Err(Refusal { reason, text }) => {
            let refused = Answer::Refused { reason, text: text.clone() };
            answer(&mut send, refused.encode(form, us.protocols)).await?;
            // To close at once would overtake the answer; whoever reads it closes.
            let _ = timeout(FAREWELL, connection.closed()).await;
            Err(LinkError::Unwelcome {
                address: canonical(connection.remote_address()),
                reason,
                text,
            })
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    reason: Reason,
    text: String,
}

impl Ourselves {
    fn hello(&self, lane: Lane) -> Hello {
        let wall = (self.wall)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Hello {
            lane,
            mesh: self.identity.mesh.clone(),
            name: self.identity.name.clone(),
            instance: self.instance,
            wall_unix_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The protocol to speak with a peer.
    fn agree(&self, form: Form, theirs: Protocols) -> Result<u16, Refusal> {
        let (name, ours) = (&self.identity.name, self.protocols);
        form.agree(ours, theirs).ok_or_else(|| Refusal {
            reason: Reason::Protocol,
            text: format!("{name} speaks {ours}, its peer {theirs}"),
        })
    }

    fn judge(
        &self,
        connection: &Connection,
        hello: Hello,
        protocol: u16,
    ) -> Result<Acquaintance, Refusal> {
        let certified = certified(connection).ok_or_else(|| {
            let text = format!("the certificate behind the name {} names no node", hello.name);
            Refusal { reason: Reason::Name, text }
        })?;
        self.compare(&certified, &hello)?;
        let clock = compare_clocks((self.wall)(), hello.wall_unix_ms);
        let address = canonical(connection.remote_address());
        let peer = PeerIdentity::new(certified, hello.instance, address, protocol);
        Ok(Acquaintance { peer, lane: hello.lane, clock })
    }

    fn compare(&self, certified: &Identity, hello: &Hello) -> Result<(), Refusal> {
        let Identity { mesh, name, .. } = &self.identity;
        let (other, other_mesh) = (&certified.name, &certified.mesh);
        let refuse = |reason, text| Err(Refusal { reason, text });
        if other_mesh != mesh {
            let text = format!("{name} belongs to mesh {mesh}, {other} to mesh {other_mesh}");
            return refuse(Reason::Mesh, text);
        }
        if hello.mesh != *mesh {
            let text = format!("{name} belongs to mesh {mesh}, {other} asks for {}", hello.mesh);
            return refuse(Reason::Mesh, text);
        }
        if hello.name != *other {
            let text = format!("{} calls itself {}, its certificate {other}", other, hello.name);
            return refuse(Reason::Name, text);
        }
        if hello.name == *name && hello.instance != self.instance {
            let (ours, theirs) = (self.instance, hello.instance);
            let text = format!("two nodes call themselves {name}, {ours} and {theirs}: stop one");
            return refuse(Reason::Twin, text);
        }
        Ok(())
    }
}

/// What a peer speaks, and the rest of what it said: not ours to read without a protocol that both
/// speak.
struct Heard {
    protocols: Protocols,
    body: Vec<u8>,
}

async fn read(receive: &mut RecvStream, form: Form) -> Result<Heard, LinkError> {
    let mut prefix = [0; PREFIX_BYTES];
    receive.read_exact(&mut prefix).await?;
    let prefix = Prefix::decode(&prefix).map_err(|_| LinkError::Malformed)?;
    let mut content = vec![0; prefix.body_bytes];
    receive.read_exact(&mut content).await?;
    let (protocols, body) = form.read(prefix, &content).map_err(|_| LinkError::Malformed)?;
    Ok(Heard { protocols, body: body.to_vec() })
}

/// The form of the hello, on which TLS has agreed.
fn form(connection: &Connection) -> Result<Form, LinkError> {
    let handshake = connection.handshake_data();
    let handshake = handshake.and_then(|data| data.downcast::<HandshakeData>().ok());
    let name = handshake.and_then(|data| data.protocol);
    let form = name.and_then(|name| Form::from_alpn(&name));
    form.ok_or_else(|| malformed(connection))
}

async fn answer(send: &mut SendStream, answer: Bytes) -> Result<(), LinkError> {
    send.write_all(&answer).await?;
    send.finish().map_err(|_| LinkError::Broken)
}

fn certified(connection: &Connection) -> Option<Identity> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    Identity::from_certificate(chain.first()?).ok()
}

fn compare_clocks(ours: SystemTime, theirs_unix_ms: u64) -> Clock {
    let ours = ours.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let difference = ours.abs_diff(Duration::from_millis(theirs_unix_ms));
    if difference > CLOCK_SKEW_MAX { Clock::Differs(difference) } else { Clock::Agrees }
}

fn end(connection: &Connection, Refusal { reason, text }: Refusal) -> LinkError {
    connection.close(code::UNWELCOME, text.as_bytes());
    LinkError::Unwelcome { address: canonical(connection.remote_address()), reason, text }
}

fn malformed(connection: &Connection) -> LinkError {
    connection.close(code::MALFORMED, b"not a hello");
    LinkError::Malformed
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn us() -> Ourselves {
        Ourselves {
            identity: "shoal://m/eu/one?tiers=edge".parse().unwrap(),
            instance: Instance(1),
            protocols: Protocols::ALL,
            wall: Arc::new(|| SystemTime::UNIX_EPOCH),
        }
    }

    fn hello(mesh: &str, name: &str, instance: u64) -> Hello {
        let (mesh, name) = (mesh.parse().unwrap(), name.parse().unwrap());
        let instance = Instance(instance);
        Hello { lane: Lane::Control, mesh, name, instance, wall_unix_ms: 0 }
    }

    #[test]
    fn who_is_welcome_depends_on_certificate_and_hello() {
        for (certified, hello, expected) in [
            ("shoal://m/eu/two?tiers=edge", hello("m", "two", 2), None),
            ("shoal://m/eu/one?tiers=edge", hello("m", "one", 1), None),
            ("shoal://m/eu/one?tiers=edge", hello("m", "one", 2), Some(Reason::Twin)),
            ("shoal://m/eu/two?tiers=edge", hello("m", "three", 2), Some(Reason::Name)),
            ("shoal://m/eu/two?tiers=edge", hello("n", "two", 2), Some(Reason::Mesh)),
            ("shoal://n/eu/two?tiers=edge", hello("m", "two", 2), Some(Reason::Mesh)),
        ] {
            let verdict = us().compare(&certified.parse().unwrap(), &hello);
            assert_eq!(verdict.err().map(|refusal| refusal.reason), expected, "{certified}");
        }
    }

    #[test]
    fn clocks_differ_beyond_the_limit_in_either_direction() {
        let limit = CLOCK_SKEW_MAX.as_millis() as u64;
        let at = |unix_ms| SystemTime::UNIX_EPOCH + Duration::from_millis(unix_ms);
        assert_eq!(compare_clocks(at(0), limit), Clock::Agrees);
        assert_eq!(compare_clocks(at(limit), 0), Clock::Agrees);
        let beyond = Clock::Differs(CLOCK_SKEW_MAX + Duration::from_millis(1));
        assert_eq!(compare_clocks(at(0), limit + 1), beyond);
        assert_eq!(compare_clocks(at(limit + 1), 0), beyond);
    }
}
