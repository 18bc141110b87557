//! A delta as bytes: what its sender knows beyond a version.
//!
//! The columns of a delta follow one another without lengths, because each tells how many entries the next
//! have: replicas, sections, heads and lengths of insert runs, their origins, delete runs, text.
//! Letters that the same delta deletes have no text in it.

use std::collections::BTreeMap;

use super::LETTERS_MAX;
use super::error::ListError;
use super::id::Id;
use super::log::{DeleteRun, InsertRun, Log, Way};
use super::version::{Seen, Version};
use crate::ReplicaId;
use crate::bytes::{Reader, put, put_near};

/// Replicas are numbers alone.
const FORMAT_NUMBERS: u8 = 1;
/// Replicas are numbers and incarnations.
const FORMAT_INCARNATIONS: u8 = 2;

const LEFT_NONE: u8 = 0;
const LEFT_BEFORE: u8 = 1;
const LEFT_GIVEN: u8 = 2;
const RIGHT_NONE: u8 = 0;
const RIGHT_AFTER_LEFT: u8 = 1;
const RIGHT_AS_LAST: u8 = 2;
const RIGHT_GIVEN: u8 = 3;

/// What one replica did beyond a version. Replicas in ids are indices into the table of the delta.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) from: Seen,
    pub(super) inserts: Vec<(InsertRun, u32)>,
    pub(super) deletes: Vec<(DeleteRun, u32)>,
}

/// A delta that was read, and holds together as far as it can tell alone.
#[derive(Clone, Debug)]
pub(super) struct Delta<'a> {
    /// Each replica that the delta names; the first ones are those of `sections`.
    pub(super) table: Vec<ReplicaId>,
    pub(super) sections: Vec<Section>,
    /// For each section: the ranges of its letters that have no text, in order, not overlapping.
    pub(super) gone: Vec<Vec<(u32, u32)>>,
    /// The text of all other letters, section by section.
    pub(super) text: &'a str,
}

impl Section {
    /// What was seen once the section is.
    pub(super) fn to(&self) -> Seen {
        let inserted = self.inserts.last().map(|(run, len)| run.first + len);
        let deleted = self.deletes.last().map(|(run, len)| run.first + len);
        Seen {
            inserted: inserted.unwrap_or(self.from.inserted),
            deleted: deleted.unwrap_or(self.from.deleted),
        }
    }
}

/// The ranges of a section's letters that the delta itself deletes.
fn gone<'s>(
    sections: impl Iterator<Item = &'s Section> + Clone,
    own: u32,
    letters: std::ops::Range<u32>,
) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = sections
        .flat_map(|section| &section.deletes)
        .filter(|(run, _)| run.target.replica == own)
        .map(|(run, len)| {
            let lowest = run.lowest(*len).number;
            (
                lowest.max(letters.start),
                lowest.saturating_add(*len).min(letters.end),
            )
        })
        .filter(|(from, to)| from < to)
        .collect();
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let touch = next.0 <= last.1;
        if touch {
            last.1 = last.1.max(next.1);
        }
        touch
    });
    ranges
}

/// Writes what the logs know beyond a version; nothing at all is written as no sections.
pub(super) fn write(logs: &[Log], beyond: &Version) -> Vec<u8> {
    let mut table = Table::default();
    let mut parts = Vec::new();
    for (index, log) in logs.iter().enumerate() {
        let from = beyond.of(log.replica);
        if from.inserted < log.inserted || from.deleted < log.deleted {
            table.index(index as u32);
            parts.push((index as u32, log, from));
        }
    }
    let sections: Vec<Section> = parts
        .iter()
        .map(|(index, log, from)| Section {
            from: Seen {
                inserted: from.inserted.min(log.inserted),
                deleted: from.deleted.min(log.deleted),
            },
            inserts: log
                .inserts_from(*index, from.inserted)
                .map(|(run, len)| {
                    let left = table.id(run.left);
                    let right = table.id(run.right);
                    (InsertRun { left, right, ..run }, len)
                })
                .collect(),
            deletes: log
                .deletes_from(from.deleted)
                .map(|(run, len)| {
                    let target = table.id(run.target);
                    (DeleteRun { target, ..run }, len)
                })
                .collect(),
        })
        .collect();

    let mut out = Vec::with_capacity(64);
    let replicas = table.order.iter().map(|at| logs[*at as usize].replica);
    let plain = replicas.clone().all(|replica| replica.incarnation() == 0);
    out.push(if plain {
        FORMAT_NUMBERS
    } else {
        FORMAT_INCARNATIONS
    });
    put(&mut out, table.order.len() as u64);
    for replica in replicas {
        put(&mut out, replica.get());
        if !plain {
            put(&mut out, u64::from(replica.incarnation()));
        }
    }
    put(&mut out, sections.len() as u64);
    for section in &sections {
        put(&mut out, u64::from(section.from.inserted));
        put(&mut out, section.inserts.len() as u64);
        put(&mut out, u64::from(section.from.deleted));
        put(&mut out, section.deletes.len() as u64);
    }
    write_inserts(&mut out, &sections, table.order.len());
    write_deletes(&mut out, &sections, table.order.len());
    for (own, (_, log, _)) in parts.iter().enumerate() {
        let (from, to) = (sections[own].from.inserted, log.inserted);
        let mut at = from;
        for (start, end) in gone(sections.iter(), own as u32, from..to) {
            out.extend_from_slice(log.letters.slice(at, start - at).as_bytes());
            at = end;
        }
        out.extend_from_slice(log.letters.slice(at, to - at).as_bytes());
    }
    out
}

