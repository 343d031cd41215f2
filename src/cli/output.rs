//! How results are printed: for people, or as JSON for scripts.

use std::io::Write as _;

use clap::ValueEnum;
use serde::Serialize;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// JSON: one document, or one object a line where results come one by one.
    Json,
}

/// Prints a line. See [`write`].
macro_rules! say {
    ($($words:tt)*) => {
        $crate::cli::output::write(format_args!("{}\n", format_args!($($words)*)))
    };
}
pub(super) use say;

/// Prints text as it is. See [`write`].
pub(super) fn print_text(text: &str) {
    write(format_args!("{text}"));
}

/// Writes to standard output. A reader that has had enough (`ipa audit export | head`) ends the command quietly; any other failure in one line.
pub(super) fn write(text: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("ipa: failed to write to standard output: {error}");
            std::process::exit(2);
        }
    }
}

/// Prints one JSON document.
pub(super) fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints one JSON object on one line.
pub(super) fn print_json_line<T: Serialize>(value: &T) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string(value)?);
    Ok(())
}

/// A borderless table, as kubectl prints.
pub(super) fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(header.iter().copied());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}
