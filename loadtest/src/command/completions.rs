//! `loadtest completions` and `loadtest man`: what a shell and `man` need, made from the command line itself.

use clap_complete::Shell;

use crate::exit::Exit;

/// Everything `completions` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct CompletionsArgs {
    /// The shell, e.g. `loadtest completions bash > /etc/bash_completion.d/loadtest`.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the completions of `program`.
#[must_use]
pub fn completions(args: &CompletionsArgs, program: &mut clap::Command) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, program, "loadtest", &mut text);
    super::print(&String::from_utf8_lossy(&text))
}

/// Prints the man page of `program`: its own page, and a section per command.
#[must_use]
pub fn man(program: clap::Command) -> Exit {
    let mut text = Vec::new();
    let commands: Vec<clap::Command> = program
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .cloned()
        .collect();
    let drawn = clap_mangen::Man::new(program).render(&mut text).and_then(|()| {
        commands.into_iter().try_for_each(|command| {
            let name = command.get_name().to_uppercase();
            text.extend_from_slice(format!(".SH \"LOADTEST {name}\"\n").as_bytes());
            let page = clap_mangen::Man::new(command);
            page.render_description_section(&mut text)?;
            page.render_options_section(&mut text)
        })
    });
    match drawn {
        // A section inside a section is a subsection.
        Ok(()) => super::print(&String::from_utf8_lossy(&text).replace("\n.SH OPTIONS\n", "\n.SS OPTIONS\n")),
        Err(error) => {
            eprintln!("loadtest: {error}");
            Exit::RunError
        }
    }
}