/// The replicas that a delta names, in the order in which it does.
#[derive(Default)]
struct Table {
    order: Vec<u32>,
    places: BTreeMap<u32, u32>,
}

impl Table {
    fn index(&mut self, replica: u32) -> u32 {
        let next = self.order.len() as u32;
        let place = *self.places.entry(replica).or_insert(next);
        if place == next {
            self.order.push(replica);
        }
        place
    }

    fn id(&mut self, id: Id) -> Id {
        if id.is_none() {
            return id;
        }
        Id::new(self.index(id.replica), id.number)
    }
}

/// Near which number the next one of each replica is expected.
fn expected(sections: &[Section], replicas: usize) -> Vec<u32> {
    let mut near: Vec<u32> = sections.iter().map(|s| s.from.inserted).collect();
    near.resize(replicas, 0);
    near
}

fn write_inserts(out: &mut Vec<u8>, sections: &[Section], replicas: usize) {
    let mut near = expected(sections, replicas);
    let mut lengths = Vec::new();
    let mut origins = Vec::new();
    for (own, section) in sections.iter().enumerate() {
        let mut last = Id::NONE;
        for (run, len) in &section.inserts {
            let before = Id::new(own as u32, run.first.wrapping_sub(1));
            let left = if run.left.is_none() {
                LEFT_NONE
            } else if run.left == before {
                LEFT_BEFORE
            } else {
                put_id(&mut origins, run.left, &mut near);
                LEFT_GIVEN
            };
            let right = if run.right.is_none() {
                RIGHT_NONE
            } else if !run.left.is_none() && run.right == run.left.plus(1) {
                RIGHT_AFTER_LEFT
            } else if run.right == last {
                RIGHT_AS_LAST
            } else {
                put_id(&mut origins, run.right, &mut near);
                RIGHT_GIVEN
            };
            last = run.right;
            let short = if *len < 16 { *len as u8 } else { 0 };
            out.push(left | right << 2 | short << 4);
            if short == 0 {
                put(&mut lengths, u64::from(*len));
            }
        }
    }
    out.append(&mut lengths);
    out.append(&mut origins);
}

fn put_id(out: &mut Vec<u8>, id: Id, near: &mut [u32]) {
    put(out, u64::from(id.replica));
    let near = &mut near[id.replica as usize];
    put_near(out, id.number, *near);
    *near = id.number;
}

fn write_deletes(out: &mut Vec<u8>, sections: &[Section], replicas: usize) {
    let mut near = expected(sections, replicas);
    for section in sections {
        for (run, len) in &section.deletes {
            let way = match run.way {
                Way::Up => 0,
                Way::Down => 1,
            };
            let short = if *len < 128 { *len as u8 } else { 0 };
            out.push(way | short << 1);
            if short == 0 {
                put(out, u64::from(*len));
            }
            put_id(out, run.target, &mut near);
        }
    }
}

/// Reads a delta. Nothing is allocated that the bytes do not pay for.
pub(super) fn read(bytes: &[u8]) -> Result<Delta<'_>, ListError> {
    let mut reader = Reader::new(bytes);
    let plain = match reader.byte()? {
        FORMAT_NUMBERS => true,
        FORMAT_INCARNATIONS => false,
        _ => return Err(reader.wrong("it is of another format, or no delta")),
    };
    let replicas = reader.count(1)?;
    let mut table = Vec::with_capacity(replicas);
    for _ in 0..replicas {
        let replica = ReplicaId::new(reader.number()?);
        table.push(match plain {
            true => replica,
            false => replica.with_incarnation(reader.small()?),
        });
    }
    let mut sorted = table.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(reader.wrong("it names a replica twice"));
    }
    let count = reader.count(4)?;
    if count > replicas {
        return Err(reader.wrong("it has more sections than replicas"));
    }
    let mut sections = Vec::with_capacity(count);
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        let inserted = reader.small()?;
        let inserts = reader.count(1)?;
        let deleted = reader.small()?;
        let deletes = reader.count(1)?;
        if inserted.max(deleted) as usize > LETTERS_MAX {
            return Err(reader.wrong("a count is above its limit"));
        }
        runs.push((inserts, deletes));
        sections.push(Section {
            from: Seen { inserted, deleted },
            inserts: Vec::new(),
            deletes: Vec::new(),
        });
    }
    read_inserts(&mut reader, &mut sections, &runs, replicas)?;
    read_deletes(&mut reader, &mut sections, &runs, replicas)?;
    let gone = gone_of_all(&sections);
    let text = reader.clone().text()?;
    let letters: u64 = sections
        .iter()
        .map(|section| u64::from(section.to().inserted - section.from.inserted))
        .sum();
    let without: u64 = gone
        .iter()
        .flatten()
        .map(|(from, to)| u64::from(to - from))
        .sum();
    if letters - without != text.chars().count() as u64 {
        return Err(reader.wrong("its text is not as long as its runs"));
    }
    Ok(Delta {
        table,
        sections,
        gone,
        text,
    })
}

