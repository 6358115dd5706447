//! Time per message. It informs; `instructions` gates.

mod cases;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("protocol");
    for case in cases::all() {
        group.throughput(Throughput::Elements(case.messages));
        let mut out = BytesMut::with_capacity(64 * 1024);
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| (case.run)(std::hint::black_box(&case.input), &mut out))
        });
    }
    group.finish();
}

criterion_group!(benches, messages);
criterion_main!(benches);
