//! Instructions per message, counted by valgrind: the figure that does not depend on the machine's mood.
//!
//! `cargo bench -p protocol --bench instructions [NAME]` runs itself under callgrind, once with many rounds and once
//! with few, and divides the difference.

mod cases;

use std::process::Command;

use bytes::BytesMut;

const FEW: u64 = 100;
const MANY: u64 = 1100;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [flag, name, rounds] = args.as_slice()
        && flag == "--run"
    {
        run(name, rounds.parse().expect("a number of rounds"));
        return;
    }
    let wanted = args.first().map_or("", String::as_str);
    println!("{:<28} instructions per message", "case");
    for case in cases::all().iter().filter(|case| case.name.contains(wanted)) {
        match (count(case.name, FEW), count(case.name, MANY)) {
            (Some(few), Some(many)) => {
                println!(
                    "{:<28} {:>8.1}",
                    case.name,
                    (many - few) as f64 / ((MANY - FEW) * case.messages) as f64
                );
            }
            _ => {
                println!("valgrind did not run: is it installed?");
                return;
            }
        }
    }
}

fn run(name: &str, rounds: u64) {
    let case = cases::all()
        .into_iter()
        .find(|case| case.name == name)
        .expect("a known case");
    let mut out = BytesMut::with_capacity(64 * 1024);
    for _ in 0..rounds {
        (case.run)(std::hint::black_box(&case.input), &mut out);
    }
}

/// The instructions of a whole process that runs the case so often.
fn count(name: &str, rounds: u64) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--run", name, &rounds.to_string()])
        .output()
        .ok()?;
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    let total = report.lines().find_map(|line| line.split("Collected :").nth(1))?;
    total.trim().parse().ok()
}
