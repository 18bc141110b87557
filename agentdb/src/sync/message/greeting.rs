//! How a session begins: who speaks, and from where the other goes on.

use super::{Ranges, items, put_change, put_count, read_change, whole};
use crate::bytes::{Malformed, Reader, put, put_signed};
use crate::causal::ReplicaId;
use crate::db::Change;
use crate::sync::error::SyncError;
use crate::time::Timestamp;

/// Who speaks, and that it hears: the answer repeats the other's number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hello {
    /// The number of the speaker's session, new for each.
    pub(crate) nonce: u32,
    /// The number of the other's session, once known; else 0.
    pub(crate) answer: u32,
    /// The speaker's device.
    pub(crate) device: u64,
    /// The life of its file: changes when its counts may begin anew.
    pub(crate) life: u64,
    /// Whether the speaker has heard its own number from the other.
    pub(crate) met: u8,
    /// What the other is to the speaker on this link.
    pub(crate) toward: u8,
    /// Its clock.
    pub(crate) now: Timestamp,
    /// The numbers of the dictionaries that it has.
    pub(crate) dictionaries: Vec<u32>,
}

impl Hello {
    /// Who speaks.
    pub(crate) fn replica(&self) -> ReplicaId {
        let life = u32::try_from(self.life).unwrap_or(u32::MAX);
        ReplicaId::new(self.device).with_incarnation(life)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.nonce.to_le_bytes());
        out.extend_from_slice(&self.answer.to_le_bytes());
        put(&mut out, self.device);
        put(&mut out, self.life);
        out.extend_from_slice(&[self.met, self.toward]);
        put_signed(&mut out, self.now.as_millis());
        put_count(&mut out, self.dictionaries.len());
        for number in &self.dictionaries {
            put(&mut out, u64::from(*number));
        }
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        let mut reader = Reader::new(body);
        let hello = Self {
            nonce: u32::from_le_bytes(reader.array()?),
            answer: u32::from_le_bytes(reader.array()?),
            device: reader.number()?,
            life: reader.number()?,
            met: reader.byte()?,
            toward: reader.byte()?,
            now: Timestamp::from_millis(reader.signed()?),
            dictionaries: {
                let count = items(&mut reader, 1)?;
                let numbers = (0..count).map(|_| reader.small());
                numbers.collect::<Result<_, Malformed>>()?
            },
        };
        // Later releases may say more here: what follows is left unread.
        Ok(hello)
    }
}

/// From where the other goes on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resume {
    /// Up to which of the other's local sequences everything is durably here; none when nothing is known.
    pub(crate) received: Option<Change>,
    /// Whether any document is here.
    pub(crate) holds: u8,
    /// Whether the speaker has heard the other's.
    pub(crate) heard: u8,
    /// The first question of a side that knows already that it will ask where documents differ.
    pub(crate) question: Option<Ranges>,
}

impl Resume {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_change(&mut out, self.received);
        out.extend_from_slice(&[self.holds, self.heard]);
        if let Some(question) = &self.question {
            question.put(&mut out);
        }
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        whole(body, |reader| {
            Ok(Self {
                received: read_change(reader)?,
                holds: reader.byte()?,
                heard: reader.byte()?,
                question: match reader.left() {
                    0 => None,
                    _ => Some(Ranges::read(reader)?),
                },
            })
        })
    }
}
