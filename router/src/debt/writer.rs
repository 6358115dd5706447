//! The thread that writes debts: takes all that wait, writes them at once, and lets their claims go. So a disk that
//! takes its time is waited for by the deletes that need it and by no worker.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use ahash::AHashMap;
use tracing::{info, warn};

use super::claim::Settled;
use super::record::Record;
use super::spool::{Segments, Spool, SpoolError, SyncPolicy};
use super::{Debts, State, Terms, settle};

/// Something to be written.
#[derive(Debug)]
pub(crate) enum Job {
    Owed {
        replica: usize,
        sequence: u64,
        since_unix: u64,
        key: Arc<[u8]>,
    },
    Paid {
        replica: usize,
        sequence: u64,
    },
}

/// One replica's share of a batch.
#[derive(Debug, Default)]
struct Share {
    bytes: Vec<u8>,
    owed: Vec<u64>,
    highest: u64,
    paid: u64,
}

/// Opens the spool in `folder`, takes up what was owed, and starts writing.
pub(crate) fn start(
    folder: &Path,
    sync: SyncPolicy,
    terms: Terms,
) -> Result<(Arc<Debts>, JoinHandle<()>), SpoolError> {
    let spool = Spool::open(folder, sync)?;
    let debts = Arc::new(Debts::new(terms, true, spool.router_id(rand::random())?));
    let mut files = AHashMap::new();
    {
        let mut state = debts.state.lock();
        for (loaded, segments) in spool.load()? {
            let number = debts.number(&mut state, &loaded.pool, &loaded.server);
            state.disk_bytes += segments.disk_bytes();
            files.insert(number, segments);
            let held = &mut state.held[number];
            let server = &loaded.server;
            info!(%server, debts = loaded.owed.len(), "spool: taken up");
            held.account
                .restore(loaded.owed, loaded.last_sequence, loaded.damaged);
            held.replica
                .owed
                .store(!held.account.is_clear(), Ordering::Release);
        }
    }
    let writing = Arc::clone(&debts);
    let path = folder.to_owned();
    let thread = std::thread::Builder::new()
        .name("router-spool".to_owned())
        .spawn(move || write(&writing, &spool, &mut files))
        .map_err(|source| SpoolError::Io { path, source })?;
    Ok((debts, thread))
}

fn write(debts: &Debts, spool: &Spool, files: &mut AHashMap<usize, Segments>) {
    loop {
        let (batch, jobs) = {
            let mut state = debts.state.lock();
            while state.jobs.is_empty() && !state.stop {
                debts.work.wait(&mut state);
            }
            if state.jobs.is_empty() {
                return;
            }
            let batch = state.batch;
            state.batch += 1;
            let jobs = std::mem::take(&mut state.jobs);
            for job in &jobs {
                let (Job::Owed { replica, .. } | Job::Paid { replica, .. }) = job;
                let held = &state.held[*replica].replica;
                files
                    .entry(*replica)
                    .or_insert_with(|| spool.segments(&held.pool, &held.server));
            }
            (batch, jobs)
        };
        let mut failed: Vec<(usize, Vec<u64>)> = Vec::new();
        let mut why = None;
        for (replica, share) in shares(jobs) {
            let Some(segments) = files.get_mut(&replica) else {
                continue;
            };
            if share.owed.is_empty() && segments.highest() <= share.paid {
                segments.paid(share.paid);
                continue;
            }
            if let Err(error) = segments.append(&share.bytes, share.highest, spool.syncs()) {
                why = Some(error.to_string());
                failed.push((replica, share.owed));
            }
            // A "paid" that could not be written costs paying again after a restart, and nothing else.
            if share.paid > 0 {
                segments.paid(share.paid);
            }
        }
        let disk_bytes = files.values().map(Segments::disk_bytes).sum();
        let ready = {
            let mut state = debts.state.lock();
            state.disk_bytes = disk_bytes;
            if why.is_some() && state.write_error.is_none() {
                warn!(
                    error = why,
                    "spool cannot be written: deletes that miss a replica are errors"
                );
            }
            state.write_error = why;
            let mut ready = refuse(&mut state, batch, &failed);
            state.written = batch;
            ready.extend(state.release(debts.terms.lease.is_none()));
            ready
        };
        settle(ready);
    }
}

fn shares(jobs: Vec<Job>) -> AHashMap<usize, Share> {
    let mut shares: AHashMap<usize, Share> = AHashMap::new();
    for job in jobs {
        match job {
            Job::Owed {
                replica,
                sequence,
                since_unix,
                key,
            } => {
                let share = shares.entry(replica).or_default();
                Record::Owed {
                    sequence,
                    since_unix,
                    key: &key,
                }
                .write(&mut share.bytes);
                share.owed.push(sequence);
                share.highest = share.highest.max(sequence);
            }
            Job::Paid { replica, sequence } => {
                let share = shares.entry(replica).or_default();
                Record::Paid { sequence }.write(&mut share.bytes);
                share.paid = share.paid.max(sequence);
            }
        }
    }
    shares
}

/// Claims of a batch that could not be written.
fn refuse(state: &mut State, batch: u64, failed: &[(usize, Vec<u64>)]) -> Vec<(super::Claim, Settled)> {
    let mut refused = Vec::new();
    for (replica, sequences) in failed {
        let held = &mut state.held[*replica];
        held.totals.refused += sequences.len() as u64;
        for sequence in sequences {
            held.account.lost(*sequence);
        }
        state.waiting.retain(|waiting| {
            if waiting.replica != *replica || waiting.batch != batch {
                return true;
            }
            refused.push((waiting.claim.clone(), Settled::Refused));
            false
        });
    }
    refused
}