fn gone_of_all(sections: &[Section]) -> Vec<Vec<(u32, u32)>> {
    let of = |(own, section): (usize, &Section)| {
        let letters = section.from.inserted..section.to().inserted;
        gone(sections.iter(), own as u32, letters)
    };
    sections.iter().enumerate().map(of).collect()
}

fn read_inserts(
    reader: &mut Reader<'_>,
    sections: &mut [Section],
    runs: &[(usize, usize)],
    replicas: usize,
) -> Result<(), ListError> {
    let mut near = expected(sections, replicas);
    let total: usize = runs.iter().map(|(inserts, _)| inserts).sum();
    if total > reader.left() {
        return Err(reader.wrong("it counts more than it has bytes for"));
    }
    let mut heads = Vec::with_capacity(total);
    for _ in 0..total {
        heads.push(reader.byte()?);
    }
    let mut lengths = Vec::with_capacity(total);
    for head in &heads {
        lengths.push(match head >> 4 {
            0 => reader.small()?,
            short => u32::from(short),
        });
    }
    let mut entries = heads.into_iter().zip(lengths);
    for (own, (section, (inserts, _))) in sections.iter_mut().zip(runs).enumerate() {
        let mut first = section.from.inserted;
        let mut last = Id::NONE;
        section.inserts.reserve_exact(*inserts);
        for (head, len) in entries.by_ref().take(*inserts) {
            let end = first
                .checked_add(len)
                .filter(|end| *end as usize <= LETTERS_MAX);
            let Some(end) = end.filter(|_| len > 0) else {
                return Err(reader.wrong("a run has no length, or one above the limit"));
            };
            let left = match head & 3 {
                LEFT_NONE => Id::NONE,
                LEFT_BEFORE if first > 0 => Id::new(own as u32, first - 1),
                LEFT_GIVEN => read_id(reader, &mut near)?,
                _ => return Err(reader.wrong("a left neighbour is of no known kind")),
            };
            let right = match head >> 2 & 3 {
                RIGHT_NONE => Id::NONE,
                RIGHT_AFTER_LEFT if !left.is_none() => left.plus(1),
                RIGHT_AS_LAST if !last.is_none() => last,
                RIGHT_GIVEN => read_id(reader, &mut near)?,
                _ => return Err(reader.wrong("a right neighbour is of no known kind")),
            };
            last = right;
            let run = InsertRun { first, left, right };
            section.inserts.push((run, len));
            first = end;
        }
    }
    Ok(())
}

fn read_deletes(
    reader: &mut Reader<'_>,
    sections: &mut [Section],
    runs: &[(usize, usize)],
    replicas: usize,
) -> Result<(), ListError> {
    let mut near = expected(sections, replicas);
    for (section, (_, deletes)) in sections.iter_mut().zip(runs) {
        if *deletes > reader.left() {
            return Err(reader.wrong("it counts more than it has bytes for"));
        }
        section.deletes.reserve_exact(*deletes);
        let mut first = section.from.deleted;
        for _ in 0..*deletes {
            let head = reader.byte()?;
            let way = if head & 1 == 0 { Way::Up } else { Way::Down };
            let len = match head >> 1 {
                0 => reader.small()?,
                short => u32::from(short),
            };
            let end = first
                .checked_add(len)
                .filter(|end| *end as usize <= LETTERS_MAX);
            let Some(end) = end.filter(|_| len > 0) else {
                return Err(reader.wrong("a run has no length, or one above the limit"));
            };
            let target = read_id(reader, &mut near)?;
            let fits = match way {
                Way::Up => target.number.checked_add(len - 1).is_some(),
                Way::Down => target.number >= len - 1,
            };
            if !fits {
                return Err(reader.wrong("a deletion leaves the letters there are"));
            }
            section
                .deletes
                .push((DeleteRun { first, target, way }, len));
            first = end;
        }
    }
    Ok(())
}

fn read_id(reader: &mut Reader<'_>, near: &mut [u32]) -> Result<Id, ListError> {
    let replica = reader.small()?;
    let Some(near) = near.get_mut(replica as usize) else {
        return Err(reader.wrong("it names a replica that its table has not"));
    };
    let number = reader.near(*near)?;
    if number as usize >= LETTERS_MAX {
        return Err(reader.wrong("a letter's number is above the limit"));
    }
    *near = number;
    Ok(Id::new(replica, number))
}
