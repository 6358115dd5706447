//! Instructions and allocations per message, counted by valgrind: figures that do not depend on the machine's mood.
//!
//! `cargo bench -p protocol --bench instructions [NAME]` runs itself under valgrind, once with many rounds and once with
//! few, and divides the difference.

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
    println!(
        "{:<24} {:>12} {:>12}   per message",
        "case", "instructions", "allocations"
    );
    for case in cases::all().iter().filter(|case| case.name.contains(wanted)) {
        let per_message = |count: fn(&str, u64) -> Option<u64>| {
            let (few, many) = (count(case.name, FEW)?, count(case.name, MANY)?);
            Some((many - few) as f64 / ((MANY - FEW) * case.messages) as f64)
        };
        let (Some(instructions), Some(allocations)) = (per_message(instructions), per_message(allocations))
        else {
            println!("valgrind did not run: is it installed?");
            return;
        };
        println!("{:<24} {instructions:>12.1} {allocations:>12.1}", case.name);
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
fn instructions(name: &str, rounds: u64) -> Option<u64> {
    let tool = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    valgrind(&tool, name, rounds)?
        .split_once("Collected :")?
        .1
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Its allocations.
fn allocations(name: &str, rounds: u64) -> Option<u64> {
    let report = valgrind(&["--tool=memcheck"], name, rounds)?;
    let allocations = report
        .split_once("total heap usage:")?
        .1
        .split_whitespace()
        .next()?;
    allocations.replace(',', "").parse().ok()
}

fn valgrind(tool: &[&str], name: &str, rounds: u64) -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(tool)
        .arg(program)
        .args(["--run", name, &rounds.to_string()])
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}
