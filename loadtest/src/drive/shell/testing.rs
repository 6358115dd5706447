//! A core without sockets, in a time of the test's own making.

use super::wires::{Line, Orders, Wires};
use super::{At, Core, Ear};
use crate::drive::pipe::{Failure, Pipe};
use crate::workload::arrival::Nanos;

pub(in crate::drive) struct Bench<C: Core> {
    pub(in crate::drive) core: C,
    pub(in crate::drive) wires: Wires<C::Ticket>,
}

impl<C: Core> Bench<C> {
    pub(in crate::drive) fn new(core: C, lines: usize) -> Self {
        let line = |_| Line {
            pipe: Pipe::default(),
            address: ([127, 0, 0, 1], 1).into(),
            up: true,
            socket: None,
            blocked: false,
            dirty: false,
            orders: Orders::Serve,
            waker: None,
            last_error: None,
        };
        let wires = Wires {
            lines: (0..lines).map(line).collect(),
            dirty: Vec::new(),
            rejected: Vec::new(),
        };
        Self { core, wires }
    }

    /// Lets the core send; what it sent, per line.
    pub(in crate::drive) fn pump(&mut self, now: Nanos) -> Vec<Vec<u8>> {
        self.core.pump(now, &mut self.wires);
        for (line, ticket) in std::mem::take(&mut self.wires.rejected) {
            self.core.failed(At { now, line }, ticket, Failure::Disconnected);
        }
        let take = |line: &mut Line<C::Ticket>| {
            let bytes = line.pipe.unsent().to_vec();
            line.pipe.sent(bytes.len());
            line.dirty = false;
            bytes
        };
        self.wires.dirty.clear();
        self.wires.lines.iter_mut().map(take).collect()
    }

    /// The server says something.
    pub(in crate::drive) fn hear(&mut self, line: usize, bytes: &[u8], now: Nanos) {
        let pipe = &mut self.wires.lines[line].pipe;
        pipe.input().extend_from_slice(bytes);
        let heard = pipe.read(&mut Ear {
            core: &mut self.core,
            at: At { now, line },
        });
        heard.expect("the fake server speaks the protocol");
    }

    /// The connection breaks and is not back.
    pub(in crate::drive) fn cut(&mut self, line: usize, now: Nanos) {
        self.wires.lines[line].up = false;
        let mut ear = Ear {
            core: &mut self.core,
            at: At { now, line },
        };
        self.wires.lines[line].pipe.reset(Failure::Disconnected, &mut ear);
    }
}
